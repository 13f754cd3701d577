"""Writes the tables and the picture of docs/controls.md, from the code: python tests/controls_page.py"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from keyboard_rig import STATS  # noqa: E402
from rich.console import Console  # noqa: E402
from snapshots import BUDGET  # noqa: E402

from stream.control.controls import Controls  # noqa: E402
from stream.control.parameters import PARAMETERS, Parameter  # noqa: E402
from stream.control.presets import BUILT_IN, Presets  # noqa: E402
from stream.control.settings import Settings  # noqa: E402
from stream.display.keys import HELP, Keys  # noqa: E402
from stream.display.panel import panel  # noqa: E402

PAGE = ROOT / "docs" / "controls.md"
BLOCK = re.compile(r"(<!-- (\w+): python tests/controls_page.py -->\n).*?(<!-- end -->)", re.DOTALL)


def parameters() -> str:
    rows = [f"| `{one.name}` | {_takes(one)} | {_first(one)} | {one.help} |" for one in PARAMETERS.values()]
    return "\n".join(["| parameter | takes | at first | what it is |", "|---|---|---|---|", *rows])


def keys() -> str:
    rows = [f"| {_key(pressed)} | {words} |" for pressed, words in HELP]
    return "\n".join(["| key | moves |", "|---|---|", *rows])


def presets() -> str:
    rows = [
        f"| {number} | `{name}` | {values['vocals']:.0%} | {values['accompaniment']:.0%} |"
        for number, (name, values) in enumerate(BUILT_IN.items(), 1)
    ]
    return "\n".join(["| key | preset | vocals | accompaniment |", "|---|---|---|---|", *rows])


def picture() -> str:
    """The panel itself, in text."""
    controls = Controls({"vocals": 0.3})
    settings = Settings(Path(tempfile.gettempdir()) / "no such folder" / "settings.toml")
    hands = Keys(controls, Presets(controls, settings), lambda: None)
    stats = replace(STATS, position=44_100 * 754, late_hops=0, late_samples=0, late_events=0)
    stats = replace(stats, input_overflows=0, output_underflows=0)
    paper = Console(file=io.StringIO(), width=84, record=True, force_terminal=True)
    title = "USB Interface to USB Interface: 2 channels at 44100 Hz"
    paper.print(panel(stats, controls, BUDGET, title, hands))
    lines = [line.rstrip() for line in paper.export_text().splitlines()]
    return "\n".join(["```", *lines, "```"])


def page(text: str) -> str:
    """The page with its blocks made anew."""
    makers = {maker.__name__: maker for maker in (parameters, keys, presets, picture)}
    return BLOCK.sub(lambda block: f"{block[1]}{makers[block[2]]()}\n{block[3]}", text)


def _takes(one: Parameter) -> str:
    if one.kind == "choice":
        return ", ".join(f"`{choice}`" for choice in one.choices)
    if one.kind == "switch":
        return "on, off"
    if one.kind == "trigger":
        return "happens once"
    return f"{one.low:g} to {one.high:g}" + (" dB" if one.kind == "decibels" else "")


def _first(one: Parameter) -> str:
    if one.kind == "trigger":
        return ""
    return {True: "on", False: "off"}[one.default] if one.kind == "switch" else f"{one.default}"


def _key(pressed: str) -> str:
    return " ".join(f"`{key}`" for key in pressed.split())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")

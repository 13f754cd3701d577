"""Writes the tables of docs/midi.md from the ready-made maps: python tests/midi_page.py"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from stream.control.midi.bindings import Binding  # noqa: E402
from stream.control.midi.maps_of_ports import load_map  # noqa: E402
from stream.control.midi.messages import name_of  # noqa: E402

PAGE = ROOT / "docs" / "midi.md"
BLOCK = re.compile(r"(<!-- map ([\w-]+): python tests/midi_page.py -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    bindings = load_map(name).bindings
    labelled = any(binding.label for binding in bindings)
    lit = any(binding.light for binding in bindings)
    rows = [[*([each.label] if labelled else []), each.control, *_does(each, lit)] for each in bindings]
    head = [*(["on the controller"] if labelled else []), "sends", "does", *(["light"] if lit else [])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def page(text: str) -> str:
    """The page with its tables made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(block[2])}\n{block[3]}", text)


def _does(binding: Binding, lit: bool) -> list[str]:
    words = [f"`{binding.effect}`"]
    if lit:
        light = binding.light
        words.append(
            f"{name_of(light.kind, light.number)} on channel {light.channel}, {light.on}" if light else ""
        )
    return words


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")

"""The controls as they stand, drawn: faders, switches, presets, and what the keys have to say."""

from __future__ import annotations

from rich.text import Text

from stream.control.controls import Controls
from stream.control.parameters import AUTO, LEAST_GAIN_DB, PARAMETERS, Value
from stream.display.keys import Keys, help_lines

FADER_CELLS = 40
FADERS = (("up down", "vocals"), ("left right", "accompaniment"), ("+ -", "gain"))
SWITCHES = (("m", "mute"), ("b", "bypass"), ("r", "record"))
ALERT = {"mute": "yellow", "bypass": "yellow", "record": "red"}
SHOWN_PRESETS = 9  # as many as there are keys


def board(controls: Controls, keys: Keys | None) -> Text:
    """Without keys, nothing that they would do is named."""
    values = controls.snapshot()
    lines = [_fader_line(hint if keys else "", name, values) for hint, name in FADERS]
    return Text("\n").join([*lines, _switches(values, keys), *_of_keys(keys)])


def _fader_line(hint: str, name: str, values: dict[str, Value]) -> Text:
    # One text of fixed columns: a table would be measured anew ten times a second.
    line = Text.assemble((f"{hint:11}" if hint else "", "dim"), f"{name:14}")
    silent = name == "vocals" and bool(values["mute"])
    return line.append_text(fader(name, values[name], silent=silent)).append(f" {shown(name, values[name])}")


def fader(name: str, value: Value, *, silent: bool = False) -> Text:
    """A knob on its way; what lies behind it is bright."""
    at = round(PARAMETERS[name].share(value) * (FADER_CELLS - 1))
    style = "dim" if silent else "cyan"
    rest = "─" * (FADER_CELLS - 1 - at)
    return Text.assemble(("━" * at, style), ("●", f"bold {style}"), (rest, "dim"))


def shown(name: str, value: Value) -> str:
    if PARAMETERS[name].kind == "decibels":
        return "silence" if float(value) <= LEAST_GAIN_DB else f"{value:+.1f} dB"
    return f"{value:.0%}"


def _switches(values: dict[str, Value], keys: Keys | None) -> Text:
    line = Text()
    for key, name in SWITCHES:
        line.append(f"{key} " if keys else "", style="dim")
        # In capitals and brackets: to be seen without colours too.
        line.append(*((f"[{name.upper()}]", f"bold {ALERT[name]}") if values[name] else (f" {name} ", "")))
        line.append("  ")
    steps = "steps auto" if values["steps"] == AUTO else f"steps {values['steps']}"
    return line.append(f"{values['mode']}, {steps}", style="dim")


def _of_keys(keys: Keys | None) -> list[Text]:
    if not keys:
        return []
    now = keys.presets.current()
    presets = Text(no_wrap=True, overflow="ellipsis")
    for number, name in enumerate(keys.presets.names()[:SHOWN_PRESETS], 1):
        presets.append(f"{number} ", style="dim")
        presets.append(*((f"[{name}]", "bold") if name == now else (f" {name} ", "")))
        presets.append(" ")
    if said := keys.message:
        return [presets, Text(said, style="yellow")]
    return [presets, Text(help_lines() if keys.help else "? keys", style="dim")]

"""Which map goes with which port: the user's own bindings first, then a ready-made map."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from stream.control.midi.bindings import MidiMap
from stream.control.midi.bindings_toml import read_map
from stream.control.parameters import ControlError

FOLDER = files("stream.control.midi") / "maps"
GENERIC = "generic"  # for whatever no other map is for


def ready_made() -> list[str]:
    return sorted(each.name.removesuffix(".toml") for each in FOLDER.iterdir() if each.name.endswith(".toml"))


def load_map(asked: str) -> MidiMap:
    """By the name of a ready-made one, or from a file like them. Raises ControlError."""
    if asked in ready_made():
        text = (FOLDER / f"{asked}.toml").read_text(encoding="utf-8")
    elif not asked.endswith(".toml"):
        raise ControlError(
            f"there is no MIDI map {asked!r}; there are {', '.join(ready_made())}, or give a .toml file"
        )
    else:
        try:
            text = Path(asked).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ControlError(f"the MIDI map {asked} cannot be read: {error}") from None
    try:
        table = tomlkit.parse(text).unwrap()
    except TOMLKitError as error:
        raise ControlError(f"the MIDI map {asked} is not TOML: {error}") from None
    return read_map(table, name=Path(asked).stem, where=f"the MIDI map {asked}")


def map_for(port_name: str, own: MidiMap, asked: str | None) -> MidiMap:
    """The user's own bindings over the map that was asked for, or else the one made for this port.

    A port that none is made for gets the generic one, unless the user has bindings of their own for it.
    """
    mine = own.of_port(port_name)
    if chosen := asked or own.chosen:
        return mine.over(load_map(chosen))
    for name in ready_made():
        if (made := load_map(name)).fits(port_name):
            return mine.over(made)
    return mine if mine.bindings else mine.over(load_map(GENERIC))

"""The options of the ways in, and the companions that they ask for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stream.control.companion import Companion
from stream.control.memory import Memory
from stream.control.midi.companion import MidiControl, list_ports, midi_learn
from stream.control.midi.ports import APIS, RtMidi
from stream.control.osc import Osc
from stream.control.page.companion import DEFAULT_PORT, ControlPage
from stream.control.parameters import ControlError
from stream.control.settings import PATH_VARIABLE, Settings


@dataclass(frozen=True, kw_only=True)
class ControlOptions:
    """What the user asked for. Raises ValueError."""

    config: Path | None
    preset: str | None
    osc: str | None
    midi: list[str]
    midi_api: str
    midi_map: str | None
    midi_learn: list[str] | None
    list_midi: bool
    ui: int | None
    ui_host: str | None

    def __post_init__(self) -> None:
        if self.ui is not None and not 1 <= self.ui <= 65_535:
            raise ValueError(f"--ui is {self.ui}; a port is from 1 to 65535")


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """One group of options for each way in."""
    settings = parser.add_argument_group("presets and memory")
    settings.add_argument(
        "--preset", metavar="NAME", help="begin with this one (default: where the controls were last time)"
    )
    settings.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the settings (default: ${PATH_VARIABLE}, or settings.toml in your folder for such)",
    )
    osc = parser.add_argument_group("OSC")
    osc.add_argument(
        "--osc",
        metavar="[HOST:]PORT",
        help="listen there, by UDP, to /diffvs/PARAMETER value (HOST: 127.0.0.1)",
    )
    midi = parser.add_argument_group("MIDI")
    midi.add_argument(
        "--midi",
        action="append",
        default=[],
        metavar="PORT",
        help="number, words of its name, or 'virtual' for one to connect to; may be given several times",
    )
    midi.add_argument(
        "--midi-map", metavar="NAME", help="what moves what, or a .toml file (default: by the port)"
    )
    midi.add_argument(
        "--midi-learn",
        nargs="*",
        metavar="PARAMETER",
        help="learn their knobs and pads one by one, or ask for them; then end",
    )
    midi.add_argument("--midi-api", choices=APIS, default="auto", help="the MIDI system (default: auto)")
    midi.add_argument("--list-midi", action="store_true", help="show all MIDI ports, and end")
    page = parser.add_argument_group("control page")
    page.add_argument(
        "--ui",
        type=int,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"a page with faders and meters, for browsers on this machine (default: {DEFAULT_PORT})",
    )
    page.add_argument(
        "--ui-host",
        metavar="ADDRESS",
        help="of this machine, for phones in its network (all it has: 0.0.0.0); needs the token shown",
    )


def control_options(given: dict[str, Any]) -> ControlOptions:
    """Takes its own out of the parsed options; the rest stays."""
    return ControlOptions(**{field.name: given.pop(field.name) for field in fields(ControlOptions)})


def companions(options: ControlOptions, settings: Settings) -> list[Companion]:
    """In the order in which they start. Raises ControlError for what cannot be had."""
    beside: list[Companion] = [Memory(settings)]
    if options.osc is not None:
        beside.append(Osc(options.osc, settings))
    if options.midi:
        midi = MidiControl(
            options.midi, settings, transport=RtMidi(options.midi_api), map_name=options.midi_map
        )
        print(midi)
        beside.append(midi)
    elif options.midi_map:
        raise ControlError("--midi-map needs --midi, the port that it is for")
    if options.ui is not None or options.ui_host is not None:
        beside.append(
            ControlPage(
                host=options.ui_host or "127.0.0.1", port=options.ui or DEFAULT_PORT, settings=settings
            )
        )
    return beside


def errand(options: ControlOptions, settings: Settings) -> bool:
    """Does what was asked for instead of a session, if anything was. Raises ControlError."""
    if options.list_midi:
        print(list_ports(RtMidi(options.midi_api)))
    elif options.midi_learn is not None:
        midi_learn(options.midi, options.midi_learn, settings, transport=RtMidi(options.midi_api))
    return options.list_midi or options.midi_learn is not None

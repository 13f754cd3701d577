"""MIDI as one of the ways in: what `--midi` and its kin ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stream.control.mapping_toml import read_map
from stream.control.midi import MidiPort, PortPlayer
from stream.control.midi_mapper import Recall
from stream.control.midi_maps import map_for
from stream.control.midi_ports import RtMidi, Transport, describe
from stream.session import Session


class MidiControl:
    """Companion: opens every port, or raises ControlError. `section` is [midi] of the settings."""

    def __init__(
        self,
        wanted: Sequence[str],
        section: Mapping[str, Any],
        *,
        transport: Transport,
        map_name: str | None = None,
    ):
        own = read_map(section)
        self.players: list[PortPlayer] = []
        try:
            for each in wanted:
                port = MidiPort(transport, each)
                self.players.append(PortPlayer(port, map_for(port.name, own, map_name)))
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return "\n".join(
            f"MIDI from {player.port.name}: {len(player.map.bindings)} controls"
            f"{f' ({player.map.name})' if player.map.name else ''}"
            f"{f', lights to {player.port.lights}' if player.port.lights else ', no lights'}"
            for player in self.players
        )

    def start(self, session: Session) -> None:
        for player in self.players:
            player.start(session.controls, recall_of(session))

    def close(self) -> None:
        for player in self.players:
            player.close()


def recall_of(session: Session) -> Recall | None:
    presets = getattr(session, "presets", None)
    return None if presets is None else presets.recall


def midi_ports(api: str) -> str:
    """The list for people. Raises ControlError."""
    transport = RtMidi(api)
    return (
        f"MIDI inputs ({transport.name})\n{describe(transport.inputs())}\n"
        f"MIDI outputs\n{describe(transport.outputs())}"
    )

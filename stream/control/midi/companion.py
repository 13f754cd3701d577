"""MIDI as one of the ways in: what `--midi` and its kin ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from stream.control.midi.bindings_toml import read_map
from stream.control.midi.controllers import MidiPort, PortPlayer
from stream.control.midi.learn import MANUAL, SECTION, Lesson
from stream.control.midi.maps_of_ports import map_for
from stream.control.midi.ports import Transport, describe, names_of
from stream.control.parameters import ControlError
from stream.control.presets import Presets
from stream.control.settings import Settings
from stream.session import Session


class MidiControl:
    """Companion. Opens every port, or raises ControlError."""

    def __init__(
        self,
        wanted: Sequence[str],
        settings: Settings,
        *,
        transport: Transport,
        map_name: str | None = None,
    ):
        self._settings = settings
        self.players: list[PortPlayer] = []
        own = read_map(settings.section(SECTION))
        try:
            for each in wanted:
                port = MidiPort(transport, each)
                self.players.append(PortPlayer(port, map_for(port.name, own, map_name)))
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        """A line for each port."""
        return "\n".join(
            f"MIDI from {player.port.name}: {len(player.map.bindings)} controls"
            f"{f' (map {player.map.name})' if player.map.name else ''}, "
            f"{f'lights to {player.port.lights}' if player.port.lights else 'no lights'}"
            for player in self.players
        )

    def start(self, session: Session) -> None:
        recall = Presets(session.controls, self._settings).recall
        for player in self.players:
            player.start(session.controls, recall, lambda: session.stats("midi").losses)

    def close(self) -> None:
        for player in self.players:
            player.close()


def list_ports(transport: Transport) -> str:
    return (
        f"MIDI inputs ({transport.name})\n{describe(names_of(transport.input()))}\n"
        f"MIDI outputs ({transport.name})\n{describe(names_of(transport.output()))}"
    )


def midi_learn(
    wanted: Sequence[str],
    wishes: Sequence[str],
    settings: Settings,
    *,
    transport: Transport,
    ask: Callable[[str], str] = input,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Learns the wishes, or asks for them when there are none. Raises ControlError."""
    if not wanted:
        raise ControlError(
            f"--midi-learn needs the controller: give --midi\n{describe(names_of(transport.input()))}"
        )
    ports: list[MidiPort] = []
    try:
        for each in wanted:
            ports.append(MidiPort(transport, each))  # noqa: PERF401 - those that opened are closed
        lesson = Lesson(ports, settings, sleep=sleep)
        print(f"listening to {', '.join(port.name for port in ports)}")
        for wish in wishes:
            lesson.learn(wish)
        if not wishes:
            print(MANUAL)
            lesson.converse(ask)
    finally:
        for port in ports:
            port.close()

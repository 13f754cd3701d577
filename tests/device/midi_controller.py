"""A controller made of two JACK MIDI ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from stream.control.midi.ports import settle

RATE = 44_100
JACK_HOST = "JACK Audio Connection Kit"
RUN = ("--model", "identity", "--mode", "acapella", "--latency", "safe", "--midi-api", "jack")
ACAPELLA = ("--input", f"virtmic {JACK_HOST}", "--output", f"virtspk {JACK_HOST}", *RUN)
UNHEARD = ("--input", f"system {JACK_HOST}", "--output", f"system {JACK_HOST}", *RUN)
KNOBS, LIGHTS = "virtctl", "virtctl lights"


class Controller:
    """Two ports of a client each: it sends, and remembers what it was told to light."""

    def __init__(self) -> None:
        import rtmidi

        self._lights = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=LIGHTS)
        self._lights.open_virtual_port("leds")
        self.lit: list[tuple[int, ...]] = []
        self.plug()

    def plug(self) -> None:
        import rtmidi

        self._out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=KNOBS)
        self._out.open_virtual_port("knobs")

    def unplug(self) -> None:
        settle(self._out)
        self._out.close_port()
        self._out.delete()

    def send(self, *data: int) -> None:
        self._out.send_message(data)

    def until_lit(self, *message: int) -> None:
        """Waits for a message to the lights."""
        until(lambda: message in self._seen(), f"{message} among {self.lit}")
        self.lit.clear()

    def answers(self, *message: int) -> bool:
        """To a knob that moves from its end to there; may be asked again, until the session listens."""
        self.send(*message[:2], 127)
        self.send(*message)
        return message in self._seen()

    def _seen(self) -> Sequence[tuple[int, ...]]:
        while (event := self._lights.get_message()) is not None:
            self.lit.append(tuple(event[0]))
        return self.lit

    def close(self) -> None:
        self.unplug()
        settle(self._lights)
        self._lights.close_port()
        self._lights.delete()


def until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    until_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until_s, f"still waiting for {what}"
        time.sleep(0.01)


def level_db(heard: np.ndarray, sent: np.ndarray) -> float:
    """Of the loudest half second of the recording, against what was played; silence is -200."""
    parts = [heard[begin : begin + RATE // 2] for begin in range(0, len(heard) - RATE // 2, RATE // 8)]
    loudest = max(float(np.mean(np.square(part))) for part in parts)
    return 10 * float(np.log10(loudest / np.mean(np.square(sent)) + 1e-20))

"""Line: the devices of a session, from opening to closing, with every time that they go and come back.

[control] all of it; status and losses may be read by any thread
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stream.audio.comeback import Comeback, Open
from stream.audio.devices import Device, list_devices
from stream.audio.probe import Place
from stream.audio.streams import AudioStream
from stream.audio.watch import Watch

CLOSE_S = 5.0
GONE = "the audio device is gone (unplugged, or its server stopped)"


class Line:
    """Opens a stream between two devices, or raises DeviceError; start; look, again and again; close.

    open    makes a stream between two devices
    renew   is called before each later time: what a lost device may still touch must not be used again
    say     is told what happens
    """

    def __init__(
        self,
        source: Device,
        sink: Device,
        *,
        open: Open,
        renew: Callable[[], None],
        say: Callable[[str], None],
    ):
        devices = list_devices()
        self._places = Place.of(source, "input", devices), Place.of(sink, "output", devices)
        self._open, self._renew, self._say = open, renew, say
        self._stream = open(source, sink)
        self._comeback: Comeback | None = None
        self.losses = 0

    def start(self) -> None:
        """Raises DeviceError."""
        self._stream.start()
        self._watch = Watch(now_s=time.monotonic(), wall_s=time.time())

    @property
    def active(self) -> bool:
        """Whether the device asks for audio."""
        return self._comeback is None and self._stream.active

    @property
    def latency_s(self) -> tuple[float, float]:
        """In and out, as the driver says."""
        return self._stream.latency_s

    @property
    def status(self) -> str:
        """How it stands with a device that is gone; else empty."""
        comeback = self._comeback
        return comeback.status if comeback else ""

    @property
    def gone_s(self) -> float | None:
        """Since when the device is gone; None while it plays."""
        return self._comeback.seconds if self._comeback else None

    def look(self, *, active: bool, position: int) -> None:
        """What `active` said last, and the samples played: notices a loss, and a return."""
        if self._comeback:
            self._welcome(self._comeback)
            return
        event = self._watch.look(active=active, position=position, now_s=time.monotonic(), wall_s=time.time())
        if event == "suspended":
            self._say(f"nothing was played for {self._watch.away_s:.0f} s: the system was suspended")
        elif event == "lost":
            self.losses += 1
            self._say(f"{GONE}; looking for it")
            self._comeback = Comeback(*self._places, self._reopen)

    def close(self) -> bool:
        """False when a driver hangs, or was left in a state in which PortAudio could not be terminated."""
        if self._comeback:
            self._comeback.stop()  # a driver whose device is gone may never answer, or abort the process
            return False
        closing = threading.Thread(target=self._stream.close, daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        return not (closing.is_alive() or self.losses)

    def _welcome(self, comeback: Comeback) -> None:
        if comeback.stream:
            self._stream, self._comeback = comeback.stream, None
            self._watch = Watch(now_s=time.monotonic(), wall_s=time.time())
            self._say(f"the audio device is back after {comeback.seconds:.1f} s")

    def _reopen(self, source: Device, sink: Device) -> AudioStream:
        self._renew()
        stream = self._open(source, sink)
        stream.start()
        return stream

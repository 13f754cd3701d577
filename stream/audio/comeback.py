"""Comeback: tries to get a lost device back, for as long as it takes, in a thread of its own.

The session goes on meanwhile and only looks at how it stands; a driver that hangs holds up nobody but this
thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from stream.audio.devices import Device, DeviceError, list_devices
from stream.audio.portaudio import start_anew
from stream.audio.probe import Place, probe
from stream.audio.streams import AudioStream

PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # before each try
LONGEST_S = 5.0  # ... and before all others: a device comes back within so much of being plugged in
SLOW_S = 15.0  # a try that takes longer is said to hang
ANEW_EVERY = 8  # tries, at the latest, that PortAudio is started anew

logger = logging.getLogger(__name__)

Open = Callable[[Device, Device], AudioStream]  # and started


class Comeback:
    """`open` is given the devices at `source` and `sink`, and makes the audio run again, or DeviceError."""

    def __init__(self, source: Place, sink: Place, open: Open):
        self.stream: AudioStream | None = None  # when it is back
        self.tries = 0
        self._reason = ""
        self._source, self._sink, self._open = source, sink, open
        self._stale = True  # PortAudio knows only the devices of before
        self._began_s = self._try_s = time.monotonic()
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="comeback", daemon=True).start()

    @property
    def seconds(self) -> float:
        """Since the device was lost."""
        return time.monotonic() - self._began_s

    @property
    def status(self) -> str:
        words = f"gone for {self.seconds:.0f} s, try {self.tries}"
        if self._try_s and time.monotonic() - self._try_s > SLOW_S:
            return f"{words}: its driver does not answer"
        return f"{words}: {self._reason}" if self._reason else words

    def stop(self) -> None:
        """No more tries; one that has begun may still end well, or hang."""
        self._stop.set()

    def _run(self) -> None:
        for pause_s in self._pauses():
            self._try_s = 0.0
            if self._stop.wait(pause_s):
                return
            self._try_s = time.monotonic()
            self.tries += 1
            try:
                self.stream = self._try()
                return
            except DeviceError as error:
                self._fail(str(error).splitlines()[0])
            except Exception as error:  # whatever a driver's package throws, the next try may do
                self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        if reason != self._reason:
            logger.warning(reason)
        self._reason = reason

    @staticmethod
    def _pauses() -> Iterator[float]:
        return chain(PAUSES_S, repeat(LONGEST_S))

    def _try(self) -> AudioStream:
        there = probe()
        for place in (self._source, self._sink):
            place.find(there)
        if self._stale or self.tries % ANEW_EVERY == 0 or list_devices() != there:
            start_anew()
            self._stale = False
        devices = list_devices()
        return self._open(self._source.find(devices), self._sink.find(devices))

"""The wish to stop: the first signal ends a run at its next step, the second at once."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Any

# Ctrl-C under torchrun arrives twice, from the terminal and from torchrun: that is one wish, not two.
ONE_WISH_S = 2.0


class StoppedError(Exception):
    """Raised by `check` inside long work that nobody wants to wait for."""


class Stop:
    """A context in which SIGTERM and SIGINT are noted, not obeyed. [main thread]"""

    def __init__(self) -> None:
        self.wanted_at: float | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def wanted(self) -> bool:
        return self.wanted_at is not None

    def check(self) -> None:
        """Raise StoppedError when a signal has come."""
        if self.wanted:
            raise StoppedError

    def __enter__(self) -> Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self.wanted_at is None:
            self.wanted_at = now
        elif now - self.wanted_at > ONE_WISH_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

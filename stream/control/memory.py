"""Where the controls stood when a session ended, for the next one to begin there.

Written by a thread of its own, some moments after the last move: neither a fader on its way nor the music
waits for a disk, and a crash forgets seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stream.control.controls import Controls
from stream.control.parameters import ControlError, Value, parameter
from stream.control.presets import KEPT, find
from stream.control.settings import Settings

if TYPE_CHECKING:
    from stream.session import Session

SECTION = "last"
QUIET_S = 1.0  # without a move, before it is written
MOST_S = 5.0  # ... while moves go on
CLOSE_S = 5.0

logger = logging.getLogger(__name__)


def starting_values(settings: Settings, preset: str | None = None) -> dict[str, Value]:
    """How the last session ended, with a preset over it. Raises ControlError for a bad preset."""
    values: dict[str, Value] = {}
    last = settings.section(SECTION)
    for name in last.keys() & set(KEPT):
        try:
            values[name] = parameter(name).checked(last[name])
        except ControlError as error:  # noqa: PERF203 - the others are good
            logger.warning("%s: %s; it is as at first", settings.path, error)
    if preset is None:
        return values
    name, wanted = find(settings, preset)
    try:
        return after(values, {key: parameter(key).checked(value) for key, value in wanted.items()})
    except ControlError as error:
        raise ControlError(f"preset {name}: {error}") from None


def after(before: Mapping[str, Value], values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` over earlier ones: a mode is two levels, and takes the place of earlier levels."""
    levels = {"mode", "vocals", "accompaniment"} if "mode" in values else set()
    return {key: value for key, value in before.items() if key not in levels} | dict(values)


class Memory:
    """A companion that writes the last values down."""

    def __init__(self, settings: Settings, *, quiet_s: float = QUIET_S, most_s: float = MOST_S):
        self._settings = settings
        self._quiet_s, self._most_s = quiet_s, most_s
        self._moved, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, session: Session) -> None:
        if (
            not session.without_model
        ):  # where nothing is separated, levels mean little: keep those of better days
            self.watch(session.controls)

    def watch(self, controls: Controls) -> None:
        """[control] From now until close."""
        self._written = _kept(controls)
        self._unsubscribe = controls.subscribe(lambda *_: self._moved.set())
        self._thread = threading.Thread(target=self._run, args=(controls,), name="memory", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread is None:
            return
        self._unsubscribe()
        self._closing.set()
        self._moved.set()
        self._thread.join(CLOSE_S)

    def _run(self, controls: Controls) -> None:
        """[memory]"""
        closing = False
        while not closing:
            self._moved.wait()
            self._let_settle()
            closing = self._closing.is_set()  # asked first: a move is never later than the last look
            now = _kept(controls)
            if now != self._written:
                self._settings.update(SECTION, now)
                self._written = now

    def _let_settle(self) -> None:
        latest_s = time.monotonic() + self._most_s
        while self._moved.is_set() and time.monotonic() < latest_s:
            self._moved.clear()
            self._closing.wait(self._quiet_s)
        self._moved.clear()


def _kept(controls: Controls) -> dict[str, Value]:
    now = controls.snapshot()
    return {name: now[name] for name in KEPT}

"""A display with a keyboard: keys are read beside it, and the terminal is cared for between two pictures."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading

from stream.control.controls import Controls
from stream.display.keys import Keys, help_lines
from stream.display.panel import Display, LivePanel
from stream.display.terminal import Terminal
from stream.stats import Stats

READ_S = 0.2  # for the thread to see that it is over
CLOSE_S = 1.0

logger = logging.getLogger(__name__)


class KeyboardDisplay:
    """[control] A Display around another, which draws nothing in place while the terminal is the shell's."""

    def __init__(self, display: Display, terminal: Terminal, keys: Keys):
        self._display, self._terminal, self._keys = display, terminal, keys
        self._on_screen = isinstance(display, LivePanel)
        self._suspending = self._closing = False
        self._said = ""
        self._stop_key = getattr(signal, "SIGTSTP", None)  # Ctrl-Z
        if self._stop_key:
            self._before = signal.signal(self._stop_key, self._suspend)
        terminal.keep()
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
        self._thread.start()

    def show(self, stats: Stats, controls: Controls) -> None:
        if self._suspending:
            self._suspending = False
            self._display.close()  # what it drew goes away; the next show() begins afresh
            self._terminal.suspend()
        ours = self._terminal.keep()
        if ours or not self._on_screen:
            self._display.show(stats, controls)
        if not self._on_screen:
            self._say(help_lines() if self._keys.help else self._keys.message)

    def close(self) -> None:
        self._closing = True
        try:
            self._display.close()
        finally:
            self._terminal.restore()
            self._thread.join(CLOSE_S)
            self._terminal.close()
            if self._stop_key:
                signal.signal(self._stop_key, self._before)

    def _say(self, words: str) -> None:
        if words != self._said and words:
            with contextlib.suppress(OSError):
                print(words, flush=True)
        self._said = words

    def _suspend(self, *_: object) -> None:
        self._suspending = True  # done between two pictures, not in the middle of one

    def _read(self) -> None:
        """[keys]"""
        while not self._closing:
            try:
                for key in self._terminal.read(READ_S):
                    self._keys.press(key)
            except (EOFError, OSError, ValueError):  # noqa: PERF203 - the terminal is gone
                return
            except Exception:
                logger.exception("a key failed")

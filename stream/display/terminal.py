"""Keys from the terminal as they are pressed; and the terminal as it was before, whatever happens.

A terminal is in one of two hands. While this process is in the foreground it gives keys without Enter and
without echo; in the background (Ctrl-Z and bg, or &) it is the shell's, and is left alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import select
import signal
import sys
import threading
import time
from typing import Any, Protocol

WHOLE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])")  # ECMA-48: a control sequence, or a single shift
BEGUN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
WINDOWS_ARROWS = {"H": "up", "P": "down", "M": "right", "K": "left"}
WINDOWS_POLL_S = 0.02
LOCAL_MODES, CHARACTERS = 3, 6  # of the fields that tcgetattr gives
SHOW_CURSOR = b"\x1b[?25h"


def keys_in(data: bytes) -> tuple[list[str], bytes]:
    """The keys that these bytes are: characters, or the name of an arrow; and a beginning that needs more."""
    keys = []
    while data:
        if whole := WHOLE.match(data):
            final = chr(data[whole.end() - 1])
            keys += [ARROWS[final]] if final in ARROWS else []
            data = data[whole.end() :]
        elif BEGUN.fullmatch(data):
            return keys, data
        elif data[:1] == b"\x1b":  # Alt and a key
            data = data[2:]
        else:
            keys += [chr(data[0])] if 32 < data[0] < 127 else []
            data = data[1:]
    return keys, b""


class Terminal(Protocol):
    """[control], but for `read`."""

    def keep(self) -> bool:
        """To be called now and then: takes the terminal (again) where it may. Whether it is ours."""

    def read(self, timeout_s: float) -> list[str]:
        """[keys] What has been pressed; nothing after a while. Raises EOFError when nothing more can come."""

    def suspend(self) -> None:
        """What Ctrl-Z means: gives it back and stops this process; returns when that goes on."""

    def restore(self) -> None:
        """[any] As it was; for good. May be called by a signal handler, and again."""

    def close(self) -> None: ...


class PosixTerminal:
    def __init__(self, descriptor: int):
        self._termios: Any = importlib.import_module("termios")
        self._fd = descriptor
        self._before = self._termios.tcgetattr(descriptor)
        self._held, self._ended = False, threading.Event()
        self._begun = b""
        self._signals = {
            number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTIN, signal.SIGTTOU)
        }  # to be stopped for a look at the terminal would stop the music

    def keep(self) -> bool:
        if self._ended.is_set() or not self._in_foreground():
            return False
        with contextlib.suppress(self._termios.error):
            now = self._termios.tcgetattr(self._fd)
            self._held = True
            if now[LOCAL_MODES] & (self._termios.ICANON | self._termios.ECHO):
                now[LOCAL_MODES] &= ~(self._termios.ICANON | self._termios.ECHO)
                now[CHARACTERS][self._termios.VMIN], now[CHARACTERS][self._termios.VTIME] = 1, 0
                self._termios.tcsetattr(self._fd, self._termios.TCSANOW, now)
            if self._ended.is_set():  # meanwhile, by a signal
                self.release()
        return True

    def read(self, timeout_s: float) -> list[str]:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            self._begun = b""
            return []
        if not self._held or not self._in_foreground():
            time.sleep(timeout_s)
            return []
        try:
            data = os.read(self._fd, 256)
        except OSError:  # in the background after all
            time.sleep(timeout_s)
            return []
        if not data:
            raise EOFError
        keys, self._begun = keys_in(self._begun + data)
        return keys

    def release(self) -> None:
        """As it was, until the next keep()."""
        if self._held and self._in_foreground():
            with contextlib.suppress(self._termios.error, OSError):
                self._termios.tcsetattr(self._fd, self._termios.TCSANOW, self._before)
            self._held = False

    def restore(self) -> None:
        held = self._held
        self._ended.set()
        self.release()
        if held and os.isatty(1):
            with contextlib.suppress(OSError):
                os.write(1, SHOW_CURSOR)  # the end may come before the panel's own

    def close(self) -> None:
        self.restore()
        for number, before in self._signals.items():
            signal.signal(number, before)

    def suspend(self) -> None:
        """What Ctrl-Z means: stops this process; returns when it goes on."""
        self.release()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # a terminal without jobs
            return True


class WindowsTerminal:
    """Its console gives keys without being asked to behave."""

    def __init__(self) -> None:
        self._console: Any = importlib.import_module("msvcrt")

    def keep(self) -> bool:
        return True

    def read(self, timeout_s: float) -> list[str]:
        latest_s = time.monotonic() + timeout_s
        while not self._console.kbhit():
            if time.monotonic() > latest_s:
                return []
            time.sleep(WINDOWS_POLL_S)
        key = self._console.getwch()
        if key in ("\0", "\xe0"):
            arrow = WINDOWS_ARROWS.get(self._console.getwch())
            return [arrow] if arrow else []
        return [key] if "!" <= key <= "~" else []

    def suspend(self) -> None:
        pass

    def restore(self) -> None:
        pass

    def close(self) -> None:
        pass


def terminal() -> Terminal | None:
    """The one on stdin, if there is one."""
    if not sys.stdin or not sys.stdin.isatty():
        return None
    return WindowsTerminal() if sys.platform == "win32" else PosixTerminal(sys.stdin.fileno())

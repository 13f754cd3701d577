"""A pseudo terminal with a program on it: what a person would see, type, and find afterwards. POSIX."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE_S = 30.0


class Screen:
    """A pseudo terminal with a program on it."""

    def __init__(self, *command: str, **environment: str):
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self._slave)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            env={
                **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "ENV")},
                "PYTHONPATH": str(ROOT),
                "TERM": "xterm",
                "PS1": "$ ",
                **environment,
            },
        )

    def send(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def see(self, words: str) -> None:
        """Waits for words that have not been seen so far."""
        latest_s = time.monotonic() + PATIENCE_S
        while words not in self.text:
            assert time.monotonic() < latest_s, f"{words!r} is not in {self.text!r}"
            self._look(0.1)
        self.text = self.text[self.text.index(words) + len(words) :]

    def mode(self) -> list:
        return termios.tcgetattr(self._slave)

    def is_raw(self) -> bool:
        return not self.mode()[3] & (termios.ICANON | termios.ECHO)

    def ends_with(self, code: int) -> str:
        """What it printed from here to its end."""
        latest_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < latest_s, f"it plays on: {self.text!r}"
            self._look(0.1)
        while self._look(0.1):
            pass
        assert self.process.returncode == code, self.text
        return self.text

    def _look(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout_s)
        if ready:
            self.text += os.read(self._master, 65_536).decode(errors="replace")
        return bool(ready)

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self._master >= 0:
            self.hang_up()

"""The page's process as the session sees it: started, fed, listened to, ended.

It dies with this one, however this one dies: its standard input ends then, and it watches that.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from stream.control.page.feed import Feed
from stream.control.page.link import Message, read_frame, write_frame
from stream.control.page.wishes import Wishes
from stream.control.parameters import ControlError
from stream.control.presets import Presets

if TYPE_CHECKING:
    from stream.session import Session

OPEN_S = 90.0  # for a machine that has other things to do to start a Python with aiohttp
CLOSE_S = 3.0


class PageProcess:
    """Raises ControlError where the page cannot be: an address or port that cannot be had."""

    def __init__(self, host: str, port: int, token: str):
        self.feed: Feed | None = None
        self._wishes: Wishes | None = None
        self._closing = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stream.control.page"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is the session's affair
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._into, self._out = self.process.stdin, self.process.stdout
        answers: queue.Queue[Message | None] = queue.Queue(1)
        self._reader = threading.Thread(
            target=self._read, args=(answers,), name="control page wishes", daemon=True
        )
        self._reader.start()
        try:
            with contextlib.suppress(OSError):
                write_frame(self._into, {"type": "open", "host": host, "port": port, "token": token})
            self.port = self._opened(answers)
        except BaseException:
            self.close()
            raise

    def start(self, session: Session, presets: Presets | None, ended: Callable[[], None]) -> None:
        """`ended` is called when the process ends by itself, in a thread of its own."""
        self._ended = ended
        self.feed = Feed(self._into, session, presets)
        self._wishes = Wishes(session, presets, self.feed)
        self.feed.start()

    def close(self) -> None:
        self._closing = True
        if self.feed and not self.feed.close(CLOSE_S):
            self.process.kill()  # or closing the pipe would wait for whoever writes into it
        with contextlib.suppress(OSError):
            self._into.close()
        try:
            self.process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self._out.close()

    def _opened(self, answers: queue.Queue[Message | None]) -> int:
        """The port that the page has. Raises ControlError."""
        try:
            answer = answers.get(timeout=OPEN_S)
        except queue.Empty:
            raise ControlError(f"--ui: the page's process did not start within {OPEN_S:g} s") from None
        if answer is None:
            raise ControlError("--ui: the page's process ended at once; its words are above")
        if answer.get("type") != "ready":
            raise ControlError(str(answer.get("text")))
        return int(answer["port"])

    def _read(self, answers: queue.Queue[Message | None]) -> None:
        """[wishes]"""
        with contextlib.suppress(OSError, ValueError):
            while frame := read_frame(self._out):
                if self._wishes:
                    self._wishes.carry_out(frame[0])
                elif not answers.full():
                    answers.put_nowait(frame[0])
        with contextlib.suppress(queue.Full):
            answers.put_nowait(None)
        if self._wishes and not self._closing:
            self._wishes.let_go()
            threading.Thread(target=self._ended, name="control page comeback", daemon=True).start()

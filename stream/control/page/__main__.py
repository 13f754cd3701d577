"""The page's process. Started by `companion`, told by its standard input what to open and what to show.

It ends when that ends: whatever becomes of the session, nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import threading
from typing import IO

from aiohttp import web

from stream.control.page.guard import Guard
from stream.control.page.hub import Hub
from stream.control.page.link import Message, read_frame, write_frame
from stream.control.page.server import application
from stream.control.page.show import Show

LAST_WORDS_S = 2.0
EXPIRE_S = 0.25


class Page:
    """[page] runs the event loop, except what is marked [pipe]."""

    def __init__(self, into: IO[bytes], out: IO[bytes], opening: Message):
        self._into, self._out = into, out
        self._host, self._port, self._token = opening["host"], opening["port"], opening["token"]
        self._hub = Hub(self._ask)
        self._show = Show(self._hub)
        self._over = asyncio.Event()

    async def run(self) -> None:
        guard = Guard(self._host, self._port, self._token)
        runner = web.AppRunner(application(self._hub, guard), access_log=None, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, shutdown_timeout=LAST_WORDS_S)
        try:
            await site.start()
        except OSError as error:
            self._ask({"type": "refused", "text": _refusal(self._host, self._port, error)})
            return
        self._ask({"type": "ready", "port": self._port})
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, daemon=True).start()
        while not self._over.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), EXPIRE_S)
            self._hub.expire()
        await self._hub.end()
        await runner.cleanup()

    def _ask(self, message: Message) -> None:
        """Short messages into a pipe that a thread of the session keeps empty."""
        with contextlib.suppress(OSError):
            write_frame(self._out, message)

    def _listen(self) -> None:
        """[pipe]"""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            while (frame := read_frame(self._into)) and frame[0]["type"] != "end":
                self._loop.call_soon_threadsafe(self._show.hear, *frame)
        threading.Timer(LAST_WORDS_S + 1, os._exit, (0,)).start()  # should the loop hang
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over.set)


def _refusal(host: str, port: int, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
        return (
            f"--ui: port {port} of {host} is taken, by another session perhaps: give another, --ui {port + 1}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"--ui: port {port} needs more rights than this program has: give one above 1023"
    return f"--ui-host: the page cannot be at {host}, port {port}: {reason}"


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the session's affair
    with contextlib.suppress(AttributeError, OSError):
        os.nice(5)  # the music goes first
    into, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed here must not get among the frames
    opening = read_frame(into)
    if opening:
        asyncio.run(Page(into, out, opening[0]).run())
    os._exit(0)  # a thread may still be reading


if __name__ == "__main__":
    main()

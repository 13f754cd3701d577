"""The companion of a session that owns the control page: opens it, keeps it open, closes it."""

from __future__ import annotations

import importlib.util
import logging
import secrets
import threading
from typing import TYPE_CHECKING

from stream.control.page.address import announcement, is_this_machine
from stream.control.page.process import CLOSE_S, PageProcess
from stream.control.parameters import ControlError
from stream.control.presets import Presets
from stream.control.settings import Settings

if TYPE_CHECKING:
    from stream.session import Session

DEFAULT_PORT = 8470
TOKEN_BYTES = 16  # 128 bits
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # before each new start; then the page stays away

logger = logging.getLogger(__name__)


class ControlPage:
    """Raises ControlError where the page cannot be: no aiohttp, an address or port that cannot be had."""

    def __init__(self, *, host: str, port: int, settings: Settings | None = None):
        for package in ("aiohttp", "segno"):
            if importlib.util.find_spec(package) is None:
                raise ControlError(f"--ui needs the package {package}: pip install -e '.[ui]'")
        self._settings = settings
        self.token = "" if is_this_machine(host) else secrets.token_urlsafe(TOKEN_BYTES)
        self._pauses_s = iter(PAUSES_S)
        self._closing = threading.Event()
        self._changing = threading.Lock()
        self.page = PageProcess(host, port, self.token)
        self.host, self.port = host, self.page.port

    def start(self, session: Session) -> None:
        self._session = session
        self._presets = Presets(session.controls, self._settings) if self._settings else None
        self.page.start(session, self._presets, self._come_back)
        print(announcement(self.host, self.port, self.token), flush=True)

    def close(self) -> None:
        self._closing.set()
        if self._changing.acquire(timeout=CLOSE_S):  # else one that is just starting dies with this process
            self.page.close()

    def _come_back(self) -> None:
        """[comeback] The same address and token, so that whoever was looking finds the page by itself."""
        logger.warning("the control page has ended by itself; the music goes on")
        for pause_s in self._pauses_s:
            if self._closing.wait(pause_s):
                return
            with self._changing:
                if self._closing.is_set():
                    return
                try:
                    page = PageProcess(self.host, self.port, self.token)
                except ControlError as error:
                    logger.warning(error)
                    continue
                self.page.close()
                self.page = page
                page.start(self._session, self._presets, self._come_back)
            logger.warning("the control page is back")
            return
        logger.warning("the control page stays away: start the program again to have it")

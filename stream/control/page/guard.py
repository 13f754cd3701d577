"""Who may come in: the right Host, Origin and token, and not too often.

Host    a page elsewhere may point a name of its own at this machine (DNS rebinding), so names other than
        this machine's are refused. An address in digits cannot be such a name.
Origin  any web page may try to open a WebSocket to here; browsers say which, and it must be our own.
Token   where the network can reach us: compared in constant time; whoever guesses is not heard for a while.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from stream.control.page.address import is_this_machine

TRIES, FORGIVEN_S = 10, 60.0  # wrong tokens from one address, before it is shut out for so long
REMEMBERED = 1_000  # wrong tokens


class Guard:
    def __init__(self, host: str, port: int, token: str, clock: Callable[[], float] = time.monotonic):
        self._local = is_this_machine(host)
        self._port = port
        self._token = token
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)
        own = socket.gethostname().lower()
        self._names = {"localhost"} if self._local else {"localhost", own, f"{own}.local", host.lower()}

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this machine and this port."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self._port or parts.path or parts.username is not None or "%" in host:
            return False
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return number.is_loopback if self._local else True

    def is_own_origin(self, origin: str | None, host: str) -> bool:
        return origin is not None and origin == f"http://{host}"

    def accepts(self, token: object, address: str) -> bool:
        """Where a token is needed: whether this is it, and not too many others came from this address."""
        if not self._token:
            return True
        since_s = self._clock() - FORGIVEN_S
        if sum(at_s > since_s and who == address for at_s, who in self._failures) >= TRIES:
            return False
        text = token if isinstance(token, str) else ""
        right = secrets.compare_digest(text.encode(errors="replace"), self._token.encode())
        if not right:
            self._failures.append((self._clock(), address))
        return right


class Allowance:
    """So many messages a second, and a few more at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic):
        self._rate = rate
        self._burst = self._left = burst
        self._clock = clock
        self._last_s = clock()

    def take(self) -> bool:
        now_s = self._clock()
        self._left = min(self._burst, self._left + self._rate * (now_s - self._last_s))
        self._last_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

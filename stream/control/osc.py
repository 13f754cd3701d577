"""OSC over UDP: the parameters as /diffvs/PARAMETER value, and what the others move, to those who subscribe.

/diffvs/vocals 0.3       sets it; without a value asks for it
/diffvs/split            a trigger needs no value
/diffvs/preset guide     by name, or by number from 0
/diffvs/subscribe 9001   all values now, then each change, to this port of the sender; without a number to
                         the one it sends from. It lapses a minute after the sender's last message.
/diffvs/unsubscribe
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from stream.control.controls import Controls
from stream.control.parameters import PARAMETERS, ControlError, Value, parameter
from stream.control.presets import Presets
from stream.control.settings import Settings

if TYPE_CHECKING:
    from stream.session import Session

ROOT = "/diffvs/"
LOCAL = "127.0.0.1"  # nobody else in the network, unless asked for
LARGEST_PACKET = 65_536
SUBSCRIPTION_S = 60.0
MOST_SUBSCRIBERS = 16  # the oldest gives way
LOOK_UP_S = 0.5  # for the thread that listens, to see that the session ends
COMPLAIN_S = 10.0  # between two complaints
DIGITS = 6  # OSC numbers have 24 bits: 0.3 arrives as 0.30000001

Address = tuple[str, int]
logger = logging.getLogger(__name__)


class Change(NamedTuple):
    name: str
    value: Value
    author: str  # who has named it, and so knows; "" where it followed from something else


class Osc:
    """A companion with one thread that listens and one that tells."""

    def __init__(self, place: str, settings: Settings):
        """`place` is [HOST:]PORT. Raises ControlError."""
        try:
            from pythonosc.osc_message_builder import OscMessageBuilder
            from pythonosc.osc_packet import OscPacket
        except ImportError:
            raise ControlError("--osc needs python-osc, which is missing: pip install python-osc") from None
        self._message, self._packet = OscMessageBuilder, OscPacket
        self._socket = _bound(place)
        self._settings = settings
        self._subscribers: dict[Address, tuple[str, float]] = {}  # whose they are, and when they lapse
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=task, name="osc", daemon=True) for task in (self._listen, self._tell)
        ]
        self._closing = False
        self._named = ""  # what the message at hand sets
        self._ignored, self._complained_s = 0, -COMPLAIN_S

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(self, session: Session) -> None:
        self.open(session.controls)
        host, port = self.address
        print(f"OSC at {host}, UDP port {port}", flush=True)

    def open(self, controls: Controls) -> None:
        self._controls, self._presets = controls, Presets(controls, self._settings)
        self._unsubscribe = controls.subscribe(self._hear)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing = True
        if self._threads[0].is_alive():
            self._unsubscribe()
            self._changes.put(None)
            for thread in self._threads:
                thread.join(2 * LOOK_UP_S)
        self._socket.close()

    def _hear(self, name: str, value: Value, source: str) -> None:
        self._changes.put(Change(name, value, source if name == self._named else ""))

    def _listen(self) -> None:
        """[osc]"""
        logging.getLogger().addFilter(_unreadable)
        while not self._closing:
            try:
                packet, sender = self._socket.recvfrom(LARGEST_PACKET)
            except TimeoutError:
                continue
            except OSError:  # of Windows, after somebody was told who is gone
                time.sleep(0.01)
                continue
            self._take(packet, sender)
        logging.getLogger().removeFilter(_unreadable)

    def _take(self, packet: bytes, sender: Any) -> None:
        """[osc] All messages of a packet, now; what is wrong with one does not harm the others."""
        try:
            messages = [timed.message for timed in self._packet(packet).messages]
        except Exception as error:  # a parser meets everything here
            self._ignore(f"not OSC ({error or type(error).__name__})", sender)
            return
        self._renew(sender)
        for message in messages:
            try:
                self._obey(message.address, message.params, sender)
            except ControlError as error:  # noqa: PERF203
                self._ignore(f"{message.address}: {error}", sender)

    def _obey(self, address: str, values: list[Any], sender: Any) -> None:
        """[osc] Raises ControlError."""
        if not address.startswith(ROOT):
            raise ControlError(f"addresses begin with {ROOT}")
        if len(values) > 1:
            raise ControlError(f"there are {len(values)} values; one is enough")
        name, value = address.removeprefix(ROOT), _plain(values[0]) if values else None
        if name == "subscribe":
            self._subscribe(value, sender)
        elif name == "unsubscribe":
            self._forget(_source(sender))
        elif name == "preset":
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise ControlError("give a preset's name, or its number from 0")
            self._presets.recall(value, _source(sender))
        elif values or parameter(name).kind == "trigger":
            self._named = name
            self._controls.set(name, value if values else True, _source(sender))
            self._named = ""
        else:
            self._send(name, self._controls[name], sender)

    def _subscribe(self, port: object, sender: Any) -> None:
        if port is not None and not (type(port) is int and 0 < port < 65_536):
            raise ControlError(f"{port!r} is no port; give 1 to 65535")
        address = (sender[0], port or sender[1], *sender[2:])
        self._subscribers.pop(address, None)
        while len(self._subscribers) >= MOST_SUBSCRIBERS:
            del self._subscribers[next(iter(self._subscribers))]
        self._subscribers[address] = (_source(sender), time.monotonic() + SUBSCRIPTION_S)
        for name, value in self._controls.snapshot().items():
            if PARAMETERS[name].kind != "trigger":
                self._send(name, value, address)

    def _renew(self, sender: Any) -> None:
        latest_s = time.monotonic() + SUBSCRIPTION_S
        for address, (whose, _) in list(self._subscribers.items()):
            if whose == _source(sender):
                self._subscribers[address] = (whose, latest_s)

    def _forget(self, whose: str) -> None:
        for address, (owner, _) in list(self._subscribers.items()):
            if owner == whose:
                self._subscribers.pop(address, None)

    def _tell(self) -> None:
        """[osc-out] What has changed, to all but the one who said so."""
        while change := self._changes.get():
            now_s = time.monotonic()
            for address, (whose, latest_s) in list(self._subscribers.items()):
                if now_s > latest_s:
                    self._subscribers.pop(address, None)
                elif whose != change.author:
                    self._send(change.name, change.value, address)

    def _send(self, name: str, value: Value, address: Any) -> None:
        builder = self._message(ROOT + name)
        builder.add_arg(int(value) if isinstance(value, bool) else value)
        with contextlib.suppress(OSError):  # nobody is there any more
            self._socket.sendto(builder.build().dgram, address)

    def _ignore(self, reason: str, sender: Any) -> None:
        """[osc] Said at first, and then now and again: somebody may send a thousand a second."""
        self._ignored += 1
        if time.monotonic() - self._complained_s >= COMPLAIN_S:
            self._complained_s = time.monotonic()
            logger.warning("OSC: %d ignored; the last, from %s, %s", self._ignored, sender[0], reason)


def _bound(place: str) -> socket.socket:
    host, _, port = place.rpartition(":")
    host = host.strip("[]") or LOCAL
    if not port.isdecimal() or int(port) > 65_535:
        raise ControlError(f"--osc is {place}; give a port from 1 to 65535, or HOST:PORT")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
        bound = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise ControlError(f"--osc is {place}; {host} is no address of this machine ({error})") from None
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise ControlError(f"--osc is {place}; another program has this port: give another") from None
        raise ControlError(f"--osc is {place}; it cannot be opened: {error.strerror}") from None
    bound.settimeout(LOOK_UP_S)
    return bound


def _unreadable(record: logging.LogRecord) -> bool:
    """A filter: where python-osc only warns of what it cannot read and goes on without it, this refuses."""
    if record.module in ("osc_message", "osc_bundle"):
        raise ValueError(record.getMessage())
    return True


def _source(sender: Any) -> str:
    return f"osc {sender[0]}:{sender[1]}"


def _plain(value: object) -> object:
    """Whole numbers as such: surfaces send 2.0 for 2."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, DIGITS)
    return value

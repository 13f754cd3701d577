"""The browsers that are connected: what each is told, and what they hold down together.

Each has a task that sends and never lets another wait: what is new takes the place of what was not sent yet,
and columns of the picture that a slow one cannot take are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable

from aiohttp import WSCloseCode, web

from stream.control.page.link import Message

LATEST = ("about", "facts", "figures")  # of these only the last one counts
KEPT_PICTURES = 20  # pieces of columns, about a second
LEASE_S = 2.0  # a pad counts as held for so long after its last word
OVER = 4_000  # close code: the session has ended

Ask = Callable[[Message], None]


class Client:
    """One browser. [page] everything"""

    def __init__(self, name: str, socket: web.WebSocketResponse):
        self.name = name
        self._socket = socket
        self._waiting: dict[str, Message] = {}
        self._notes: deque[Message] = deque(maxlen=20)
        self._pictures: deque[bytes] = deque(maxlen=KEPT_PICTURES)
        self._news = asyncio.Event()

    def tell(self, message: Message) -> None:
        """In place of an earlier one of its type that has not been sent yet."""
        self._waiting[message["type"]] = message
        self._news.set()

    def note(self, text: str) -> None:
        """A sentence for whoever looks."""
        self._notes.append({"type": "refused", "text": text})
        self._news.set()

    def show(self, picture: bytes) -> None:
        self._pictures.append(picture)
        self._news.set()

    async def send(self) -> None:
        """Sends until it is cancelled or the browser is gone."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    await self._socket.send_str(json.dumps(self._waiting.pop(next(iter(self._waiting)))))
                while self._notes:
                    await self._socket.send_str(json.dumps(self._notes.popleft()))
                while self._pictures:
                    await self._socket.send_bytes(self._pictures.popleft())

    async def end(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=OVER, message=b"the session has ended")

    async def leave(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=WSCloseCode.GOING_AWAY)


class Hub:
    """[page] Everything. `ask` passes a message on to the session."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic):
        self.clients: dict[str, Client] = {}
        self._ask = ask
        self._clock = clock
        self._last: dict[str, Message] = {}
        self._held_until_s: dict[str, float] = {}
        self._names = 0

    def join(self, socket: web.WebSocketResponse) -> Client:
        """A client that is told all there is to know."""
        self._names += 1
        client = Client(str(self._names), socket)
        self.clients[client.name] = client
        for message in self._last.values():
            client.tell(self._addressed(message, client))
        self._ask({"type": "watched", "what": list(self.clients)})
        return client

    def part(self, client: Client) -> None:
        """It is gone, and its hands with it."""
        self.clients.pop(client.name, None)
        self.hold(client, False)
        self._ask({"type": "watched", "what": list(self.clients)})

    def hear(self, message: Message) -> None:
        """News from the session."""
        if message["type"] == "refused":
            if client := self.clients.get(message["client"]):
                client.note(message["text"])
            return
        if message["type"] == "about" and self.clients:  # they came before the session could hear of them
            self._ask({"type": "watched", "what": list(self.clients)})
        self._last[message["type"]] = message
        for client in self.clients.values():
            client.tell(self._addressed(message, client))

    def show(self, picture: bytes) -> None:
        for client in self.clients.values():
            client.show(picture)

    def do(self, client: Client, message: Message) -> None:
        """Carries out what a client has sent, already checked."""
        kind = message["type"]
        if kind == "hold":
            self.hold(client, message["on"])
        elif kind == "set":
            what = {"what": message["values"], "number": message["number"]}
            self._ask({"type": "set", "client": client.name, **what})
        else:
            self._ask({"type": kind, "client": client.name, "what": message.get("preset")})

    def hold(self, client: Client, on: bool) -> None:
        """The first hand on the pad mutes; the last to leave it ends that."""
        before = bool(self._held_until_s)
        if on:
            self._held_until_s[client.name] = self._clock() + LEASE_S
        else:
            self._held_until_s.pop(client.name, None)
        self._tell_hold(before)

    def expire(self) -> None:
        """Lets go of pads whose browsers have fallen silent; to be called now and then."""
        before, now_s = bool(self._held_until_s), self._clock()
        self._held_until_s = {name: s for name, s in self._held_until_s.items() if s > now_s}
        self._tell_hold(before)

    async def end(self) -> None:
        """Tells every browser that the session is over."""
        await asyncio.gather(*(client.end() for client in self.clients.values()))

    def _tell_hold(self, before: bool) -> None:
        if before != bool(self._held_until_s):
            self._ask({"type": "hold", "what": not before})

    def _addressed(self, message: Message, client: Client) -> Message:
        """Of all that was acknowledged, a client is told its own."""
        if message["type"] != "values":
            return message
        number = message["acknowledged"].get(client.name, -1)
        return {"type": "values", "values": message["values"], "acknowledged": number}

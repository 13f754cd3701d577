"""The page's server, spoken to as a browser would, and as none would."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the control page needs aiohttp (pip install -e '.[ui]')")

from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer, unused_port

from stream.control.page import hub as hub_module
from stream.control.page import server
from stream.control.page.guard import Guard
from stream.control.page.hub import OVER, Hub
from stream.control.parameters import PARAMETERS

PATIENCE_S = 10.0
VALUES = {name: parameter.default for name, parameter in PARAMETERS.items()}


class Desk:
    """A server with its hub, and what it has asked of the session."""

    def __init__(self, client: TestClient, hub: Hub, asked: list[dict[str, Any]]):
        self.client, self.hub, self.asked = client, hub, asked
        self.origin = f"http://{client.host}:{client.port}"

    async def socket(self, token: str = "", **headers: str) -> ClientWebSocketResponse:
        socket = await self.client.ws_connect("/socket", headers={"Origin": self.origin, **headers})
        await socket.send_json({"type": "hello", "token": token})
        return socket

    async def joined(self, token: str = "") -> ClientWebSocketResponse:
        before = len(self.hub.clients)
        socket = await self.socket(token)
        await self.until(lambda: len(self.hub.clients) > before)
        return socket

    async def until(self, condition: Callable[[], bool]) -> None:
        late_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < late_s, "it did not happen in time"
            await asyncio.sleep(0.002)

    def asked_for(self, kind: str) -> list[Any]:
        return [message.get("what") for message in self.asked if message["type"] == kind]


def converse(talk: Callable[[Desk], Awaitable[None]], token: str = "") -> None:
    async def body() -> None:
        port = unused_port()
        asked: list[dict[str, Any]] = []
        hub = Hub(asked.append)
        guard = Guard("0.0.0.0" if token else "127.0.0.1", port, token)
        app = server.application(hub, guard)
        async with TestClient(TestServer(app, port=port)) as client:
            await talk(Desk(client, hub, asked))

    asyncio.run(body())


async def receive(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message = await socket.receive_json(timeout=PATIENCE_S)
        if message["type"] == kind:
            return message


async def closing(socket: ClientWebSocketResponse) -> int | None:
    """The code with which the server closes."""
    while True:
        frame = await socket.receive(timeout=PATIENCE_S)
        if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
            return socket.close_code


def test_every_file_comes_with_a_strict_policy_and_asks_for_nothing_from_elsewhere():
    async def talk(desk: Desk) -> None:
        paths = ["/", *(f"/{path.name}" for path in server.STATIC.iterdir())]
        assert len(paths) > 8
        for path in paths:
            answer = await desk.client.get(path)
            assert answer.status == 200, path
            text = await answer.text()
            assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
            assert "https://" not in text
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
            assert "unsafe" not in policy
            if path in ("/", "/index.html"):
                assert "<script>" not in text
                assert not any(word in text for word in ("style=", "onclick=", "javascript:"))

    converse(talk)


def test_unknown_paths_and_names_are_refused():
    async def talk(desk: Desk) -> None:
        assert (await desk.client.get("/../server.py")).status == 404
        assert (await desk.client.get("/server.py")).status == 404
        assert (await desk.client.get("/", headers={"Host": "evil.example"})).status == 403
        assert (await desk.client.post("/", data="x")).status == 405

    converse(talk)


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_socket_of_another_page_is_refused(origin):
    async def talk(desk: Desk) -> None:
        with pytest.raises(WSServerHandshakeError) as refused:
            await desk.socket(Origin=origin)
        assert refused.value.status == 403
        assert not desk.asked

    converse(talk)


@pytest.mark.parametrize("token", ["", "wrong", "secret2"])
def test_a_wrong_token_closes_the_socket_and_moves_nothing(token):
    async def talk(desk: Desk) -> None:
        desk.hub.hear({"type": "values", "values": VALUES, "acknowledged": {}})
        socket = await desk.socket(token)
        await socket.send_json({"type": "set", "values": {"vocals": 1}, "number": 0})
        assert await closing(socket) == server.WRONG_TOKEN
        assert not desk.asked

    converse(talk, token="secret")


def test_the_right_token_opens():
    async def talk(desk: Desk) -> None:
        socket = await desk.joined("secret")
        await socket.send_json({"type": "set", "values": {"vocals": 1}, "number": 0})
        await desk.until(lambda: desk.asked_for("set") == [{"vocals": 1}])

    converse(talk, token="secret")


def test_a_client_that_says_no_hello_is_shown_out(monkeypatch):
    monkeypatch.setattr(server, "HELLO_S", 0.05)

    async def talk(desk: Desk) -> None:
        socket = await desk.client.ws_connect("/socket", headers={"Origin": desk.origin})
        assert await closing(socket) == server.WRONG_TOKEN

    converse(talk, token="secret")


def test_clients_are_told_the_same_and_each_its_own_acknowledgement():
    async def talk(desk: Desk) -> None:
        one, two = await desk.joined(), await desk.joined()
        names = list(desk.hub.clients)
        desk.hub.hear({"type": "values", "values": VALUES, "acknowledged": {names[0]: 7}})
        told = [await receive(socket, "values") for socket in (one, two)]
        assert [message["acknowledged"] for message in told] == [7, -1]
        assert all(message["values"] == VALUES for message in told)
        assert (await receive(await desk.joined(), "values"))[
            "values"
        ] == VALUES  # late, and told all the same

    converse(talk)


def test_a_slow_client_gets_the_latest_values_only():
    client = hub_module.Client("1", None)  # its task does not run
    for level in range(1_000):
        client.tell({"type": "values", "values": level})
        client.show(b"column")
    assert client._waiting == {"values": {"type": "values", "values": 999}}
    assert len(client._pictures) == hub_module.KEPT_PICTURES


def test_the_pad_is_held_until_the_last_hand_leaves():
    async def talk(desk: Desk) -> None:
        one, two = await desk.joined(), await desk.joined()
        for socket, on in ((one, True), (two, True), (one, True), (one, False)):
            await socket.send_json({"type": "hold", "on": on})
            await asyncio.sleep(0.02)
        assert desk.asked_for("hold") == [True]
        await two.close()  # a lost connection lets go
        await desk.until(lambda: desk.asked_for("hold") == [True, False])

    converse(talk)


def test_a_pad_whose_browser_falls_silent_is_let_go():
    clock = [0.0]
    asked: list[dict[str, Any]] = []
    hub = Hub(asked.append, clock=lambda: clock[0])
    client = hub_module.Client("1", None)
    hub.hold(client, True)
    clock[0] = hub_module.LEASE_S - 0.1
    hub.expire()
    hub.hold(client, True)  # its word
    clock[0] += hub_module.LEASE_S - 0.1
    hub.expire()
    assert [message["what"] for message in asked] == [True]
    clock[0] += 0.2
    hub.expire()
    assert [message["what"] for message in asked] == [True, False]


def test_mistakes_are_answered_and_do_no_harm():
    async def talk(desk: Desk) -> None:
        socket = await desk.joined()
        for text in ("{", '{"type": "set", "values": {"vocals": NaN}, "number": 1}'):
            await socket.send_str(text)
            assert "not understood" in (await receive(socket, "refused"))["text"]
        await socket.send_bytes(b"\x00\xff")
        assert "not understood" in (await receive(socket, "refused"))["text"]
        await socket.send_json({"type": "recall", "preset": "mix"})
        await desk.until(lambda: desk.asked_for("recall") == ["mix"])
        assert not desk.asked_for("set")
        for _ in range(server.MOST_MISTAKES):
            await socket.send_str("?")
        assert await closing(socket) == server.MISTAKES
        assert not socket.exception()

    converse(talk)


def test_a_message_that_is_too_long_ends_the_conversation():
    async def talk(desk: Desk) -> None:
        socket = await desk.joined()
        await socket.send_str(json.dumps({"type": "save", "preset": "x" * server.MOST_BYTES}))
        assert await closing(socket) == 1009
        await desk.until(lambda: not desk.hub.clients)
        assert not desk.asked_for("save")

    converse(talk)


def test_too_many_messages_end_the_conversation():
    async def talk(desk: Desk) -> None:
        socket, other = await desk.joined(), await desk.joined()
        for number in range(int(server.BURST) + 200):
            await socket.send_json({"type": "set", "values": {"vocals": 0.5}, "number": number})
        assert await closing(socket) == server.TOO_MANY_MESSAGES
        assert len(desk.asked_for("set")) <= server.BURST + server.RATE
        await other.send_json({"type": "hold", "on": True})
        await desk.until(lambda: desk.asked_for("hold") == [True])

    converse(talk)


def test_there_is_room_for_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr(server, "MOST_CLIENTS", 2)

    async def talk(desk: Desk) -> None:
        one, _ = await desk.joined(), await desk.joined()
        assert await closing(await desk.socket()) == server.TOO_MANY_CLIENTS
        await one.close()
        await desk.until(lambda: len(desk.hub.clients) == 1)
        await desk.joined()

    converse(talk)


def test_the_end_of_the_session_is_said():
    async def talk(desk: Desk) -> None:
        socket = await desk.joined()
        ending = asyncio.create_task(desk.hub.end())
        assert await closing(socket) == OVER
        await ending

    converse(talk)


def test_a_refusal_reaches_the_one_who_asked():
    async def talk(desk: Desk) -> None:
        one, two = await desk.joined(), await desk.joined()
        name = next(iter(desk.hub.clients))
        desk.hub.hear({"type": "refused", "client": name, "text": "no"})
        desk.hub.hear({"type": "refused", "client": "gone", "text": "no"})
        assert (await receive(one, "refused"))["text"] == "no"
        desk.hub.show(b"picture")
        assert (await two.receive(timeout=PATIENCE_S)).data == b"picture"

    converse(talk)

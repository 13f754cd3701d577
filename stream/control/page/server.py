"""HTTP and WebSocket of the control page: four static files, and one socket for each browser."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

from stream.control.page.guard import Allowance, Guard
from stream.control.page.hub import Client, Hub
from stream.control.page.messages import MOST_BYTES, MessageError, parse

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_CLIENTS = 12
HELLO_S = 5.0  # for a browser to show its token
CLOSE_S = 1.0  # ... to answer that it has understood the end
HEARTBEAT_S = 6.0  # a browser that does not answer for so long is gone
RATE, BURST = 150.0, 300.0  # messages a second: two faders at once, moved with the screen's refresh
MOST_MISTAKES = 20

# Close codes of our own, so that the page can say what is the matter.
WRONG_TOKEN, TOO_MANY_CLIENTS, TOO_MANY_MESSAGES, MISTAKES = 4_401, 4_503, 4_429, 4_400

GUARD: web.AppKey[Guard] = web.AppKey("guard", Guard)
HUB: web.AppKey[Hub] = web.AppKey("hub", Hub)


def application(hub: Hub, guard: Guard) -> web.Application:
    app = web.Application(middlewares=[_check_host], client_max_size=1_024)
    app[HUB], app[GUARD] = hub, guard
    app.router.add_get("/", _file("index.html"))
    for path in STATIC.iterdir():
        if path.suffix in TYPES:
            app.router.add_get(f"/{path.name}", _file(path.name))
    app.router.add_get("/socket", _socket)
    app.on_response_prepare.append(_add_headers)
    return app


@web.middleware
async def _check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.app[GUARD].knows_host(request.headers.get("Host", "")):
        raise web.HTTPForbidden(text="This is no address of the control page.\n")
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    host = request.headers.get("Host", "")  # checked, or the answer has no content to protect
    safe_host = host if request.app[GUARD].knows_host(host) else ""
    socket = f" ws://{safe_host}" if safe_host else ""  # some browsers do not count it as 'self'
    response.headers.update(
        {
            "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"img-src 'self'; connect-src 'self'{socket}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Server": "",
        }
    )


def _file(name: str) -> Handler:
    content = (STATIC / name).read_bytes()
    kind = TYPES[Path(name).suffix]

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return answer


async def _socket(request: web.Request) -> web.StreamResponse:
    hub, guard = request.app[HUB], request.app[GUARD]
    if not guard.is_own_origin(request.headers.get("Origin"), request.headers.get("Host", "")):
        raise web.HTTPForbidden(text="Only the control page itself may open this.\n")
    socket = web.WebSocketResponse(
        timeout=CLOSE_S, max_msg_size=MOST_BYTES, heartbeat=HEARTBEAT_S, compress=False
    )
    await socket.prepare(request)
    if len(hub.clients) >= MOST_CLIENTS:
        await socket.close(code=TOO_MANY_CLIENTS, message=b"too many browsers")
    elif not guard.accepts(await _token(socket), request.remote or ""):
        await socket.close(code=WRONG_TOKEN, message=b"wrong token")
    else:
        await _converse(hub, socket)
    return socket


async def _token(socket: web.WebSocketResponse) -> str | None:
    """What the browser says first. None when that is nothing, or no hello."""
    try:
        hello = await socket.receive(HELLO_S)
        message = parse(hello.data) if hello.type == WSMsgType.TEXT else {}
    except (asyncio.TimeoutError, MessageError):
        return None
    return str(message["token"]) if message.get("type") == "hello" else None


async def _converse(hub: Hub, socket: web.WebSocketResponse) -> None:
    client = hub.join(socket)
    sending = asyncio.create_task(client.send())
    try:
        await _listen(hub, client, socket)
    finally:
        hub.part(client)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


async def _listen(hub: Hub, client: Client, socket: web.WebSocketResponse) -> None:
    """Until the browser leaves, or cannot behave."""
    allowance, mistakes = Allowance(RATE, BURST), 0
    async for frame in socket:
        if not allowance.take():
            await socket.close(code=TOO_MANY_MESSAGES, message=b"too many messages")
            return
        try:
            message = parse(frame.data if frame.type == WSMsgType.TEXT else "")
            if message["type"] != "hello":
                hub.do(client, message)
        except MessageError as error:
            mistakes += 1
            client.note(f"not understood: {error}")
            if mistakes >= MOST_MISTAKES:
                await socket.close(code=MISTAKES, message=b"not understood")
                return

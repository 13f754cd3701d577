"""python -m stream.live --ui between two JACK clients: what a browser's message moves is heard."""

from __future__ import annotations

import asyncio
import socket
import time

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the control page needs aiohttp (pip install -e '.[ui]')")

from aiohttp import ClientSession
from conftest import App
from jack_server import Studio
from signals import noise

pytestmark = pytest.mark.device

RATE = 44_100
JACK_HOST = "JACK Audio Connection Kit"
PAIR = ("--input", f"virtmic {JACK_HOST}", "--output", f"virtspk {JACK_HOST}")
SILENT = 1e-5


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def say(port: int, message: dict) -> None:
    url = f"http://127.0.0.1:{port}"
    async with ClientSession() as http, http.ws_connect(f"{url}/socket", headers={"Origin": url}) as page:
        await page.send_json({"type": "hello", "token": ""})
        await page.send_json(message)
        while True:
            told = await page.receive_json(timeout=10)
            if told["type"] == "values" and told["acknowledged"] == message["number"]:
                return


def test_a_level_set_on_the_page_is_heard(app: App, studio: Studio):
    port = unused_port()
    process = app.start(*PAIR, "--model", "identity", "--mode", "mix", "--wait", "--ui", str(port))
    before, _ = studio.run(noise(RATE), freewheel=False)
    asyncio.run(say(port, {"type": "set", "values": {"vocals": 0, "accompaniment": 0}, "number": 3}))
    after, _ = studio.run(noise(RATE), freewheel=False)
    words = app.finish(process)
    assert "Traceback" not in words
    assert np.abs(before).max() > 0.1
    assert np.abs(after[RATE // 4 :]).max() < SILENT


@pytest.mark.parametrize("end", ["finish", "kill"])
def test_no_page_outlives_its_session(app: App, studio: Studio, end: str):
    port = unused_port()
    process = app.start(*PAIR, "--model", "identity", "--ui", str(port))
    if end == "finish":
        app.finish(process)
    else:
        process.kill()
    late_s = time.monotonic() + 10
    while _answers(port):
        assert time.monotonic() < late_s, f"something still listens at {port}"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

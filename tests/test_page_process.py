"""The page's process beside a session: what it moves, and how it starts, fails and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the control page needs aiohttp (pip install -e '.[ui]')")

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import unused_port
from page_rig import PlayedSession, played_noise
from test_page_server import PATIENCE_S, closing, receive

import stream.live
from stream.control.page import companion, process
from stream.control.page.companion import ControlPage
from stream.control.page.hub import OVER
from stream.control.page.spectrogram import BANDS
from stream.control.parameters import ControlError
from stream.control.settings import Settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedSession]:
    with played_noise(tmp_path_factory.mktemp("takes")) as session:
        yield session


@pytest.fixture
def page(session: PlayedSession, tmp_path: Path) -> Iterator[ControlPage]:
    page = ControlPage(
        host="127.0.0.1", port=unused_port(), settings=Settings.load(tmp_path / "settings.toml")
    )
    session.controls.apply({"mode": "karaoke", "mute": False, "bypass": False})
    page.start(session)
    yield page
    page.close()
    assert page.page.process.poll() == 0 or page.page.process.poll() == -signal.SIGKILL
    assert session.taps == (session.recording.tap,)


@contextlib.asynccontextmanager
async def browser(port: int, token: str = "") -> AsyncIterator[ClientWebSocketResponse]:
    url = f"http://127.0.0.1:{port}"
    async with ClientSession() as http, http.ws_connect(f"{url}/socket", headers={"Origin": url}) as socket:
        await socket.send_json({"type": "hello", "token": token})
        yield socket


async def told(
    socket: ClientWebSocketResponse, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first message with values that the condition is true of."""
    return await receive_text(socket, "values", condition)


async def receive_text(
    socket: ClientWebSocketResponse,
    kind: str,
    condition: Callable[[dict[str, Any]], bool] = lambda message: True,
) -> dict[str, Any]:
    async def wanted() -> dict[str, Any]:
        while True:
            frame = await socket.receive()
            assert frame.type in (WSMsgType.TEXT, WSMsgType.BINARY), "the page has closed"
            if frame.type == WSMsgType.TEXT:
                message = frame.json()
                if message["type"] == kind and condition(message):
                    return message

    return await asyncio.wait_for(wanted(), PATIENCE_S)


def until(condition: Callable[[], bool]) -> None:
    late_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < late_s, "it did not happen in time"
        time.sleep(0.01)


def run(talk: Awaitable[None]) -> None:
    async def body() -> None:
        await talk

    asyncio.run(body())


def test_moves_go_both_ways_and_to_every_client(page: ControlPage, session: PlayedSession):
    async def talk() -> None:
        async with browser(page.port) as one, browser(page.port) as two:
            await receive_text(one, "about")
            await receive_text(two, "about")
            await one.send_json({"type": "set", "values": {"vocals": 0.25}, "number": 4})
            own = await told(one, lambda message: message["acknowledged"] == 4)
            assert own["values"]["vocals"] == 0.25
            await told(two, lambda message: message["values"]["vocals"] == 0.25)
            assert session.controls["vocals"] == 0.25
            assert session.controls["mode"] == "custom"
            session.controls.set("gain", -6.0, "midi")
            for socket in (one, two):
                await told(socket, lambda message: message["values"]["gain"] == -6.0)
            session.controls.set("gain", 0.0, "midi")

    run(talk())


def test_what_the_controls_refuse_is_said_and_acknowledged(page: ControlPage, session: PlayedSession):
    async def talk() -> None:
        async with browser(page.port) as one:
            await one.send_json({"type": "set", "values": {"vocals": 2, "bypass": True}, "number": 9})
            assert "must be from 0 to 1" in (await receive_text(one, "refused"))["text"]
            assert not session.controls["bypass"]
            await one.send_json({"type": "recall", "preset": "nonesuch"})
            assert "no preset" in (await receive_text(one, "refused"))["text"]
            await one.send_json({"type": "set", "values": {"bypass": True}, "number": 10})
            await told(one, lambda message: message["acknowledged"] == 10 and message["values"]["bypass"])

    run(talk())


def test_the_model_is_taken_anew(page: ControlPage, session: PlayedSession):
    async def talk() -> None:
        async with browser(page.port) as one:
            session.reloads = 0
            await one.send_json({"type": "reload"})
            await one.send_json({"type": "reload"})
            assert "loaded already" in (await receive_text(one, "refused"))["text"]
            assert session.reloads == 2

    run(talk())


def test_presets_are_saved_recalled_and_deleted(page: ControlPage, session: PlayedSession):
    async def talk() -> None:
        async with browser(page.port) as one:
            assert (await receive_text(one, "facts"))["preset"] == "karaoke"
            session.controls.apply({"vocals": 0.4, "accompaniment": 0.9})
            await one.send_json({"type": "save", "preset": "ballad"})
            await receive_text(one, "facts", lambda facts: "ballad" in facts["presets"])
            await one.send_json({"type": "recall", "preset": "mix"})
            await told(one, lambda message: message["values"]["mode"] == "mix")
            await one.send_json({"type": "recall", "preset": "ballad"})
            await told(one, lambda message: message["values"]["vocals"] == 0.4)
            await one.send_json({"type": "delete", "preset": "ballad"})
            await receive_text(one, "facts", lambda facts: "ballad" not in facts["presets"])

    run(talk())


def test_meters_and_pictures_come_while_somebody_looks(page: ControlPage, session: PlayedSession):
    assert page.page.feed is not None
    assert not page.page.feed.tap.open

    async def talk() -> None:
        async with browser(page.port) as one:
            until(lambda: page.page.feed.tap.open)
            levels, columns = 0.0, b""
            late_s = time.monotonic() + PATIENCE_S
            while (levels == 0 or len(columns) < 2 * BANDS) and time.monotonic() < late_s:
                frame = await one.receive(timeout=PATIENCE_S)
                if frame.type == WSMsgType.BINARY:
                    columns += frame.data
                elif frame.json()["type"] == "figures":
                    levels = frame.json()["input"]
            assert 0 < levels <= np.abs(session._song).max()
            assert len(columns) % (2 * BANDS) == 0
            assert max(columns) > 0

    run(talk())
    until(lambda: not page.page.feed.tap.open)


def test_a_browser_that_waited_for_the_session_sees_it(session: PlayedSession):
    page = ControlPage(host="127.0.0.1", port=unused_port())

    async def talk() -> None:
        async with browser(page.port) as one:
            await asyncio.sleep(0.3)  # a page left open finds the next session while its model loads
            page.start(session)
            await receive_text(one, "figures")

    try:
        run(talk())
    finally:
        page.close()


def test_a_page_that_dies_lets_go_and_leaves_the_music_alone(
    page: ControlPage, session: PlayedSession, caplog
):
    async def talk() -> None:
        async with browser(page.port) as one:
            await one.send_json({"type": "hold", "on": True})
            await told(one, lambda message: message["values"]["mute"])
            page.page.process.kill()
            until(lambda: not session.controls["mute"])

    run(talk())
    before = session.stats().position
    until(lambda: session.stats().position > before)
    until(lambda: "the music goes on" in caplog.text)


def test_a_page_that_dies_comes_back_where_it_was(
    page: ControlPage, session: PlayedSession, monkeypatch, caplog
):
    page._pauses_s = iter((0.01,))
    dead = page.page
    dead.process.kill()
    until(lambda: "the control page is back" in caplog.text)
    assert session.taps == (session.recording.tap, page.page.feed.tap)  # nothing is left of the dead one

    async def talk() -> None:
        async with browser(page.port) as one:
            await receive_text(one, "about")
            await one.send_json({"type": "set", "values": {"vocals": 0.5}, "number": 1})
            await told(one, lambda message: message["values"]["vocals"] == 0.5)

    run(talk())
    caplog.clear()
    page.page.process.kill()  # once too often
    until(lambda: "stays away" in caplog.text)


def test_a_page_whose_port_is_taken_meanwhile_tries_again(page: ControlPage, caplog):
    page._pauses_s = iter((0.5, 0.01))
    page.page.process.kill()
    page.page.process.wait()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", page.port))
        taken.listen()
        until(lambda: "is taken" in caplog.text)
    until(lambda: "stays away" in caplog.text or "is back" in caplog.text)


def test_a_page_that_comes_back_does_not_outlive_its_session(page: ControlPage, caplog):
    page._pauses_s = iter((60.0,))
    page.page.process.kill()
    until(lambda: "the music goes on" in caplog.text)
    page.close()
    assert page.page.process.poll() is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process")
def test_a_page_that_hangs_keeps_nobody_waiting(page: ControlPage, session: PlayedSession, monkeypatch):
    monkeypatch.setattr(process, "CLOSE_S", 0.3)

    async def talk() -> None:
        async with browser(page.port) as one:
            await receive_text(one, "figures")
            page.page.process.send_signal(signal.SIGSTOP)
            hops = session.stats().hops
            for number in range(20_000):  # more than a pipe holds
                session.controls.set("gain", -(number % 2))
            until(lambda: session.stats().hops > hops + 100)
            assert len(page.page.feed.tap._stretches) <= page.page.feed.tap._stretches.maxlen
            await asyncio.to_thread(page.close)  # kills it

    run(talk())
    assert page.page.process.returncode == -signal.SIGKILL


def test_the_end_of_a_session_is_said(page: ControlPage):
    async def talk() -> None:
        async with browser(page.port) as one:
            await receive_text(one, "about")
            ending = asyncio.create_task(asyncio.to_thread(page.close))
            assert await closing(one) == OVER
            await ending

    run(talk())


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
@pytest.mark.skipif(os.name == "nt", reason="the signal is POSIX's")
def test_the_page_dies_with_its_session(end: str):
    port = unused_port()
    program = f"""
import os, pathlib, sys
sys.path.insert(0, "tests")
from page_rig import played_noise
from stream.control.page.companion import ControlPage
page = ControlPage(host="127.0.0.1", port={port})
with played_noise(pathlib.Path("unused")) as session:
    page.start(session)
    print(page.page.process.pid, flush=True)
    sys.stdin.readline()
    {end}
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        parent.stdout.readline()
        child = int(parent.stdout.readline())

        async def talk() -> None:
            async with browser(port) as one:
                await receive_text(one, "about")
                parent.stdin.write("\n")
                parent.stdin.flush()
                assert await closing(one) == OVER

        run(talk())
    until(lambda: not is_running(child))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert stream.live.main(["--ui", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"stream.live: --ui: port {port} of 127.0.0.1 is taken")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ui", "0"], "--ui is 0; a port is from 1 to 65535"),
        (["--ui", "70000"], "--ui is 70000"),
        (["--ui", "8470", "--ui-host", "198.51.100.1"], "the page cannot be at 198.51.100.1, port 8470"),
        (["--ui-host", "no.such.name.invalid"], "the page cannot be at no.such.name.invalid"),
    ],
)
def test_a_place_that_cannot_be_is_one_sentence(arguments, words, capsys):
    assert stream.live.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("package", ["aiohttp", "segno"])
def test_a_missing_package_is_named_with_its_cure(package, monkeypatch, capsys):
    find = companion.importlib.util.find_spec
    monkeypatch.setattr(
        companion.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    assert stream.live.main(["--ui"]) == 2
    said = capsys.readouterr().err
    assert f"--ui needs the package {package}: pip install -e '.[ui]'" in said


def test_only_an_address_of_the_network_has_a_token():
    with pytest.raises(ControlError):
        ControlPage(host="198.51.100.1", port=unused_port())
    page = ControlPage(host="0.0.0.0", port=unused_port())
    try:
        assert len(page.token) >= 22

        async def talk() -> None:
            async with browser(page.port, "guess") as socket:
                assert await closing(socket) == 4_401
            async with browser(page.port, page.token) as socket:
                await socket.send_json({"type": "hold", "on": 3})
                await receive(socket, "refused")

        run(talk())
    finally:
        page.close()

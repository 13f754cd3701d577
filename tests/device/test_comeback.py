"""A server that dies and comes back: the program finds its devices again and plays on as before."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import App
from jack_server import PERIOD, Server, Studio, jack_server
from signals import noise
from test_jack import HOP, PAIR, RATE, SYSTEM, aligned, expected_delay

from stream.latency import SLACK_HOPS

# A second server all the while: a test run beside this one that finds none would clear away the list of
# servers, which a client of a dead one still goes by.
pytestmark = [pytest.mark.device, pytest.mark.usefixtures("jack")]


class Words:
    """What a process says on stderr, as it comes."""

    def __init__(self, process: subprocess.Popen):
        self.lines: list[str] = []
        self._thread = threading.Thread(target=lambda: self.lines.extend(process.stderr), daemon=True)
        self._process = process
        self._thread.start()

    def until(self, words: str, timeout_s: float = 40) -> None:
        until_s = time.monotonic() + timeout_s
        while not any(words in line for line in self.lines):
            assert self._process.poll() is None, self.lines
            assert time.monotonic() < until_s, self.lines
            time.sleep(0.02)

    def end(self, process: subprocess.Popen) -> str:
        """Stops the process; what it said on stdout."""
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        assert process.wait(20) == 0, self.lines
        assert "Traceback" not in "".join(self.lines)
        return out


def killed(server: Server, number: int) -> None:
    server.process.send_signal(number)
    server.process.wait(10)


@pytest.mark.parametrize(
    ("number", "block"), [(signal.SIGTERM, PERIOD), (signal.SIGKILL, PERIOD), (signal.SIGKILL, 441)]
)
def test_a_server_that_comes_back_is_played_on_with_the_same_latency(
    doomed_app: App, doomed_jack: Server, number: int, block: int, tmp_path: Path
):
    sent = noise(RATE)
    with Studio(doomed_jack) as studio:
        process = doomed_app.start(
            *(*PAIR, "--model", "identity", "--mode", "mix", "--record", str(tmp_path)),
            *("--block-size", str(block)),
        )
        words = Words(process)
        heard, offset = studio.run(sent, freewheel=False)
    delay = expected_delay(block, slack=round(SLACK_HOPS["normal"] * HOP))
    np.testing.assert_array_equal(aligned(heard, offset, delay, len(sent)), sent)
    killed(doomed_jack, number)
    words.until("the audio device is gone (unplugged, or its server stopped); looking for it")

    with jack_server(doomed_jack.name) as server:
        with Studio(server) as studio:
            words.until("the audio device is back", timeout_s=150)
            heard, offset = studio.run(sent, freewheel=False)
        out = words.end(process)
    np.testing.assert_array_equal(aligned(heard, offset, delay, len(sent)), sent)
    assert soundfile.info(tmp_path / "vocals.wav").frames > 2 * len(sent)  # one take, before and after
    assert "1 time" in out


def test_a_device_may_go_more_than_once(doomed_app: App, doomed_jack: Server):
    process = doomed_app.start(*SYSTEM, "--seconds", "3600")
    words = Words(process)
    time.sleep(0.3)
    killed(doomed_jack, signal.SIGKILL)
    for _ in range(2):
        words.until("is gone")
        with jack_server(doomed_jack.name, synchronous=False) as server:
            words.until("is back")
            words.lines.clear()
            time.sleep(0.5)
            killed(server, signal.SIGTERM)
    words.until("is gone")
    assert "3 times" in words.end(process)  # ends well while the device is gone


def test_after_so_long_it_gives_up(doomed_app: App, doomed_jack: Server):
    process = doomed_app.start(*SYSTEM, "--give-up", "1.5")
    time.sleep(0.3)
    killed(doomed_jack, signal.SIGTERM)
    words = doomed_app.wait(process, code=2)
    assert "stream.live: the audio device is gone" in words
    assert "played" in words

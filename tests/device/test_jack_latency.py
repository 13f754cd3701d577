"""What JACK is told of our latency is what it measures, to the sample: so hosts can compensate."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from conftest import App
from jack_server import MICROPHONE, PERIOD, Server, Studio
from signals import noise
from test_comeback import Words
from test_jack import PAIR, RATE, SYSTEM, aligned
from test_jack_insert import insert

from stream.jack_insert import OURS, STAND_IN

pytestmark = pytest.mark.device


def told(server: Server, port: str) -> dict[str, int]:
    """Samples of latency at a port: "capture" from the world to it, "playback" from it to the world."""
    answer = subprocess.run(
        ["jack_lsp", "-l", port], env=server.environment, capture_output=True, text=True, timeout=20
    ).stdout
    found = re.findall(r"port (capture|playback) latency = \[ (\d+) (\d+) \]", answer)
    assert len(found) == 2, answer
    assert all(least == most for _, least, most in found)
    return {kind: int(least) for kind, least, _ in found}


@pytest.mark.parametrize("latency", ["low", "safe"])
def test_jack_is_told_what_passes_between_input_and_output(
    app: App, jack: Server, studio: Studio, latency: str
):
    process = app.start(*PAIR, "--model", "identity", "--mode", "mix", "--latency", latency)
    into, out = told(jack, f"{OURS}:in_1"), told(jack, f"{OURS}:out_1")
    ours = out["capture"] - into["capture"]
    assert into["playback"] - out["playback"] == ours > 0
    assert told(jack, "virtspk:in_1")["capture"] - told(jack, f"{MICROPHONE}:out_1")["capture"] == ours
    sent = noise(RATE)
    heard, offset = studio.run(sent, freewheel=False)
    app.finish(process)
    np.testing.assert_array_equal(aligned(heard, offset, ours, len(sent)), sent)


def test_the_budget_is_what_jack_says_from_microphone_to_loudspeaker(app: App, jack: Server):
    process = app.start(*SYSTEM)
    parts = {
        line[:14].strip(): int(line[14:].split()[0]) for line in app.introduction if line.endswith("ms\n")
    }
    whole = told(jack, "system:playback_1")
    app.finish(process)
    assert parts["total"] == whole["capture"] + whole["playback"]
    assert parts["block"] == PERIOD


def test_two_of_us_have_two_names(app: App, jack: Server):
    first, second = app.start(*SYSTEM), app.start(*SYSTEM)
    assert told(jack, f"{OURS}-01:out_1") == told(jack, f"{OURS}:out_1")
    app.finish(first)
    app.finish(second)


def test_a_server_that_changes_its_period_is_played_on_with(doomed_app: App, doomed_jack: Server):
    """The engine keeps its blocks and its latency: PortAudio cuts the server's for it."""
    process = doomed_app.start(*SYSTEM, "--model", "identity", "--mode", "mix")
    words = Words(process)
    subprocess.run(["jack_bufsize", "512"], env=doomed_jack.environment, timeout=20, capture_output=True)
    words.until("the audio device is back", timeout_s=150)
    done = insert(doomed_jack, "system:capture", "system:playback")
    assert f"system:capture_1 -> {STAND_IN}" in done.stdout, done.stderr
    words.end(process)

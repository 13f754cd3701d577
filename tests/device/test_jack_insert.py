"""stream.live as an insert of another program: what is sent comes back at the latency that docs say."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, App
from jack_server import PERIOD, Server, Studio
from signals import noise
from test_jack import RATE, SYSTEM, aligned, expected_delay

from stream.jack_insert import OURS

pytestmark = pytest.mark.device


def insert(server: Server, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "stream.jack_insert", *arguments],
        cwd=ROOT,
        env={**server.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def connections(server: Server, client: str) -> str:
    return subprocess.run(
        ["jack_lsp", "-c", client], env=server.environment, capture_output=True, text=True, timeout=20
    ).stdout


@pytest.mark.parametrize("block", [PERIOD, 441])
def test_a_host_gets_back_what_it_sends_at_the_latency_of_the_budget(
    app: App, jack: Server, studio: Studio, block: int
):
    blocks = () if block == PERIOD else ("--block-size", str(block))
    ours, first = (OURS, 1) if block == PERIOD else ("PortAudio", 0)
    process = app.start(*SYSTEM, "--model", "identity", "--mode", "mix", *blocks, "--wait")
    for _ in range(2):  # a second time changes nothing
        done = insert(jack, "virtmic:out", "virtspk:in")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"virtmic:out_1 -> {ours}:in_{first}",
            f"virtmic:out_2 -> {ours}:in_{first + 1}",
            f"{ours}:out_{first} -> virtspk:in_1",
            f"{ours}:out_{first + 1} -> virtspk:in_2",
        ]
    assert "system" not in connections(jack, ours)  # neither the microphone nor the loudspeaker besides
    sent = noise(2 * RATE)
    heard, offset = studio.run(sent, freewheel=True)
    app.finish(process)
    delay = expected_delay(block)
    np.testing.assert_array_equal(aligned(heard, offset, delay, len(sent)), sent)
    parts = {line[:14].strip(): line[14:].split()[0] for line in app.introduction if line.endswith("ms\n")}
    named = ["adapter", "algorithmic", "lookahead", "slack"] + ["block"] * (block != PERIOD)
    assert sum(int(parts[name]) for name in named) == delay  # what docs/plugin-hosts.md says to add up


def test_what_is_not_there_is_answered_with_what_is(app: App, jack: Server):
    refused = insert(jack, "ardour:send", "ardour:return")
    assert refused.returncode == 2
    assert "of a running stream.live begins with 'diffvs:'" in refused.stderr
    process = app.start(*SYSTEM, "--model", "identity")
    refused = insert(jack, "ardour:send", "ardour:return")
    app.finish(process)
    assert refused.returncode == 2
    assert "no port to send from begins with 'ardour:send'; there are:" in refused.stderr
    assert "system:capture_1" in refused.stderr


def test_without_a_server_or_its_tools_it_is_one_sentence(jack: Server):
    nowhere = {**jack.environment, "JACK_DEFAULT_SERVER": f"nowhere-{os.getpid()}"}
    for environment, words in ((nowhere, "jack_lsp"), ({**nowhere, "PATH": "/nonexistent"}, "is missing")):
        done = subprocess.run(
            [sys.executable, "-m", "stream.jack_insert", "a", "b"],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1

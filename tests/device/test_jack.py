"""python -m stream.live between two JACK clients: one plays, one records, and the answer is compared.

The whole path has a closed form, to the sample: n_fft - gcd(block, hop) + slack. In blocks of another size
than the server's, it plays through PortAudio, which delays by exactly one block more.
"""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import App
from jack_server import PERIOD, Server, Studio
from signals import noise, residual_db

from stream.latency import SLACK_HOPS
from stream.separation.separator import BUNDLED_MODEL

pytestmark = pytest.mark.device

RATE, N_FFT, HOP = 44_100, 2_048, 1_024
IDENTITY_DB = -120.0  # what float32 leaves of a transform and its inverse
JACK_HOST = "JACK Audio Connection Kit"
PAIR = ("--input", f"virtmic {JACK_HOST}", "--output", f"virtspk {JACK_HOST}")
SYSTEM = ("--input", f"system {JACK_HOST}", "--output", f"system {JACK_HOST}")


def expected_delay(block: int = PERIOD, slack: int = 0) -> int:
    adapted = 0 if block == PERIOD else block
    return adapted + N_FFT - math.gcd(block, HOP) + slack


def aligned(recording: np.ndarray, offset: int, delay: int, length: int) -> np.ndarray:
    begin = delay - offset
    return recording[begin : begin + length]


def test_the_command_of_the_readme_plays(app: App, studio: Studio):
    devices = app.devices()
    source, sink = devices[f"virtmic, {JACK_HOST}"], devices[f"virtspk, {JACK_HOST}"]
    process = app.start("--input", source, "--output", sink)
    sent = noise(2 * RATE)
    heard, offset = studio.run(sent, freewheel=False)
    words = app.finish(process)
    assert "played" in words
    if BUNDLED_MODEL.is_file():
        assert np.isfinite(heard).all()
    else:  # nothing is separated, so the mix is played
        got = aligned(heard, offset, expected_delay(slack=round(SLACK_HOPS["normal"] * HOP)), len(sent))
        np.testing.assert_array_equal(got, sent)


@pytest.mark.parametrize("block", [PERIOD, 64, 441, 1024])
def test_levels_of_one_give_the_input_bit_for_bit_at_the_reported_latency(
    app: App, studio: Studio, block: int
):
    process = app.start(*PAIR, "--model", "identity", "--mode", "mix", "--block-size", str(block), "--wait")
    sent = noise(4 * RATE)
    heard, offset = studio.run(sent, freewheel=True)
    app.finish(process)
    np.testing.assert_array_equal(aligned(heard, offset, expected_delay(block), len(sent)), sent)


def test_the_separated_path_is_exact_in_freewheel(app: App, studio: Studio):
    process = app.start(*PAIR, "--model", "identity", "--mode", "acapella", "--block-size", "480", "--wait")
    sent = noise(4 * RATE)
    heard, offset = studio.run(sent, freewheel=True)
    words = app.finish(process)
    assert "without vocals 0.00 s in 0 gaps" in words
    assert residual_db(aligned(heard, offset, expected_delay(480), len(sent)), sent) < IDENTITY_DB


def test_the_worker_keeps_up_in_real_time(app: App, studio: Studio):
    """Asynchronously: late vocals would leave the accompaniment, which is nothing here, with sound in it."""
    process = app.start(*PAIR, "--model", "identity", "--mode", "karaoke", "--latency", "safe")
    sent = noise(3 * RATE)
    heard, offset = studio.run(sent, freewheel=False)
    app.finish(process)
    got = aligned(heard, offset, expected_delay(slack=4 * HOP), len(sent))
    silent = np.abs(got).max(axis=1) < 1e-5
    assert silent.mean() > 0.5  # a busy machine may be late at times; a broken worker is always


def test_a_recording_holds_both_parts_aligned(app: App, studio: Studio, tmp_path: Path):
    process = app.start(*PAIR, "--model", "identity", "--record", str(tmp_path / "take"), "--wait")
    sent = noise(2 * RATE)
    studio.run(sent, freewheel=True)
    words = app.finish(process)
    vocals, _ = soundfile.read(tmp_path / "take" / "vocals.wav", dtype="float32")
    accompaniment, _ = soundfile.read(tmp_path / "take" / "accompaniment.wav", dtype="float32")
    assert "recorded" in words
    played = vocals + accompaniment
    first = int(np.flatnonzero(np.abs(played).max(axis=1))[0])
    assert residual_db(played[first : first + len(sent)], sent) < IDENTITY_DB


def test_a_killed_program_leaves_readable_recordings(doomed_app: App, tmp_path: Path):
    process = doomed_app.start(*SYSTEM, "--model", "identity", "--record", str(tmp_path))
    time.sleep(2.0)
    process.kill()
    process.wait()
    for name in ("vocals.wav", "accompaniment.wav"):
        assert soundfile.info(tmp_path / name).duration > 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_a_summary(app: App, jack: Server, number: int):
    process = app.start(*SYSTEM)
    time.sleep(0.3)
    words = app.finish(process, number)
    assert "played" in words
    assert "load" in words


def test_seconds_end_it(app: App, jack: Server):
    process = app.start(*SYSTEM, "--seconds", "1")
    words = app.wait(process)
    assert f"played {math.ceil(RATE / PERIOD) * PERIOD / RATE:.2f} s" in words  # to the end of the block


def test_the_latency_budget_is_the_sum_of_its_parts(app: App, jack: Server):
    process = app.start(*SYSTEM, "--block-size", "441")
    parts = {
        line[:14].strip(): int(line[14:].split()[0]) for line in app.introduction if line.endswith("ms\n")
    }
    app.finish(process)
    assert parts["adapter"] == HOP - math.gcd(441, HOP)
    assert parts["algorithmic"] == N_FFT - HOP
    assert parts["slack"] == HOP
    total = parts.pop("total")
    assert total == sum(parts.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_dies_is_reported(doomed_app: App, doomed_jack: Server, number: int):
    process = doomed_app.start(*SYSTEM, "--give-up", "0")
    time.sleep(0.3)
    doomed_jack.process.send_signal(number)
    words = doomed_app.wait(process, code=2)
    assert "the audio device is gone" in words
    assert "played" in words


def test_a_refused_rate_names_the_good_one(app: App, jack: Server):
    words = app.refused(*SYSTEM, "--sample-rate", "48000")
    assert "does not run at 48000 Hz" in words
    assert "--sample-rate 44100" in words


def test_devices_that_do_not_fit_are_refused_with_the_list(app: App, studio: Studio):
    assert "there is no device 99" in (
        words := app.refused("--input", "99", "--output", f"virtspk {JACK_HOST}")
    )
    assert "virtmic" in words
    assert "no input channels" in app.refused("--input", "virtspk", "--output", "virtspk")
    assert "no device has 'nonesuch'" in app.refused("--input", "virtmic", "--output", "nonesuch")
    assert "4 were asked for" in app.refused("--input", "virtmic", "--output", "virtspk", "--channels", "4")


def test_a_refused_device_leaves_no_recording(app: App, jack: Server, tmp_path: Path):
    app.refused("--input", "system", "--output", "nonesuch", "--record", str(tmp_path / "take"))
    assert not (tmp_path / "take").exists()

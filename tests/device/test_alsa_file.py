"""python -m stream.live over ALSA's file plug-in: a raw file for microphone, one for loudspeaker, no daemon.

Nothing paces these devices, so the program waits for its worker (--wait) and must stop by itself (--seconds).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import App
from signals import noise, residual_db

pytestmark = pytest.mark.device

RATE, N_FFT, HOP = 44_100, 2_048, 1_024
IDENTITY_DB = -120.0

CONFIGURATION = """\
</usr/share/alsa/alsa.conf>
pcm.virtmic {{ type file slave.pcm "null" file "/dev/null" infile "{mic}" format "raw"
               hint {{ show on description "file mic" }} }}
pcm.virtspk {{ type file slave.pcm "null" file "{spk}" format "raw"
               hint {{ show on description "file spk" }} }}
"""


class Rig:
    """A microphone that hears an array, and a loudspeaker that keeps what it plays."""

    def __init__(self, folder: Path):
        self._mic, self._spk = folder / "mic.raw", folder / "spk.raw"
        configuration = folder / "asound.conf"
        configuration.write_text(CONFIGURATION.format(mic=self._mic, spk=self._spk))
        self.environment = {
            **os.environ,
            "ALSA_CONFIG_PATH": str(configuration),
            "JACK_DEFAULT_SERVER": "nowhere",
            "JACK_NO_START_SERVER": "1",
        }

    def hear(self, samples: np.ndarray) -> None:
        silence = np.zeros(
            (RATE, samples.shape[1]), np.float32
        )  # after the end of its file the plug-in repeats itself
        np.concatenate([samples, silence]).tofile(self._mic)

    def heard(self, channels: int = 2) -> np.ndarray:
        return np.fromfile(self._spk, np.float32).reshape(-1, channels)


@pytest.fixture
def rig(portaudio: None, tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture
def app(rig: Rig):
    with App(rig.environment) as app:
        yield app


@pytest.mark.parametrize("block", [512, 1024])
@pytest.mark.parametrize("mode", ["mix", "acapella"])
def test_what_goes_in_comes_out(app: App, rig: Rig, block: int, mode: str):
    sent = noise(5 * RATE)
    rig.hear(sent)
    process = app.start(
        *("--input", "virtmic", "--output", "virtspk", "--model", "identity", "--mode", mode),
        *("--block-size", str(block), "--wait", "--seconds", "5.5"),
    )
    words = app.wait(process)
    played = rig.heard()
    delay = 2 * block + N_FFT - math.gcd(block, HOP)  # two blocks are the driver's
    got = played[delay : delay + len(sent)]
    if mode == "mix":
        np.testing.assert_array_equal(got, sent)
    else:
        assert "in 0 gaps" in words
        assert residual_db(got, sent) < IDENTITY_DB


def test_stems_go_where_they_were_routed(app: App, rig: Rig):
    sent = noise(3 * RATE, 4)
    rig.hear(sent)
    process = app.start(
        *("--input", "virtmic", "--output", "virtspk", "--model", "identity", "--wait", "--seconds", "3.5"),
        *("--input-channels", "4,2", "--route", "vocals=3,4", "accompaniment=5,6", "mix=1"),
    )
    assert "channels 4,2 to mix=1 vocals=3,4 accompaniment=5,6 at" in app.introduction[0]
    assert "vocals 100%, accompaniment 100%" in app.introduction[1]
    app.wait(process)
    delay = 2 * HOP + N_FFT - HOP
    got, heard = rig.heard(6)[delay : delay + len(sent)], sent[:, [3, 1]]
    np.testing.assert_array_equal(got[:, 0], (heard[:, 0] + heard[:, 1]) / 2)
    assert not got[:, 1].any()
    assert residual_db(got[:, 2:4], heard) < IDENTITY_DB
    np.testing.assert_array_equal(got[:, 4:6], heard - got[:, 2:4])


def test_a_mono_microphone_plays_on_both_sides(app: App, rig: Rig):
    sent = noise(2 * RATE, 1)
    rig.hear(sent)
    process = app.start(
        *("--input", "virtmic", "--output", "virtspk", "--model", "identity", "--wait", "--seconds", "2.5"),
        *("--input-channels", "1", "--mode", "mix"),
    )
    app.wait(process)
    delay = 2 * HOP + N_FFT - HOP
    np.testing.assert_array_equal(rig.heard()[delay : delay + len(sent)], np.hstack([sent, sent]))


def test_a_channel_that_the_device_does_not_have_is_refused(app: App, rig: Rig):
    rig.hear(noise(100))
    words = app.refused("--input", "virtmic", "--output", "virtspk", "--input-channels", "1,100000")
    assert "virtmic" in words
    assert "input channels; choose from 1 to" in words


def test_seconds_are_exact_to_the_block(app: App, rig: Rig):
    rig.hear(noise(RATE))
    process = app.start("--input", "virtmic", "--output", "virtspk", "--wait", "--seconds", "0.9")
    blocks = math.ceil(0.9 * RATE / HOP)
    assert f"played {blocks * HOP / RATE:.2f} s" in app.wait(process)


def test_a_free_running_device_outruns_the_worker_without_harm(app: App, rig: Rig):
    """Without --wait nearly everything is late: then it is the input, at the same delay."""
    sent = noise(5 * RATE)
    rig.hear(sent)
    process = app.start(
        *("--input", "virtmic", "--output", "virtspk", "--model", "identity", "--mode", "acapella"),
        *("--latency", "low", "--seconds", "5.5"),
    )
    app.wait(process)
    delay = 2 * HOP + N_FFT - HOP + HOP // 2
    got = rig.heard()[delay : delay + len(sent)]
    assert residual_db(got, sent) < IDENTITY_DB


def test_no_device_at_all_is_said_clearly(tmp_path: Path, portaudio: None):
    configuration = tmp_path / "asound.conf"
    configuration.write_text("</usr/share/alsa/alsa.conf>\n")
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(configuration), "JACK_DEFAULT_SERVER": "nowhere"}
    with App(environment) as app:
        assert "there is no device 77" in app.refused("--input", "77", "--output", "78")

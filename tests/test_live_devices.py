"""Devices are found by id or by words; every refusal is one sentence with a way out. No PortAudio needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cpp_ext import AudioPort
from stream.audio.devices import (
    BAD_COMBINATION,
    DEVICE_UNAVAILABLE,
    INVALID_SAMPLE_RATE,
    DeviceError,
    check,
    describe,
    find_device,
    list_devices,
)
from stream.audio.streams import DeviceStream

ROOT = Path(__file__).parent.parent
ALSA, JACK = 0, 1


class PortAudioError(Exception):
    pass


def entry(name: str, host: int, inputs: int, outputs: int, rate: float = 44_100.0) -> dict:
    return {
        "name": name,
        "hostapi": host,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate,
        "default_low_input_latency": 0.005,
        "default_low_output_latency": 0.006,
    }


class FakeSoundDevice(SimpleNamespace):
    """As much of sounddevice as is used, over a list of devices that run at 44,100 Hz."""

    PortAudioError = PortAudioError

    def __init__(self):
        super().__init__(
            devices=[
                entry("USB Interface", ALSA, 2, 2),
                entry("USB Microphone", ALSA, 1, 0),
                entry("Headphones", ALSA, 0, 2),
                entry("Interface", JACK, 2, 2),
                entry("Interface Pro", JACK, 2, 2),
            ],
            default=SimpleNamespace(device=[1, 2]),
            opening=None,  # the error that opening raises
            _ffi=SimpleNamespace(cast=lambda kind, address: address),
        )

    def query_devices(self):
        return self.devices

    def query_hostapis(self):
        return [{"name": "ALSA"}, {"name": "JACK Audio Connection Kit"}]

    def check_input_settings(self, *, device, channels, dtype, samplerate):
        if samplerate != 44_100:
            raise PortAudioError("Invalid sample rate", INVALID_SAMPLE_RATE)

    check_output_settings = check_input_settings

    def _StreamBase(self, **settings):  # noqa: N802
        if self.opening:
            raise self.opening
        self.settings = settings
        return SimpleNamespace(latency=(97_391.0, 0.0), active=True, start=lambda: None)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    fake = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def port(channels: int = 2) -> AudioPort:
    return AudioPort(
        channels=channels, latency=0, max_block=512, ring_samples=4_096, ramp_samples=1, fade_samples=1
    )


def opened(**settings) -> DeviceStream:
    source, sink = find_device("0", "input"), find_device("0", "output")
    return DeviceStream(
        port(),
        **{
            "input_device": source,
            "output_device": sink,
            "sample_rate": 44_100,
            "block_size": 512,
            **settings,
        },
    )


@pytest.mark.parametrize(
    ("wanted", "kind", "name"),
    [
        ("2", "output", "Headphones"),
        ("headph", "output", "Headphones"),
        ("usb micro", "input", "USB Microphone"),
        ("usb", "output", "USB Interface"),  # the only one with outputs
        ("interface alsa", "input", "USB Interface"),
        ("Interface", "input", "Interface"),  # the whole name goes before a part
        (None, "input", "USB Microphone"),
        (None, "output", "Headphones"),
    ],
)
def test_devices_are_found(sound, wanted, kind, name):
    assert find_device(wanted, kind).name == name


@pytest.mark.parametrize(
    ("wanted", "kind", "words"),
    [
        ("9", "input", "there is no device 9; choose one of"),
        ("usb", "input", "'usb' fits 2 input devices"),
        ("violin", "input", "no device has 'violin' in its name"),
        ("", "input", "no device has ''"),
        ("-1", "input", "no device has '-1'"),
        ("headphones", "input", "has no input channels"),
        ("1", "output", "has no output channels"),
    ],
)
def test_what_is_not_found_is_answered_with_a_choice(sound, wanted, kind, words):
    with pytest.raises(DeviceError) as refusal:
        find_device(wanted, kind)
    assert words in str(refusal.value)
    assert "USB" in str(refusal.value)


def test_no_default_is_said(sound):
    sound.default.device = [-1, -1]
    with pytest.raises(DeviceError, match="no default input device"):
        find_device(None, "input")


def test_the_list_shows_what_to_choose_by(sound):
    table = describe(list_devices())
    assert len(table.splitlines()) == 5
    assert "USB Microphone    1 in   0 out   44100 Hz  ALSA" in table
    assert "no audio device" in describe([])


def test_a_refused_rate_names_the_good_ones(sound):
    with pytest.raises(DeviceError, match=r"does not run at 48000 Hz; give --sample-rate 44100$"):
        check(find_device("0", "input"), "input", sample_rate=48_000, channels=2)


def test_too_many_channels_are_refused(sound):
    with pytest.raises(DeviceError, match="has 1 input channels, 2 were asked for; give --channels 1"):
        check(find_device("1", "input"), "input", sample_rate=44_100, channels=2)


def test_two_hosts_cannot_run_together(sound):
    with pytest.raises(DeviceError, match="belong to different hosts"):
        opened(output_device=find_device("3", "output"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (DEVICE_UNAVAILABLE, "in use by another program"),
        (BAD_COMBINATION, "cannot run together"),
        (-9999, "cannot be opened: Broken pipe"),
    ],
)
def test_what_portaudio_says_becomes_a_sentence(sound, code, words):
    sound.opening = PortAudioError("Broken pipe", code)
    with pytest.raises(DeviceError, match=words):
        opened()


def test_the_native_callback_is_handed_over(sound):
    opened()
    assert sound.settings["callback"] > 0
    assert sound.settings["userdata"] > 0
    assert sound.settings["wrap_callback"] is None
    assert sound.settings["dither_off"]


def test_a_latency_that_cannot_be_is_replaced_by_the_device_s_own(sound):
    assert opened().latency_s == (0.005, 0.006)


def run_without(tmp_path: Path, stub: str) -> str:
    (tmp_path / "sounddevice.py").write_text(stub)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "stream.live", "--list-devices"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_a_missing_portaudio_names_the_package(tmp_path: Path):
    words = run_without(tmp_path, "raise OSError('PortAudio library not found')")
    assert "PortAudio is missing" in words
    assert {"linux": "libportaudio2", "darwin": "brew", "win32": "pip install"}[sys.platform] in words


def test_a_missing_sounddevice_names_the_package(tmp_path: Path):
    assert "pip install sounddevice" in run_without(tmp_path, "raise ImportError('no module')")


def test_the_product_starts_without_portaudio_and_torch():
    script = (
        "import sys, stream.live, stream.render; print({'sounddevice', 'torch', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "set()", done.stderr

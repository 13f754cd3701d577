"""When two devices count as two clocks, and the two streams that are opened then. No PortAudio needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from snapshots import STATS
from test_live_devices import FakeSoundDevice, PortAudioError

import stream.live
from cpp_ext import AudioPort
from stream.audio.clocks import MARGIN_S, Clocks, share_clock
from stream.audio.devices import DEVICE_UNAVAILABLE, Device, DeviceError
from stream.audio.routing import plan
from stream.display.panel import trouble
from stream.latency import LatencyBudget
from stream.session import LiveOptions

BLOCK = 512


def device(number: int, name: str, host: str, rate: int = 44_100, channels: int = 4) -> Device:
    return Device(
        id=number,
        name=name,
        host=host,
        input_channels=channels,
        output_channels=channels,
        default_sample_rate=rate,
        low_input_latency_s=0.004,
        low_output_latency_s=0.006,
    )


@pytest.mark.parametrize(
    ("source", "sink", "shared"),
    [
        (device(0, "A", "ALSA"), device(0, "A", "ALSA"), True),
        (device(0, "A", "ALSA"), device(1, "A", "JACK Audio Connection Kit"), False),
        (device(0, "system", "JACK Audio Connection Kit"), device(1, "b", "JACK Audio Connection Kit"), True),
        (device(0, "A", "ASIO"), device(1, "B", "ASIO"), True),
        (device(0, "USB: - (hw:1,0)", "ALSA"), device(1, "USB: - (hw:1,1)", "ALSA"), True),
        (device(0, "USB: - (hw:1,0)", "ALSA"), device(1, "PCH: - (hw:0,0)", "ALSA"), False),
        (device(0, "pulse", "ALSA"), device(1, "default", "ALSA"), True),
        (
            device(0, "Line (USB Audio)", "Windows WASAPI"),
            device(1, "Speakers (USB Audio)", "Windows WASAPI"),
            True,
        ),
        (
            device(0, "Line (USB Audio)", "Windows WASAPI"),
            device(1, "Speakers (HD Audio)", "Windows WASAPI"),
            False,
        ),
        (device(0, "Scarlett 2i2", "Core Audio"), device(1, "Scarlett 2i2", "Core Audio"), True),
        (device(0, "BlackHole 2ch", "Core Audio"), device(1, "Scarlett 2i2", "Core Audio"), False),
    ],
    ids=lambda value: str(value),
)
def test_who_shares_a_clock(source, sink, shared):
    assert share_clock(source, sink) is shared
    assert share_clock(sink, source) is shared


class TwoStreams(FakeSoundDevice):
    """Remembers every stream that is opened, and runs at the rates given for each device."""

    def __init__(self, rates: dict[int, tuple[int, ...]]):
        super().__init__()
        self.rates, self.opened, self.refuses = rates, [], None

    def check_input_settings(self, *, device, channels, dtype, samplerate):
        if samplerate not in self.rates[device]:
            raise PortAudioError("Invalid sample rate", -9997)

    check_output_settings = check_input_settings

    def _StreamBase(self, **settings):  # noqa: N802
        if settings["kind"] == self.refuses:
            raise PortAudioError("Device unavailable", DEVICE_UNAVAILABLE)
        stream = SimpleNamespace(latency=0.01, active=False, settings=settings, closed=False)
        stream.start = lambda: setattr(stream, "active", True)

        def close(ignore_errors: bool) -> None:
            stream.closed, stream.active = True, False

        stream.close = close
        self.opened.append(stream)
        return stream


MICROPHONE, SPEAKERS = device(0, "Microphone", "Core Audio"), device(1, "Speakers", "Core Audio", rate=48_000)


def sound(monkeypatch, source_rates=(44_100,), sink_rates=(44_100, 48_000)) -> TwoStreams:
    fake = TwoStreams({0: source_rates, 1: sink_rates})
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def opened(*, latency: str = "normal", rate: int = 44_100, **asked):
    """The streams, and the clocks that opened them."""
    routing = plan(MICROPHONE, SPEAKERS, **asked)
    clocks = Clocks("auto", MICROPHONE, SPEAKERS, routing, latency=latency)
    port = AudioPort(
        channels=routing.channels,
        latency=0,
        max_block=BLOCK,
        ring_samples=4_096,
        ramp_samples=1,
        fade_samples=1,
        inputs=clocks.routing.inputs,
        outputs=clocks.routing.outputs,
    )
    return clocks.open(port, MICROPHONE, SPEAKERS, sample_rate=rate, block_size=BLOCK), clocks


def test_each_device_has_a_stream_of_its_own(monkeypatch):
    fake = sound(monkeypatch)
    stream, clocks = opened(input_channels="3,4", route=["vocals=1,2", "accompaniment=3,4"])
    source, sink = (one.settings for one in fake.opened)
    assert (source["kind"], source["device"], source["channels"]) == ("input", 0, 4)
    assert (sink["kind"], sink["device"], sink["channels"]) == ("output", 1, 4)
    assert source["callback"] != sink["callback"]
    assert source["userdata"] == sink["userdata"]
    assert clocks.routing.inputs == (0, 1)  # the bridge has chosen
    assert not stream.active
    stream.start()
    assert stream.active
    fake.opened[0].active = False  # unplugged
    assert not stream.active
    stream.close()
    assert all(one.closed for one in fake.opened)


def test_what_one_device_refuses_leaves_the_other_free(monkeypatch):
    fake = sound(monkeypatch)
    fake.refuses = "output"
    with pytest.raises(DeviceError, match=r"output 1 \(Speakers, Core Audio\) is in use by another program"):
        opened()
    assert fake.opened[0].closed


def test_the_latency_of_the_bridge_is_what_it_keeps_in_hand(monkeypatch):
    sound(monkeypatch)
    _, clocks = opened(latency="low")
    half_a_kernel = 48
    assert clocks.block_size(1_024) == 256
    assert clocks.latency == BLOCK + half_a_kernel + round(MARGIN_S["low"] * 44_100)
    budget = LatencyBudget(
        sample_rate=44_100, block=BLOCK, bridge=clocks.latency, adapter=0, algorithmic=0, lookahead=0, slack=0
    )
    assert budget.total == BLOCK + clocks.latency
    assert "clock bridge" in str(budget)
    assert "clock bridge" not in str(LatencyBudget(**{**vars(budget), "bridge": 0}))


def test_rates_need_not_agree(monkeypatch):
    fake = sound(monkeypatch, source_rates=(44_100,), sink_rates=(48_000,))
    routing = plan(MICROPHONE, SPEAKERS)
    assert (
        Clocks("auto", MICROPHONE, SPEAKERS, routing, latency="normal").common_rate(MICROPHONE, SPEAKERS)
        == 48_000
    )
    opened(rate=48_000)
    assert [one.settings["samplerate"] for one in fake.opened] == [44_100, 48_000]


def test_one_clock_is_one_stream(monkeypatch):
    fake = sound(monkeypatch)
    fake.rates = {0: (44_100,), 1: (44_100,)}
    monkeypatch.setattr(TwoStreams, "_StreamBase", FakeSoundDevice._StreamBase)
    routing = plan(MICROPHONE, SPEAKERS)
    clocks = Clocks("one", MICROPHONE, SPEAKERS, routing, latency="normal")
    port = AudioPort(
        channels=2, latency=0, max_block=BLOCK, ring_samples=4_096, ramp_samples=1, fade_samples=1
    )
    clocks.open(port, MICROPHONE, SPEAKERS, sample_rate=44_100, block_size=BLOCK)
    assert fake.settings["kind"] == "duplex"
    assert clocks.latency == 0
    assert clocks.block_size(1_024) == 1_024
    assert clocks.add_to(STATS) is STATS


def test_drift_and_gaps_are_told(monkeypatch):
    sound(monkeypatch)
    _, clocks = opened()
    assert clocks.add_to(STATS).drift_ppm is None  # not known yet
    bridge = clocks._bridges[-1]
    block, read = np.zeros((BLOCK, 2), np.float32), np.zeros((BLOCK, 2), np.float32)
    for k in range(400):
        bridge.write(block, (k + 1) * BLOCK / 44_100)
        bridge.read(read, (k + 1) * BLOCK / 44_100 + 0.001)
    stats = clocks.add_to(STATS)
    assert abs(stats.drift_ppm) < 0.1
    assert stats.xruns == STATS.xruns
    assert "clocks" in trouble(stats)
    for k in range(400, 410):
        bridge.read(read, (k + 1) * BLOCK / 44_100 + 0.001)
    assert clocks.add_to(STATS).xruns == STATS.xruns + 1


def test_waiting_and_two_clocks_exclude_each_other(capsys):
    with pytest.raises(ValueError, match="--clocks two keeps to real time"):
        LiveOptions(clocks="two", wait=True)
    assert stream.live.main(["--clocks", "two", "--wait"]) == 2
    assert "give one of them" in capsys.readouterr().err

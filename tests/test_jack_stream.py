"""The client of JACK, where there is no server: PortAudio plays, and it is said why."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from cpp_ext import JackClient
from stream.audio.devices import Device, DeviceError
from stream.audio.jack import JackStream, join
from stream.audio.portaudio import JACK

SYSTEM = Device(
    id=1,
    name="system",
    host=JACK,
    input_channels=2,
    output_channels=2,
    default_sample_rate=44_100,
    low_input_latency_s=0.0,
    low_output_latency_s=0.0,
)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.audio.jack.check", lambda *_, **__: None)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "diffvs-nowhere")


def test_without_a_server_portaudio_plays(nowhere, caplog):
    with caplog.at_level(logging.WARNING):
        assert join(SYSTEM, SYSTEM) is None
    assert "playing through PortAudio, and JACK is not told our latency" in caplog.text


def test_other_hosts_are_none_of_its_business(caplog):
    assert join(SYSTEM, replace(SYSTEM, host="ALSA")) is None
    assert not caplog.text


def test_a_client_without_a_server_says_so(nowhere):
    with pytest.raises(RuntimeError, match="JACK"):
        JackClient("diffvs")


class Port:
    input_channels = output_channels = 2


def test_latencies_are_waited_for(unchecked):
    """JACK says 0 until it has worked them out; some periods later, the playback's after the capture's."""

    class Late:
        sample_rate = 44_100
        input_latency = 256
        asked = 0

        @property
        def output_latency(self):
            self.asked += 1
            return 512 if self.asked > 3 else 0

        def start(self, port, source, sink):
            pass

    stream = JackStream(Late(), Port(), SYSTEM, SYSTEM, sample_rate=44_100)
    stream.start()
    assert stream.latency_s == (256 / 44_100, 512 / 44_100)


def test_what_the_server_refuses_is_a_device_error(unchecked):
    class Refusing:
        def start(self, port, source, sink):
            raise RuntimeError(f"the JACK client {source} is gone")

    stream = JackStream(Refusing(), Port(), SYSTEM, SYSTEM, sample_rate=44_100)
    with pytest.raises(DeviceError, match="the JACK client system is gone"):
        stream.start()

"""A device that goes is noticed, looked for by its name, and taken back; nothing waits for its driver."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from engine_rig import HOP, play, until
from signals import noise

import stream.audio.comeback
import stream.audio.line
import stream.audio.probe
from stream.audio.comeback import Comeback
from stream.audio.devices import Device, DeviceError
from stream.audio.line import Line
from stream.audio.probe import Place, probe
from stream.audio.watch import STALL_S, Watch
from stream.engine import Engine
from stream.separation.separator import IdentitySeparator

ALSA = "ALSA"


def device(index: int, name: str, inputs: int = 2, outputs: int = 2, host: str = ALSA) -> Device:
    return Device(
        id=index,
        name=name,
        host=host,
        input_channels=inputs,
        output_channels=outputs,
        default_sample_rate=44_100,
        low_input_latency_s=0.01,
        low_output_latency_s=0.01,
    )


class TestWatch:
    """Time runs in tenths of a second, and the device plays 4,410 samples in each."""

    def watch(self) -> Callable[..., str]:
        watch = Watch(now_s=0.0, wall_s=1_000.0)
        self.now_s, self.wall_s, self.position = 0.0, 1_000.0, 0

        def look(*, plays=True, active=True, now_s=0.1, wall_s=None):
            self.now_s += now_s
            self.wall_s += now_s if wall_s is None else wall_s
            self.position += 4_410 if plays else 0
            return watch.look(active=active, position=self.position, now_s=self.now_s, wall_s=self.wall_s)

        return look

    def test_a_device_that_plays_is_left_alone(self):
        look = self.watch()
        assert {look() for _ in range(100)} == {"plays"}

    def test_a_stream_that_ended_is_lost_at_once(self):
        assert self.watch()(active=False) == "lost"

    def test_a_silent_driver_is_lost_after_a_while(self):
        look = self.watch()
        look()
        looks = [look(plays=False) for _ in range(70)]
        assert looks.index("lost") == pytest.approx(10 * STALL_S, abs=1)
        assert set(looks[: looks.index("lost")]) == {"plays"}

    @pytest.mark.parametrize("clock", ["stops", "goes on"])
    def test_after_a_suspension_the_device_has_its_time_again(self, clock: str):
        look = self.watch()
        look()
        now_s = 0.1 if clock == "stops" else 3_600.0
        assert look(plays=False, now_s=now_s, wall_s=3_600.0) == "suspended"
        assert {look(plays=False) for _ in range(40)} == {"plays"}
        assert look() == "plays"

    def test_a_device_that_does_not_wake_up_is_lost(self):
        look = self.watch()
        look(plays=False, wall_s=3_600.0)
        assert "lost" in [look(plays=False) for _ in range(60)]

    def test_a_clock_that_is_set_is_no_suspension(self):
        look = self.watch()
        assert look(wall_s=7_200.0) == "plays"
        assert look(wall_s=-7_200.0) == "plays"


class TestPlace:
    def test_a_device_is_found_under_another_id(self):
        before = [device(0, "Built-in"), device(1, "USB")]
        place = Place.of(before[1], "output", before)
        assert place.find([device(0, "USB"), device(1, "Built-in")]).id == 0

    def test_of_two_alike_it_is_the_same_one(self):
        before = [device(0, "USB"), device(1, "Built-in"), device(2, "USB")]
        place = Place.of(before[2], "output", before)
        assert place.find([device(0, "Built-in"), device(1, "USB"), device(2, "USB")]).id == 2
        assert place.find([device(5, "USB")]).id == 5  # better one than none

    def test_another_host_or_direction_will_not_do(self):
        place = Place.of(one := device(0, "USB"), "input", [one])
        with pytest.raises(DeviceError, match="waiting for USB, ALSA"):
            place.find([device(0, "USB", host="OSS"), device(1, "USB", inputs=0)])


class FakeStream:
    latency_s = (0.0, 0.0)

    def __init__(self):
        self.active = False

    def start(self) -> None:
        self.active = True

    def close(self) -> None:
        self.active = False


class Rig:
    """A line to one USB device that can be pulled out, under a PortAudio that never looks by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.there = self.known = [device(0, "Built-in"), device(1, "USB")]
        self.opened: list[int] = []
        self.said: list[str] = []
        self.renewed = self.started_anew = self.position = 0
        self.refusal: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(stream.audio.comeback, "PAUSES_S", (0.001,))
        monkeypatch.setattr(stream.audio.comeback, "LONGEST_S", 0.002)
        monkeypatch.setattr(stream.audio.comeback, "probe", self.probe)
        monkeypatch.setattr(stream.audio.comeback, "start_anew", self.start_anew)
        for module in (stream.audio.comeback, stream.audio.line):
            monkeypatch.setattr(module, "list_devices", lambda: self.known)
        self.line = Line(self.known[1], self.known[1], open=self.open, renew=self.renew, say=self.said.append)
        self.line.start()

    def probe(self) -> list[Device]:
        self.gate.wait(20)
        return self.there

    def start_anew(self) -> None:
        self.known = self.there
        self.started_anew += 1

    def renew(self) -> None:
        self.renewed += 1

    def open(self, source: Device, sink: Device) -> FakeStream:
        if self.refusal:
            raise self.refusal
        self.opened.append(sink.id)
        self.stream = FakeStream()
        return self.stream

    def look(self) -> None:
        self.position += 441 if self.line.active else 0
        self.line.look(active=self.line.active, position=self.position)

    def until_back(self) -> None:
        until(lambda: (self.look(), self.line.active)[1])


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def test_a_device_that_comes_back_is_opened_again(rig: Rig):
    rig.look()
    assert rig.line.gone_s is None
    rig.there = [device(0, "Built-in")]
    rig.stream.active = False
    rig.look()
    until(lambda: "waiting for USB, ALSA" in rig.line.status)
    assert rig.line.gone_s is not None
    assert rig.started_anew == 0  # a device that is not there is no reason to touch the drivers
    rig.there = [device(0, "USB"), device(1, "Built-in")]
    rig.until_back()
    assert rig.opened == [1, 0]
    assert (rig.renewed, rig.started_anew, rig.line.losses) == (1, 1, 1)
    assert rig.line.status == ""
    assert "is gone" in rig.said[0]
    assert "is back after" in rig.said[1]


def test_a_device_that_refuses_is_tried_again(rig: Rig):
    rig.refusal = DeviceError("USB is in use by another program or switched off; close the other program")
    rig.stream.active = False
    rig.look()
    until(lambda: "in use by another program" in rig.line.status)
    rig.refusal = RuntimeError("whatever")  # of a driver's package
    until(lambda: "RuntimeError: whatever" in rig.line.status)
    rig.refusal = None
    rig.until_back()


def test_a_driver_that_hangs_holds_up_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.audio.comeback, "SLOW_S", 0.05)
    rig.gate.clear()
    rig.stream.active = False
    begin_s = time.monotonic()
    rig.look()
    until(lambda: "its driver does not answer" in rig.line.status)
    rig.look()
    assert rig.line.close() is False
    assert time.monotonic() - begin_s < 15
    rig.gate.set()


def test_a_session_that_lost_a_device_is_not_ended_by_portaudio(rig: Rig):
    rig.stream.active = False
    rig.look()
    rig.until_back()
    assert rig.line.close() is False
    assert not rig.stream.active


def test_the_engine_goes_on_in_a_new_port_with_its_latency_levels_and_counters():
    separator = IdentitySeparator(n_fft=2 * HOP, hop_length=HOP)
    engine = Engine(separator, threaded=False)
    engine.prepare(HOP)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    sent = noise(40 * HOP)
    first, port = play(engine, sent), engine.port
    engine.stop_after(60 * HOP)
    before = engine.stats()
    engine.renew()
    assert engine.port is not port
    second = play(engine, sent)
    np.testing.assert_array_equal(first, second)
    after = engine.stats()
    assert (before.position, after.position) == (40 * HOP, 80 * HOP)
    assert after.finished  # of both together
    assert after.hops == 2 * before.hops
    assert after.late_samples == 0


def test_the_engine_with_a_worker_goes_on_in_a_new_port():
    engine = Engine(IdentitySeparator(n_fft=2 * HOP, hop_length=HOP), wait=True)
    engine.prepare(HOP)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    engine.start()
    sent = noise(40 * HOP)
    first = play(engine, sent)
    engine.renew()
    np.testing.assert_array_equal(play(engine, sent), first)
    assert engine.stop()
    assert engine.stats().late_samples == 0


def test_a_probe_tells_what_a_process_of_its_own_sees(monkeypatch: pytest.MonkeyPatch, tmp_path):
    one = device(3, "USB")
    folder = tmp_path / "stream" / "audio"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    script = folder / "probe.py"
    monkeypatch.setattr(stream.audio.probe, "ROOT", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    script.write_text(f"import json; print(json.dumps([{dataclasses.asdict(one)!r}]))")
    assert probe() == [one]
    script.write_text("import os; os.abort()")
    with pytest.raises(DeviceError, match="cannot be asked"):
        probe()
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(DeviceError, match="has not answered within"):
        probe(0.3)


def test_tries_come_soon_at_first_and_then_patiently():
    pauses = Comeback._pauses()
    assert [next(pauses) for _ in range(7)] == [0.25, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]

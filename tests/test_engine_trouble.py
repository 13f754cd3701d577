"""Slow, stopped, crashed, poisoned, hanging workers: the sound goes on at the same delay, and all is counted.

Throughout, the vocals are turned off. The identity takes everything for vocals, so the output is silent
while the separation works and is the input while it does not.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from engine_rig import HOP, N_FFT, Scripted, play, until
from signals import noise, residual_db

import stream.engine
import stream.worker
from stream.engine import FADE_S, Engine

RATE = 44_100
FADE = round(FADE_S * RATE)
SLACK_HOPS = 4
WET = 1e-5  # what is left of the input when all of it was separated


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.worker, "PAUSES_S", (0.0, 0.0, 0.0))


def karaoke(separator: Scripted, **how) -> Engine:
    engine = Engine(separator, **{"slack_hops": SLACK_HOPS, **how})
    engine.prepare(HOP)
    engine.set_levels(vocals=0.0, accompaniment=1.0)
    engine.start()
    return engine


def is_dry(engine: Engine, played: np.ndarray, mixture: np.ndarray, begin: int, end: int) -> bool:
    """Whether the output in [begin, end) is the input, bit for bit, at the engine's latency."""
    return np.array_equal(played[begin:end], mixture[begin - engine.latency : end - engine.latency])


def is_wet(played: np.ndarray, begin: int, end: int) -> bool:
    return bool(np.abs(played[begin:end]).max() < WET)


def play_until_healthy(engine: Engine, seed: int = 9) -> None:
    """Goes on until vocals have come without a gap for a while."""

    def healthy() -> bool:
        before = engine.stats().late_samples
        play(engine, noise(40 * HOP, seed=seed), settled=True)
        return engine.stats().late_samples == before

    until(healthy)


def is_still_exact(engine: Engine, *, settled: bool = True) -> bool:
    """No drift: with the vocals alone the input comes back, in place."""
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    play(engine, noise(60 * HOP, seed=3), settled=settled)  # the ramp
    mixture = noise(60 * HOP, seed=4)
    played = play(engine, mixture, settled=settled)
    return residual_db(played[engine.latency :], mixture[: len(played) - engine.latency]) < -120


def test_a_healthy_worker_leaves_no_vocals():
    engine = karaoke(Scripted(lambda n, vocals: None))
    mixture = noise(100 * HOP)
    played = play(engine, mixture, settled=True)
    assert engine.stop()
    assert is_wet(played, engine.latency, len(played))
    assert engine.stats().late_samples == 0


def test_a_slow_worker_means_the_input_at_the_same_delay_then_it_recovers():
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)))
    mixture = noise(20 * HOP)
    played = play(engine, mixture)  # shorter than the backlog that is given up
    latency = engine.latency
    assert is_dry(engine, played, mixture, latency + FADE, len(played))
    stats = engine.stats()
    assert stats.late_samples == len(played) - latency
    assert stats.late_events == 1
    gate.set()
    play_until_healthy(engine)
    assert is_still_exact(engine)
    assert engine.stop()


def test_going_dry_does_not_click():
    """The input is constant; what is missing fades away and comes back by small steps."""
    gate = threading.Event()
    gate.set()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)))
    constant = np.ones((60 * HOP, 2), np.float32)
    parts = [play(engine, constant, settled=True)]
    gate.clear()
    parts.append(play(engine, constant[: 12 * HOP]))
    gate.set()
    parts.extend(play(engine, constant, settled=True) for _ in range(10))
    assert engine.stop()
    played = np.concatenate(parts)[:, 0]
    assert played.max() > 0.3  # it did go dry
    assert played[-1] < WET
    assert np.abs(np.diff(played[engine.latency + N_FFT :])).max() < 1.5 / FADE


def test_a_worker_hopelessly_behind_goes_on_with_the_present():
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)))
    backlog = 40  # hops: more than is worked off, less than the ring holds
    play(engine, noise(backlog * HOP))
    gate.set()
    play_until_healthy(engine)
    stats = engine.stats()
    assert stats.dropped_samples == 0
    assert stats.skips >= 1
    assert stats.hops < stats.position // HOP - backlog // 2
    assert is_still_exact(engine)
    assert engine.stop()


def test_an_overflowing_ring_is_counted_and_mended():
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)))
    mixture = noise(1_000 * HOP)
    played = play(engine, mixture)
    assert engine.stats().dropped_samples > 0
    assert is_dry(engine, played, mixture, engine.latency + FADE, len(played))
    gate.set()
    play_until_healthy(engine)
    assert is_still_exact(engine)
    assert engine.stop()


def test_an_overflow_is_mended_in_waiting_mode_too():
    """The audio has lost its patience once, and goes on without the worker."""
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)), wait=True)
    engine.port.wait_for_worker = False
    play(engine, noise(1_000 * HOP))
    assert engine.stats().dropped_samples > 0
    gate.set()
    until(lambda: play(engine, noise(HOP)) is not None and not engine.port.broken)
    hops = engine.stats().hops
    until(lambda: play(engine, noise(HOP)) is not None and engine.stats().hops > hops)
    engine.port.wait_for_worker = True
    play_until_healthy(engine)
    assert is_still_exact(engine)
    assert engine.stop()


def test_a_stopped_worker_can_be_started_again():
    engine = karaoke(Scripted(lambda n, vocals: None))
    play(engine, noise(50 * HOP), settled=True)
    assert engine.stop()
    mixture = noise(50 * HOP, seed=1)
    played = play(engine, mixture)
    assert is_dry(engine, played, mixture, engine.latency + HOP * SLACK_HOPS + FADE, len(played))
    assert engine.stats().state == "stopped"
    engine.start()
    play_until_healthy(engine)
    assert is_still_exact(engine)
    assert engine.stop()


def test_muting_is_the_other_answer_to_lateness():
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(20)), on_late="mute")
    played = play(engine, noise(100 * HOP))
    assert not played.any()
    gate.set()
    assert engine.stop()


def test_a_crash_is_counted_reported_and_mended():
    def crash_once(n: int, vocals: np.ndarray) -> None:
        if n == 30:
            raise RuntimeError("out of luck")

    separator = Scripted(crash_once)
    engine = karaoke(separator)
    resets = separator.resets
    play(engine, noise(60 * HOP), settled=True)
    play_until_healthy(engine)
    stats = engine.stats()
    assert (stats.crashes, stats.state, stats.error) == (1, "running", "RuntimeError: out of luck")
    assert separator.resets > resets
    assert is_still_exact(engine)
    assert engine.stop()


def test_a_crash_between_two_hops_shifts_nothing():
    """Blocks that are no whole hops: half a hop is waiting when the worker starts afresh."""

    def crash_once(n: int, vocals: np.ndarray) -> None:
        if n == 30:
            raise RuntimeError("out of luck")

    engine = Engine(Scripted(crash_once), wait=True)
    engine.prepare(HOP - 7)
    engine.start()
    play(engine, noise(60 * HOP))
    assert engine.stats().crashes == 1
    assert is_still_exact(engine, settled=False)
    assert engine.stop()


def test_a_separator_that_always_crashes_is_left_for_dead_and_the_show_goes_on():
    def crash(n: int, vocals: np.ndarray) -> None:
        raise MemoryError("no memory")

    engine = karaoke(Scripted(crash))
    until(lambda: play(engine, noise(HOP)) is not None and engine.stats().state == "failed")
    assert engine.stats().crashes == len(stream.worker.PAUSES_S) + 1
    mixture = noise(200 * HOP, seed=2)
    played = play(engine, mixture)
    assert is_dry(engine, played, mixture, engine.latency + FADE, len(played))
    assert engine.stop()


def test_a_model_left_for_dead_can_be_started_again():
    broken = threading.Event()

    def crash(n: int, vocals: np.ndarray) -> None:
        if broken.is_set():
            raise RuntimeError("broken")

    engine = karaoke(Scripted(crash))
    play(engine, noise(30 * HOP), settled=True)
    broken.set()
    until(lambda: play(engine, noise(HOP)) is not None and engine.stats().state == "failed")
    assert engine.stop()
    broken.clear()
    engine.start()
    play_until_healthy(engine)
    assert is_still_exact(engine)
    assert engine.stop()


def test_crashes_long_ago_are_forgiven(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.worker, "HEALTHY_S", 10 * HOP / RATE)

    def crash_at_times(n: int, vocals: np.ndarray) -> None:
        if n % 40 == 39:
            raise RuntimeError("again")

    engine = karaoke(Scripted(crash_at_times))
    until(lambda: play(engine, noise(40 * HOP), settled=True) is not None and engine.stats().crashes > 8)
    assert engine.stats().state != "failed"
    assert engine.stop()


def test_a_crash_while_the_audio_waits_does_not_stop_it():
    def crash(n: int, vocals: np.ndarray) -> None:
        if n >= 30:
            raise RuntimeError("dead")

    engine = karaoke(Scripted(crash), wait=True)
    begin_s = time.monotonic()
    until(lambda: play(engine, noise(HOP)) is not None and engine.stats().state == "failed")
    mixture = noise(100 * HOP)
    played = play(engine, mixture)
    assert is_dry(engine, played, mixture, engine.latency + FADE, len(played))
    assert engine.stop()
    assert time.monotonic() - begin_s < 5  # the native wait for a worker that says nothing


def test_a_hanging_separator_does_not_hang_the_stop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.engine, "STOP_S", 0.1)
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(30)))
    play(engine, noise(10 * HOP))
    assert not engine.stop()
    play(engine, noise(10 * HOP))  # and the audio goes on all the same
    gate.set()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("how", [{}, {"threaded": False}], ids=["threaded", "inline"])
def test_vocals_that_are_not_finite_count_as_none(poison: float, how: dict):
    sick_hop = 20

    def spoil(n: int, vocals: np.ndarray) -> None:
        if n == sick_hop:
            vocals[3, 1] = poison

    separator = Scripted(spoil)
    engine = karaoke(separator, **how)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    resets = separator.resets
    mixture = noise(100 * HOP)
    played = play(engine, mixture, settled=not how)
    assert engine.stop()
    assert np.isfinite(played).all()
    assert engine.stats().non_finite_hops == 1
    assert separator.resets == resets + 1
    begin = sick_hop * HOP - (N_FFT - HOP) + engine.latency  # where this hop is heard
    assert not played[begin : begin + HOP].any()
    later = begin + 4 * N_FFT
    difference = played[later:] - mixture[later - engine.latency : len(played) - engine.latency]
    assert np.abs(difference).max() < 1e-6


def test_poisoned_input_passes_and_heals():
    """A NaN from the device is heard where it is, and nowhere later."""
    engine = karaoke(Scripted(lambda n, vocals: None), threaded=False)
    mixture = noise(60 * HOP)
    mixture[30 * HOP] = np.nan
    played = play(engine, mixture)
    sick = np.flatnonzero(np.isnan(played).any(axis=1))
    assert set(sick) <= set(range(30 * HOP + engine.latency, 30 * HOP + engine.latency + FADE))
    assert np.abs(played[50 * HOP :]).max() < WET


def test_vocals_of_the_wrong_shape_are_a_crash():
    class Short(Scripted):
        def process(self, mixture):
            return super().process(mixture)[:-1]

    engine = karaoke(Short(lambda n, vocals: None))
    until(lambda: play(engine, noise(HOP)) is not None and engine.stats().state == "failed")
    assert "shapes must agree" in engine.stats().error
    assert engine.stop()


def test_inline_the_caller_gets_the_exception():
    def crash(n: int, vocals: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        play(karaoke(Scripted(crash), threaded=False), noise(10 * HOP))

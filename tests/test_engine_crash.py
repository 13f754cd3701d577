"""Crashing and poisoned separators: the sound goes on at the same delay, and all is counted.

Throughout, the vocals are turned off. The identity takes everything for vocals, so the output is silent
while the separation works and is the input while it does not.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from engine_rig import (
    FADE,
    HOP,
    N_FFT,
    RATE,
    WET,
    Scripted,
    is_dry,
    is_still_exact,
    karaoke,
    play,
    play_until_healthy,
    until,
)
from signals import noise

import stream.worker
from stream.engine import Engine


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.worker, "PAUSES_S", (0.0, 0.0, 0.0))


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

"""Slow, stopped, hanging workers: the sound goes on at the same delay, and all is counted.

Throughout, the vocals are turned off. The identity takes everything for vocals, so the output is silent
while the separation works and is the input while it does not.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from engine_rig import (
    FADE,
    HOP,
    N_FFT,
    SLACK_HOPS,
    WET,
    Scripted,
    is_dry,
    is_still_exact,
    is_wet,
    karaoke,
    play,
    play_until_healthy,
    until,
)
from signals import noise

import stream.engine


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


def test_a_hanging_separator_does_not_hang_the_stop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.engine, "STOP_S", 0.1)
    gate = threading.Event()
    engine = karaoke(Scripted(lambda n, vocals: gate.wait(30)))
    play(engine, noise(10 * HOP))
    assert not engine.stop()
    play(engine, noise(10 * HOP))  # and the audio goes on all the same
    gate.set()

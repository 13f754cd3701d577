"""An engine on the bench: the test is the audio thread, and it may wait for the worker between blocks."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from signals import noise, residual_db

from stream.engine import FADE_S, Engine
from stream.separation.separator import Audio, IdentitySeparator
from stream.stats import Stats

PATIENCE_S = 20.0  # with a worker on a busy machine, before a test gives up
HOP_S = 0.5  # ... before it plays the next block all the same: a worker may be waiting for just that

N_FFT, HOP = 64, 32  # small, so that little audio shows everything
RATE = 44_100
FADE = round(FADE_S * RATE)
SLACK_HOPS = 4
WET = 1e-5  # what is left of the input when all of it was separated


class Scripted(IdentitySeparator):
    """The identity, until `script` is called for each hop and does something about it.

    script(n, vocals) gets the number of the call of process, from 0, and may change vocals or raise.
    """

    def __init__(self, script: Callable[[int, Audio], None], **sizes: int):
        super().__init__(**{"n_fft": N_FFT, "hop_length": HOP, **sizes})
        self._script = script
        self.calls = self.resets = 0

    def process(self, mixture: Audio) -> Audio:
        vocals = super().process(mixture)
        self.calls += 1
        self._script(self.calls - 1, vocals)
        return vocals

    def reset(self) -> None:
        super().reset()
        self.resets = getattr(self, "resets", 0) + 1


def play(engine: Engine, mixture: Audio, *, settled: bool = False) -> Audio:
    """Whole blocks through the engine. `settled`, for blocks of one hop, lets the worker finish each."""
    block = engine.block_size
    whole = len(mixture) // block * block
    output = np.full_like(mixture[:whole], np.nan)
    for start in range(0, whole, block):
        before = engine.stats() if settled else None
        engine.process(mixture[start : start + block], output[start : start + block])
        if before:
            next_s = time.monotonic() + HOP_S
            while not _has_moved(engine.stats(), before) and time.monotonic() < next_s:
                time.sleep(0.0005)
    return output


def _has_moved(now: Stats, before: Stats) -> bool:
    """One more hop is done, or the worker is busy with something else than hops."""
    troubles = (now.crashes, now.skips) != (before.crashes, before.skips)
    return now.hops > before.hops or troubles or now.state != "running"


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the worker did not get there in time"
        time.sleep(0.0005)


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

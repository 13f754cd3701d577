"""A separator at another rate than the device: the mixture stays untouched, the vocals stay in place."""

from __future__ import annotations

import numpy as np
import pytest
from engine_rig import play
from signals import impulse, noise, tone

from stream.engine import Engine
from stream.separation.resampling import ResampledSeparator
from stream.separation.separator import IdentitySeparator

RATES = [8_000, 16_000, 22_050, 32_000, 48_000, 88_200, 96_000, 176_400, 192_000]
# What soxr leaves of a tone in the pass band, there and back: LQ measured -74 at worst, HQ -116.
ROUND_TRIP_DB = {"LQ": -70.0, "HQ": -105.0}


def resampled(rate: int, block: int = 500, quality: str = "HQ", **levels: float) -> Engine:
    engine = Engine(ResampledSeparator(IdentitySeparator(), rate, quality), threaded=False)
    engine.prepare(block)
    engine.set_levels(**{"vocals": 1.0, "accompaniment": 0.0, **levels})
    return engine


@pytest.mark.parametrize("quality", ROUND_TRIP_DB)
@pytest.mark.parametrize("rate", RATES)
def test_vocals_come_back_in_place(rate: int, quality: str):
    engine = resampled(rate, quality=quality)
    mixture = tone(2 * rate, 1_000, rate)
    played = play(engine, mixture)
    settled = engine.latency + rate // 2
    error = played[settled:] - mixture[settled - engine.latency : len(played) - engine.latency]
    assert 20 * np.log10(np.abs(error).max()) < ROUND_TRIP_DB[quality]
    assert engine.stats().late_samples == 0


@pytest.mark.parametrize("block", [None, 441])
@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_arrives_when_reported(rate: int, block: int | None):
    engine = resampled(rate, block or ResampledSeparator(IdentitySeparator(), rate).hop_length)
    played = play(engine, impulse(2 * rate, at=rate // 3))
    assert int(np.abs(played[:, 0]).argmax()) == rate // 3 + engine.latency


def test_levels_of_one_are_bit_for_bit_at_any_rate():
    engine = resampled(48_000, accompaniment=1.0)
    mixture = noise(48_000, amplitude=1.0)
    played = play(engine, mixture)
    np.testing.assert_array_equal(played[engine.latency :], mixture[: len(played) - engine.latency])


@pytest.mark.parametrize("quality", ROUND_TRIP_DB)
@pytest.mark.parametrize("rate", RATES)
def test_it_never_runs_dry(rate: int, quality: str):
    """A minute and more in batches of all sizes: were the reported latency too short, it would raise."""

    class Counting(IdentitySeparator):
        def process(self, mixture):
            return mixture  # only the amounts matter here

    separator = ResampledSeparator(Counting(channels=1), rate, quality)
    separator.prepare(max_hops=8)
    silence = np.zeros((8 * separator.hop_length, 1), np.float32)
    for hops in np.random.default_rng(0).integers(0, 9, 1_000):
        mixture = silence[: hops * separator.hop_length]
        assert len(separator.process(mixture)) == len(mixture)


def test_reset_forgets():
    engine = resampled(48_000)
    mixture = noise(48_000)
    first = play(engine, mixture)
    play(engine, noise(10_000, seed=1))
    engine.reset()
    np.testing.assert_array_equal(play(engine, mixture), first)

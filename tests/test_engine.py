"""The engine is exact: what it reports is what it does, to the sample and to the bit."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from engine_rig import HOP, Scripted, play
from signals import impulse, noise, residual_db

from stream.engine import RAMP_S, Engine
from stream.latency import SLACK_HOPS, adapter_latency
from stream.separation.channels import for_channels
from stream.separation.separator import IdentitySeparator

BLOCKS = [1, 63, 64, 65, 441, 480, 512, 513, 1024, 2048]
IDENTITY_DB = -120.0  # float32 through a transform and its inverse leaves about -137
WAYS = {"inline": {"threaded": False}, "waiting": {"wait": True}}


def engine(block: int, *, vocals: float = 1.0, accompaniment: float = 1.0, separator=None, **how) -> Engine:
    made = Engine(separator or IdentitySeparator(), **how)
    made.prepare(block)
    made.set_levels(vocals=vocals, accompaniment=accompaniment)
    return made


def run(made: Engine, mixture: np.ndarray) -> np.ndarray:
    made.start()
    try:
        return play(made, mixture)
    finally:
        assert made.stop()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("block", BLOCKS)
def test_identity_comes_back_at_the_reported_latency(block: int, way: str):
    mixture = noise(12 * 2_048)
    made = engine(block, vocals=1.0, accompaniment=0.0, **WAYS[way])
    played = run(made, mixture)
    heard = len(played) - made.latency
    assert residual_db(played[made.latency :], mixture[:heard]) < IDENTITY_DB
    assert made.stats().late_samples == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("block", BLOCKS)
def test_levels_of_one_are_the_input_bit_for_bit(block: int, way: str):
    mixture = noise(8 * 2_048, amplitude=1.0)
    made = engine(block, **WAYS[way])
    played = run(made, mixture)
    np.testing.assert_array_equal(played[made.latency :], mixture[: len(played) - made.latency])
    assert not played[: made.latency].any()


@pytest.mark.parametrize(
    ("n_fft", "hop", "length"), [(64, 16, 64), (64, 32, 64), (96, 24, 96), (128, 16, 32)]
)
def test_latency_has_a_closed_form(n_fft: int, hop: int, length: int):
    """synthesis_length - gcd(block, hop) for every block; the impulse arrives then and not a sample later."""
    for block in range(1, 70):
        separator = IdentitySeparator(n_fft=n_fft, hop_length=hop, synthesis_length=length)
        made = engine(block, separator=separator, accompaniment=0.0, wait=True)
        assert made.latency == length - math.gcd(block, hop)
        played = run(made, impulse(400 + block, at=100))
        assert int(np.abs(played[:, 0]).argmax()) == 100 + made.latency


def starves(block: int, hop: int, silence: int) -> bool:
    """Whether a worker of fixed hop ever lacks samples for a block, after so much silence: played through."""
    waiting, ready = 0, silence
    for _ in range(2 * hop // math.gcd(block, hop) + 4):
        hops, waiting = divmod(waiting + block, hop)
        ready += hops * hop - block
        if ready < 0:
            return True
    return False


def test_adapter_latency_is_the_least_that_never_starves():
    for block, hop in product(range(1, 49), repeat=2):
        silence = adapter_latency(block, hop)
        assert not starves(block, hop, silence)
        assert silence == 0 or starves(block, hop, silence - 1)


@pytest.mark.parametrize("profile", SLACK_HOPS)
def test_slack_is_latency_bought(profile: str):
    made = engine(480, slack_hops=SLACK_HOPS[profile])
    assert made.latency == 2_048 - math.gcd(480, 1_024) + round(SLACK_HOPS[profile] * 1_024)


def test_the_budget_sums_to_the_latency():
    made = engine(441)
    budget = made.budget
    assert made.latency == budget.adapter + budget.algorithmic + budget.lookahead + budget.slack
    assert budget.total == sum(samples for _, samples in budget.parts())
    assert f"{budget.total}" in str(budget)


@pytest.mark.parametrize("way", WAYS)
def test_a_bypass_moves_nothing(way: str):
    """From separated to levels of 1 and back: only the levels change, by small steps, in place."""
    made = engine(512, vocals=0.0, accompaniment=1.0, **WAYS[way])
    mixture = np.ones((40 * 512, 2), np.float32)
    made.start()
    karaoke = play(made, mixture)
    made.set_levels(vocals=1.0, accompaniment=1.0)
    bypassed = play(made, mixture)
    made.stop()
    played = np.concatenate([karaoke, bypassed])[:, 0]
    rate = made.separator.sample_rate
    assert karaoke[-1, 0] == pytest.approx(0, abs=1e-6)  # the identity takes all for vocals
    assert bypassed[-1, 0] == 1.0
    steps = np.abs(np.diff(played[made.latency + 2_048 :]))
    assert steps.max() < 1.05 / (RAMP_S * rate)
    reached = int(np.argmax(bypassed[:, 0] > 0.999))
    assert reached == pytest.approx(RAMP_S * rate, abs=2)  # at once, not after the latency


def test_a_level_ramps_in_a_straight_line():
    made = engine(100, threaded=False)
    mixture = np.ones((5_000, 2), np.float32)
    play(made, mixture)
    made.set_levels(vocals=0.25, accompaniment=0.25)
    played = play(made, mixture)[:, 0]
    steps = np.diff(played)
    assert np.abs(steps).max() <= 1.01 / (RAMP_S * 44_100)
    assert played[-1] == 0.25


def test_levels_before_the_first_block_need_no_ramp():
    mixture = np.ones((10_000, 2), np.float32)
    made = engine(100, vocals=0.5, accompaniment=0.5, threaded=False)
    played = play(made, mixture)
    assert set(np.unique(played)) == {0.0, 0.5}


@pytest.mark.parametrize("levels", [(-0.1, 1), (1, 4.1), (float("nan"), 1)])
def test_levels_outside_0_to_4_are_refused(levels):
    with pytest.raises(ValueError, match="level"):
        engine(512).set_levels(vocals=levels[0], accompaniment=levels[1])


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_any_number_of_channels_passes_through_apart(channels: int):
    mixture = noise(20 * 512, channels)
    made = engine(512, separator=for_channels(IdentitySeparator, channels), accompaniment=0.0, threaded=False)
    played = run(made, mixture)
    assert residual_db(played[made.latency :], mixture[: len(played) - made.latency]) < IDENTITY_DB


@pytest.mark.parametrize("channel", range(3))
def test_channels_do_not_mix(channel: int):
    mixture = np.zeros((20 * 512, 3), np.float32)
    mixture[:, channel] = noise(20 * 512, 1)[:, 0]
    made = engine(512, separator=for_channels(IdentitySeparator, 3), accompaniment=0.0, threaded=False)
    played = run(made, mixture)
    assert played[:, channel].any()
    assert not np.delete(played, channel, axis=1).any()


@pytest.mark.parametrize("way", WAYS)
def test_after_a_reset_the_same_comes_out_bit_for_bit(way: str):
    made = engine(480, vocals=0.3, accompaniment=0.9, **WAYS[way])
    mixture = noise(10_000)
    first = run(made, mixture)
    run(made, noise(5_000, seed=1))  # leaves something behind
    made.reset()
    np.testing.assert_array_equal(run(made, mixture), first)


def test_a_block_of_nothing_is_nothing():
    made = engine(512, threaded=False)
    nothing = np.zeros((0, 2), np.float32)
    made.process(nothing, nothing.copy())
    assert made.stats().position == 0


def test_silence_in_is_silence_out():
    made = engine(512, vocals=0.7, accompaniment=0.2, threaded=False)
    assert not run(made, np.zeros((20_000, 2), np.float32)).any()


def test_stats_count_what_happened():
    made = engine(HOP, separator=Scripted(lambda n, vocals: None), threaded=False)
    mixture = np.full((10 * HOP, 2), 0.5, np.float32)
    run(made, mixture)
    stats = made.stats()
    assert (stats.position, stats.hops, stats.late_hops, stats.crashes) == (10 * HOP, 10, 0, 0)
    assert stats.largest_block == HOP
    assert (stats.peak_input, stats.peak_output) == (0.5, 0.5)
    assert made.stats().peak_input == 0.0  # peaks start anew with every look


def test_load_and_late_hops_follow_the_clock():
    """Each hop takes half its time, by a clock of the test's own; one takes twice its time."""
    now_s = [0.0]
    deadline_s = HOP / 44_100

    def work(n: int, vocals: np.ndarray) -> None:
        now_s[0] += 2 * deadline_s if n == 5 else deadline_s / 2

    made = engine(HOP, separator=Scripted(work), threaded=False, clock=lambda: now_s[0])
    run(made, noise(10 * HOP))
    stats = made.stats()
    assert stats.late_hops == 1
    assert stats.times.median_s == pytest.approx(deadline_s / 2)
    assert stats.times.max_s == pytest.approx(2 * deadline_s)
    assert stats.times.rtf == pytest.approx((9 * 0.5 + 2) / 10)

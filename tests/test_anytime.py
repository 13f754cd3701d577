"""Quality bends before the sound breaks: fewer evaluations when time is short, all of them when it is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from exported import tiny
from signals import noise

from stream.separation.anytime import PATIENCE_S, Anytime
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import Image, OnnxModel
from stream.separation.separator import Audio

HOP = 128
HOP_S = HOP / 44_100
STEPS = 2
EVALUATIONS = 3
LIVE_SHARE = 0.8


def anytime(clock: Callable[[], float]) -> Anytime:
    return Anytime(EVALUATIONS, hop_s=HOP_S, share=LIVE_SHARE, clock=clock)


class Rig:
    """A separator whose evaluations take the time that the test says, on the test's own clock."""

    def __init__(self, *, adaptive: bool = True, steps: int = STEPS):
        self.now_s = 0.0
        self.cost_s = 0.0  # of one evaluation
        self.calls: list[int] = []  # evaluations of each process
        self.anytime = (
            Anytime(EVALUATIONS, hop_s=HOP_S, share=LIVE_SHARE, clock=lambda: self.now_s)
            if adaptive
            else None
        )
        model = OnnxModel(tiny()[1], provider="cpu")
        self._evaluate = model.evaluate
        model.evaluate = self._timed  # type: ignore[method-assign]
        self.separator = DiffusionSeparator(model, steps=steps, anytime=self.anytime)
        self.separator.prepare(8)

    def process(self, mixture: Audio) -> Audio:
        self.calls.append(0)
        return self.separator.process(mixture).copy()

    def hops(self, mixture: Audio) -> Audio:
        return np.concatenate([self.process(mixture[i : i + HOP]) for i in range(0, len(mixture), HOP)])

    def _timed(self, noisy: Image, evaluation: int) -> Image:
        self.now_s += self.cost_s
        self.calls[-1] += 1
        return self._evaluate(noisy, evaluation)


def costing(evaluations: float) -> float:
    """Seconds per evaluation with which so many of them take all the time there is for a hop."""
    return LIVE_SHARE * HOP_S / evaluations


def test_with_time_enough_it_is_the_fixed_number_bit_for_bit() -> None:
    mixture = noise(40 * HOP)
    rig, fixed = Rig(), Rig(adaptive=False)
    rig.cost_s = costing(4)
    np.testing.assert_array_equal(rig.hops(mixture), fixed.hops(mixture))
    assert set(rig.calls) == {EVALUATIONS}


def test_a_fixed_number_is_kept_however_long_it_takes() -> None:
    rig = Rig(adaptive=False)
    rig.cost_s = costing(0.1)
    rig.hops(noise(20 * HOP))
    assert set(rig.calls) == {EVALUATIONS}


def test_a_near_deadline_takes_what_there_is_at_once() -> None:
    rig = Rig()
    rig.cost_s = costing(4)
    rig.hops(noise(4 * HOP))
    rig.cost_s = costing(1.5)
    rig.hops(noise(HOP))
    assert rig.calls[-1] < EVALUATIONS
    rig.cost_s = costing(0.1)  # even one is too much: it is made all the same
    rig.hops(noise(HOP))
    assert rig.calls[-1] == 1


class Pacer:
    """Anytime alone, under a separator that takes time and does nothing."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.cost_s = costing(4)
        self.anytime = anytime(lambda: self.now_s)
        self.calls: list[int] = []

    def seconds(self, seconds: float) -> None:
        for _ in range(round(seconds / HOP_S)):
            self.anytime.begin(1)
            done = 0
            while self.anytime.allows(done):
                self.now_s += self.cost_s
                done += 1
                if done == EVALUATIONS:
                    break
            self.anytime.end(done)
            self.calls.append(done)


def test_one_hiccup_costs_a_few_hops_of_quality_and_no_more() -> None:
    pacer = Pacer()
    pacer.seconds(2.0)
    pacer.cost_s = 2 * HOP_S
    pacer.seconds(HOP_S)
    pacer.cost_s = costing(4)
    pacer.calls.clear()
    pacer.seconds(1.0)
    assert pacer.calls.count(EVALUATIONS) > len(pacer.calls) - 12
    assert pacer.anytime.ceiling == EVALUATIONS


def test_a_load_that_stays_high_lowers_the_ceiling_and_one_that_stays_low_raises_it() -> None:
    pacer = Pacer()
    pacer.cost_s = costing(2.5)
    pacer.seconds(3.0)
    assert pacer.anytime.ceiling == 2
    pacer.cost_s = costing(1.2)
    pacer.seconds(3.0)
    assert pacer.anytime.ceiling == 1
    pacer.cost_s = costing(10)
    pacer.seconds(0.5 * PATIENCE_S)
    assert pacer.anytime.ceiling == 1  # not at the first quiet moment
    pacer.seconds(30 * PATIENCE_S)
    assert pacer.anytime.ceiling == EVALUATIONS


def test_raises_that_were_mistakes_become_rare() -> None:
    """Three evaluations are always too many here, though two leave the load low."""
    pacer = Pacer()
    changes, last = 0, EVALUATIONS
    for _ in range(300):
        pacer.cost_s = costing(1.5 if pacer.anytime.ceiling == EVALUATIONS else 10)
        pacer.seconds(1.0)
        changes, last = changes + (pacer.anytime.ceiling != last), pacer.anytime.ceiling
    assert 4 <= changes <= 24  # without growing patience it would be more than a hundred


def test_after_a_dip_quality_is_faded_in_and_then_it_is_as_if_nothing_had_been() -> None:
    mixture = noise(120 * HOP)
    undisturbed = Rig(adaptive=False).hops(mixture)
    low = Rig(adaptive=False, steps=1).hops(mixture)
    rig = Rig()
    rig.cost_s = costing(4)
    start, stop = 20, 30  # hops of the dip
    pieces = [rig.hops(mixture[: start * HOP])]
    rig.cost_s = costing(1.01)
    pieces.append(rig.hops(mixture[start * HOP : stop * HOP]))
    assert set(rig.calls[start + 1 : stop]) == {1}
    rig.cost_s = costing(100)
    rig.now_s += 1.0
    while rig.calls[-1] < EVALUATIONS:
        at = len(rig.calls)
        pieces.append(rig.hops(mixture[at * HOP : (at + 1) * HOP]))
    back = len(rig.calls) - 1
    pieces.append(rig.hops(mixture[len(rig.calls) * HOP :]))
    output = np.concatenate(pieces)

    def distance(reference: Audio, hop: int) -> float:
        part = slice(hop * HOP, (hop + 1) * HOP)
        return float(np.linalg.norm(output[part] - reference[part]) / np.linalg.norm(reference[part]))

    assert distance(undisturbed, start - 1) == 0
    assert distance(low, stop - 1) < 1e-6
    context = rig.separator.model.spec.context_frames
    settled = back + 2 * context + 2  # the third evaluation hears what the second says
    assert back < settled < 110, "the song is too short for the test"
    assert max(distance(undisturbed, hop) for hop in range(settled, 120)) < 1e-5
    # In between it moves away from the one and towards the other.
    assert distance(low, back) < 0.5 * distance(undisturbed, back)
    assert distance(low, settled) > 2 * distance(low, back)

"""The number of steps changes while the music plays: no gap, and in the end as if it had always been so."""

from __future__ import annotations

import numpy as np
import pytest
from exported import exported, tiny
from signals import noise

from diffvs.presets import PRESETS
from stream.separation.anytime import Anytime
from stream.separation.channels import for_channels
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.resampling import ResampledSeparator
from stream.separation.schedules import Schedules
from stream.separation.separator import Audio, IdentitySeparator
from stream.separation.window import WindowSeparator

HOP, MOST = 128, 4
SAME = 1e-5  # relative; float32 in another order


def separator(*, most_steps: int = MOST, **how) -> DiffusionSeparator:
    result = DiffusionSeparator(OnnxModel(tiny()[1], provider="cpu"), most_steps=most_steps, **how)
    result.prepare(8)
    return result


def hops(stream, mixture: Audio) -> Audio:
    return np.concatenate([stream.process(mixture[i : i + HOP]).copy() for i in range(0, len(mixture), HOP)])


def relative(output: Audio, reference: Audio) -> float:
    return float(np.linalg.norm(output - reference) / np.linalg.norm(reference))


def test_every_number_has_its_levels_and_the_first_is_common():
    spec = OnnxModel(tiny()[1], provider="cpu").spec
    schedules = Schedules(spec, None, MOST)
    assert len(schedules.levels) == 1 + 2 + 4 + 6
    for steps in range(1, MOST + 1):
        sigmas, places = schedules[steps]
        assert len(sigmas) == steps + 1
        assert len(places) == 2 * steps - 1
        assert [schedules.levels[place] for place in places[::2]] == sigmas[:-1]
    assert schedules[None] == schedules[spec.steps]
    assert 5 not in schedules


@pytest.mark.parametrize("steps", range(1, MOST + 1))
def test_a_number_that_was_chosen_is_that_number_bit_for_bit(steps: int):
    mixture = noise(30 * HOP)
    chosen, fixed = separator(), separator(most_steps=0, steps=steps)
    assert chosen.set_steps(steps)
    chosen.reset()  # silence has come before, at these steps too
    np.testing.assert_array_equal(hops(chosen, mixture), hops(fixed, mixture))
    assert f"{2 * steps - 1} evaluation" in chosen.status


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 2), (4, 1), (2, 4)])
def test_a_change_ends_as_if_it_had_always_been_so(before: int, after: int):
    mixture = noise(160 * HOP)
    change = 20
    stream = separator()
    stream.set_steps(before)
    stream.reset()
    output = [hops(stream, mixture[: change * HOP])]
    stream.set_steps(after)
    output.append(hops(stream, mixture[change * HOP :]))
    got = np.concatenate(output)
    old, new = (hops(separator(most_steps=0, steps=n), mixture) for n in (before, after))
    settled = change + (2 * after - 1) * stream.model.spec.context_frames + 2
    assert settled < 150, "the song is too short for the test"
    np.testing.assert_array_equal(got[: change * HOP], old[: change * HOP])
    assert relative(got[settled * HOP :], new[settled * HOP :]) < SAME
    assert np.abs(got).max() < 4 * max(np.abs(old).max(), np.abs(new).max())  # no burst on the way


def test_a_state_that_was_not_in_use_is_forgotten():
    """Chosen, left, and chosen again: what the states heard the first time is long over."""
    mixture = noise(200 * HOP)
    stream, late = separator(), separator()
    for stretch, steps in ((slice(0, 60), 3), (slice(60, 120), 1)):
        stream.set_steps(steps)
        hops(stream, mixture[stretch.start * HOP : stretch.stop * HOP])
    late.set_steps(1)
    hops(late, mixture[: 120 * HOP])
    for one in (stream, late):
        one.set_steps(3)
    again, first = (hops(one, mixture[120 * HOP :]) for one in (stream, late))
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_a_set_number_is_kept_however_long_it_takes():
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 10.0  # whatever is asked for comes too late
        return now_s[0]

    anytime = Anytime(2 * MOST - 1, hop_s=HOP / 44_100, share=0.8, clock=clock)
    stream = separator(steps=MOST, anytime=anytime)
    runs: list[int] = []
    evaluate = stream.model.evaluate
    stream.model.evaluate = lambda x, place: (runs.append(place), evaluate(x, place))[1]
    for steps, made in ((None, 1), (2, 3), (None, 1), (3, 5)):
        runs.clear()
        stream.set_steps(steps)
        hops(stream, noise(HOP))
        assert len(runs) == made, steps


def test_windows_take_other_steps_from_the_next_window_on():
    path = exported(PRESETS["tiny-window"])[1]
    one, other = (WindowSeparator(OnnxModel(path, provider="cpu"), most_steps=MOST) for _ in range(2))
    fixed = WindowSeparator(OnnxModel(path, provider="cpu"), steps=2)
    for stream in (one, other, fixed):
        stream.prepare(8)
    mixture = noise(64 * HOP)
    assert one.set_steps(2)
    assert not one.set_steps(9)
    np.testing.assert_array_equal(hops(one, mixture), hops(fixed, mixture))


def test_where_there_is_nothing_to_choose_it_is_refused():
    identity = IdentitySeparator()
    assert identity.set_steps(None)
    assert not identity.set_steps(2)
    assert not separator(most_steps=0).set_steps(3)
    many = for_channels(lambda: separator(), 3)
    assert many.set_steps(3)
    assert "5 evaluations" not in many.status  # not before the next hop
    assert not ResampledSeparator(IdentitySeparator(), 48_000).set_steps(1)

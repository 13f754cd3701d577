"""What the audio port plays, sample by sample: levels, vocals that are late, blocks of any size."""

import numpy as np
import pytest
from port_rig import FADE, LATENCY, RAMP, TOLERANCE, Rig, delayed, noise, same_bits, wet


class TestLevels:
    @pytest.mark.parametrize("prompt", [True, False])
    @pytest.mark.parametrize("block", [1, 63, 64, 65, 256, 257, 300])
    def test_both_at_1_is_the_input_bit_for_bit(self, block, prompt):
        mixture = noise(1500, 1)
        mixture[400:408] = [[-0.0, 1e-40], [np.inf, -np.inf], [1e30, -1e-30], [0, 1]] * 2
        rig = Rig(mixture, noise(1500, 2))
        rig.play(1500, block, prompt=prompt)
        assert same_bits(rig.output, delayed(mixture, LATENCY))

    @pytest.mark.parametrize("on_late", ["dry", "mute"])
    def test_equal_levels_need_no_vocals(self, on_late):
        rig = Rig(noise(1500, 1), noise(1500, 2), levels=(0.5, 0.5))
        rig.port.on_late = on_late
        rig.play(1500, prompt=False)
        assert same_bits(rig.output, delayed(rig.mixture, LATENCY) * np.float32(0.5))

    @pytest.mark.parametrize("levels", [(0.0, 1.0), (1.0, 0.0), (0.3, 0.8), (0.8, 0.3)])
    def test_the_mix_is_vocals_and_accompaniment_by_their_levels(self, levels):
        rig = Rig(noise(2000, 1), noise(2000, 2), levels=levels)
        rig.play(2000)
        assert np.abs(rig.output - wet(rig, *levels)).max() < TOLERANCE
        assert rig.port.stats().late_samples == 0

    @pytest.mark.parametrize(
        ("before", "after"), [((1, 1), (0, 1)), ((0, 1), (1, 0)), ((1, 1), (0, 0)), ((0.2, 0.9), (0.9, 0.2))]
    )
    @pytest.mark.parametrize("prompt", [True, False])
    def test_a_ramp_has_no_step_larger_than_its_bound(self, before, after, prompt):
        samples = 2000
        rig = Rig(np.ones((samples, 2), np.float32), np.full((samples, 2), -0.5, np.float32), levels=before)
        rig.play(600, prompt=prompt)
        rig.set_levels(*after)
        rig.play(1400, prompt=prompt)
        steps = np.abs(np.diff(rig.output[500:], axis=0))
        # Each level moves by 1 / RAMP; vocals are -0.5, accompaniment 1.5, the dry mixture 1.
        assert steps.max() <= (0.5 + 1.5) / RAMP + TOLERANCE
        assert not steps[100 + RAMP :].any()  # there in time, and it stays
        assert not prompt or np.abs(rig.output[-1] - (-0.5 * after[0] + 1.5 * after[1])).max() < TOLERANCE

    def test_levels_set_before_the_first_block_hold_from_its_first_sample(self):
        rig = Rig(noise(300, 1), noise(300, 2), latency=0, levels=(0.25, 0.25))
        assert same_bits(rig.block(300), rig.mixture * np.float32(0.25))

    def test_both_at_0_is_silence_even_when_late(self):
        rig = Rig(noise(2000, 1), noise(2000, 2), levels=(0, 1))
        rig.play(1000)
        rig.set_levels(0, 0)
        rig.play(100)
        rig.play(900, prompt=False)
        assert rig.port.stats().late_samples > 0
        assert not rig.output[1000 + max(RAMP, LATENCY + FADE + 64) :].any()

    @pytest.mark.parametrize("level", [-0.01, 4.01, float("nan"), float("inf")])
    def test_levels_beyond_0_to_4_are_refused(self, level):
        port = Rig(noise(1, 1), noise(1, 1)).port
        for name in ("vocals_level", "accompaniment_level"):
            with pytest.raises(ValueError, match="levels run from 0 to 4"):
                setattr(port, name, level)
            assert getattr(port, name) == 1


class TestLateVocals:
    def test_the_mixture_plays_on_at_the_same_delay_and_all_is_counted(self):
        rig = Rig(noise(3000, 1), noise(3000, 2), levels=(0, 1))
        rig.play(1000)
        given = rig.given
        rig.play(1000, prompt=False)
        stats = rig.port.stats()
        first_late = LATENCY + given
        assert stats.late_samples == 2000 - first_late
        assert stats.late_events == 1
        assert np.abs(rig.output - wet(rig, 0, 1))[:first_late].max() < TOLERANCE
        dry = slice(first_late + FADE, 2000)
        assert same_bits(rig.output[dry], delayed(rig.mixture, LATENCY)[dry])

    def test_nothing_is_late_before_the_first_input_comes_out(self):
        rig = Rig(noise(LATENCY, 1), noise(LATENCY, 2), levels=(0, 1))
        rig.play(LATENCY, prompt=False)
        assert rig.port.stats().late_samples == 0
        assert not rig.output.any()

    def test_late_vocals_are_discarded_so_that_alignment_never_drifts(self):
        rng = np.random.default_rng(3)
        rig = Rig(noise(40_000, 1), noise(40_000, 2), levels=(0.1, 0.9))
        for _ in range(8):
            rig.play(int(rng.integers(200, 1200)), block=int(rng.integers(1, 200)), prompt=False)
            while rig.given < rig.taken:  # catches up in dribs and drabs
                rig.block(int(rng.integers(1, 60)))
                rig.take()
                rig.give(int(rng.integers(1, 300)))
            rig.play(2 * FADE + LATENCY)
            settled = slice(rig.position - LATENCY, rig.position)
            assert np.abs(rig.output - wet(rig, 0.1, 0.9))[settled].max() < TOLERANCE
        assert rig.port.stats().late_events >= 8
        assert rig.port.stats().resyncs == 0

    def test_mute_is_silence_after_the_fade_and_comes_back(self):
        rig = Rig(noise(4000, 1), noise(4000, 2), levels=(0, 1))
        rig.port.on_late = "mute"
        rig.play(1000)
        rig.play(1000, prompt=False)
        assert not rig.output[LATENCY + rig.given + FADE : 2000].any()
        rig.give()
        rig.play(1000)
        assert np.abs(rig.output - wet(rig, 0, 1))[2000 + FADE + 64 : 3000].max() < TOLERANCE

    @pytest.mark.parametrize("on_late", ["dry", "mute"])
    @pytest.mark.parametrize("gap", [1, 10, FADE // 2, FADE, 2 * FADE, 5 * FADE])
    def test_vocals_that_vanish_and_return_do_not_click(self, gap, on_late):
        t = np.arange(4000)[:, None] / 44_100
        mixture = (0.8 * np.sin(2 * np.pi * 100 * t) * [1, -1]).astype(np.float32)
        vocals = (0.6 * np.cos(2 * np.pi * 70 * t) * [1, 0.5]).astype(np.float32)
        rig = Rig(mixture, vocals, levels=(0, 1))
        rig.port.on_late = on_late
        rig.play(2000)
        rig.play(LATENCY + gap, block=1, prompt=False)
        rig.give()
        rig.play(1000)
        stats = rig.port.stats()
        assert (stats.late_samples, stats.late_events) == (gap, 1)
        # What moves anyway, plus the difference that the fade takes in or out.
        after_start = slice(2 * LATENCY, 3000)
        output, dry, mixed = (x[after_start] for x in (rig.output, delayed(mixture, LATENCY), wet(rig, 0, 1)))
        moves = np.abs(np.diff(dry, axis=0)).max() + np.abs(np.diff(mixed - dry, axis=0)).max()
        fades = np.abs(mixed - (dry if on_late == "dry" else 0)).max() / FADE
        assert moves + fades < 0.05  # far from a click
        assert np.abs(np.diff(output, axis=0)).max() <= moves + fades + TOLERANCE

    def test_the_policy_can_change_while_late_without_a_click(self):
        rig = Rig(np.ones((3000, 2), np.float32), np.ones((3000, 2), np.float32), levels=(0, 1))
        rig.play(1000, prompt=False)
        rig.port.on_late = "mute"
        rig.play(1000, prompt=False)
        assert np.abs(np.diff(rig.output[LATENCY:2000], axis=0)).max() <= 1 / min(RAMP, FADE) + TOLERANCE
        assert not rig.output[1000 + RAMP : 2000].any()

    def test_the_policy_has_two_names(self):
        port = Rig(noise(1, 1), noise(1, 1)).port
        assert port.on_late == "dry"
        with pytest.raises(ValueError, match='on_late is "loud"; it must be "dry" or "mute"'):
            port.on_late = "loud"


class TestBlocks:
    @pytest.mark.parametrize("block", [1, 7, 64, 255, 256, 257, 600])
    def test_any_partition_gives_the_same_bits(self, block):
        def run(block):
            rig = Rig(noise(3000, 1), noise(3000, 2), latency=600, max_block=256, levels=(0, 1))
            rig.play(1200, block)
            rig.set_levels(0.7, 0.4)
            rig.play(1200, block)
            return rig.output[:2400]

        assert same_bits(run(block), run(48))

    def test_a_block_of_nothing_changes_nothing(self):
        rig = Rig(noise(100, 1), noise(100, 2))
        rig.block(0)
        assert rig.port.stats().position == 0

    def test_input_and_output_may_be_the_same_array(self):
        rig = Rig(noise(1000, 1), noise(1000, 2))
        block = rig.mixture.copy()
        rig.port.process(block, block)
        assert same_bits(block, delayed(rig.mixture, LATENCY))

    def test_peaks_are_since_the_last_stats(self):
        mixture = np.zeros((1000, 2), np.float32)
        mixture[10, 1], mixture[600, 0] = -0.75, 0.25
        rig = Rig(mixture, mixture * np.float32(0.5), latency=100)
        rig.play(500)
        stats = rig.port.stats()
        assert (stats.peak_input, stats.peak_output, stats.peak_vocals) == (0.75, 0.75, 0.375)
        rig.play(500)
        stats = rig.port.stats()
        assert (stats.peak_input, stats.peak_output, stats.peak_vocals) == (0.25, 0.25, 0.125)

    def test_blocks_and_samples_are_counted(self):
        rig = Rig(noise(1000, 1), noise(1000, 2))
        for samples in (10, 400, 5):
            rig.block(samples)
        stats = rig.port.stats()
        assert (stats.blocks, stats.samples, stats.position, stats.largest_block) == (3, 415, 415, 400)

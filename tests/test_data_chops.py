"""Chopped voices: pieces of the voice and nothing else, in a rhythm, at the speeds that are said."""

import numpy as np
import pytest
from data_files import tone

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.augment import TAIL
from diffvs.data.chops import chop, glide, hold


def voice(seconds=8.0):
    return np.ascontiguousarray(tone(0, seconds).T)


def frequency(samples):
    spectrum = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))
    return int(np.argmax(spectrum)) * SAMPLE_RATE / samples.shape[1]


@pytest.mark.parametrize("speed", [0.75, 1.0, 1.5])
def test_a_steady_glide_moves_pitch_and_length(speed):
    samples = voice(1.0)
    played = glide(samples, speed, speed)
    assert played.shape[1] == pytest.approx(samples.shape[1] / speed, abs=2)
    assert frequency(played) == pytest.approx(200 * speed, rel=0.01)


def test_a_glide_begins_at_one_speed_and_ends_at_the_other():
    played = glide(voice(2.0), 0.75, 1.5)
    part = played.shape[1] // 16
    assert frequency(played[:, :part]) == pytest.approx(200 * 0.773, rel=0.03)
    assert frequency(played[:, -part:]) == pytest.approx(200 * 1.477, rel=0.03)


def test_what_is_held_lasts_and_keeps_its_pitch():
    held = hold(np.random.default_rng(0), voice(0.2), SAMPLE_RATE)
    assert held.shape == (2, SAMPLE_RATE)
    assert frequency(held) == pytest.approx(200, abs=15)  # the grains blur it
    levels = np.square(held).mean(axis=0).reshape(10, -1).mean(axis=1)
    assert levels.min() > 0.1 * levels.max()


def test_what_is_held_is_one_moment_and_not_what_follows():
    rising = glide(voice(1.0), 0.5, 2.0)
    held = hold(np.random.default_rng(0), rising, SAMPLE_RATE)
    part = SAMPLE_RATE // 4
    assert frequency(held[:, :part]) == pytest.approx(frequency(held[:, -part:]), rel=0.15)


def test_a_bar_is_repeated():
    chopped, _ = chop(np.random.default_rng(1), voice())
    block = SAMPLE_RATE // 100
    usable = chopped.shape[1] // block * block
    envelope = np.sqrt(np.square(chopped[0, :usable]).reshape(-1, block).mean(axis=1))
    assert envelope.std() > 0.3 * envelope.mean()  # there is a rhythm
    bars = range(137, 301)  # centiseconds: 175 to 80 beats a minute
    alike = [np.corrcoef(envelope[:-bar], envelope[bar:])[0, 1] for bar in bars]
    assert max(alike) > 0.9


def test_chops_are_a_function_of_the_generator_and_as_long_as_the_voice():
    for length in (TAIL, 100_000):
        samples = voice()[:, :length]
        chopped, slowest = chop(np.random.default_rng(length), samples)
        assert chopped.shape == samples.shape
        assert chopped.dtype == np.float32
        assert np.isfinite(chopped).all()
        assert 2 ** (-5 / 12) <= slowest <= 2 ** (7 / 12)
        again, _ = chop(np.random.default_rng(length), samples)
        assert np.array_equal(chopped, again)
    silence, _ = chop(np.random.default_rng(0), np.zeros((2, 100_000), np.float32))
    assert not silence.any()

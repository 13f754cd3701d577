"""Processed copies: nothing changed is nothing changed; pitch, formants and tempo move alone."""

import numpy as np
import pytest
from data_files import tone

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.cache import LEVEL_BLOCK, Cache, Entry, HeldOutError
from diffvs.data.variants import (
    add_variant,
    change_voice,
    double,
    envelope,
    make_variant,
    sounding_parts,
    variant_of,
)

F0 = 150


def vowel(seconds=1.5):
    """Harmonics of F0 under one resonance at 1000 Hz, as (2, samples)."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    heights = [1 / (1 + ((F0 * k - 1000) / 250) ** 2) for k in range(1, 40)]
    wave = 0.1 * sum(h * np.sin(2 * np.pi * F0 * k * time) for k, h in enumerate(heights, 1))
    return np.stack([wave, wave]).astype(np.float32)


def spectrum(samples):
    """Magnitudes of 1 s from the middle: bin = Hz."""
    middle = samples.shape[1] // 2
    part = samples[0, middle - SAMPLE_RATE // 2 : middle + SAMPLE_RATE // 2]
    return np.abs(np.fft.rfft(part * np.hanning(len(part))))


def fundamental(samples):
    """Spacing of the harmonics in Hz, by the strongest lag of the spectrum's own correlation."""
    magnitudes = spectrum(samples)[:4000]
    lags = [float(magnitudes[lag:] @ magnitudes[:-lag]) for lag in range(80, 300)]
    return 80 + int(np.argmax(lags))


def resonance(samples):
    """Centre of gravity of the power spectrum in Hz."""
    power = spectrum(samples)[:4000] ** 2
    return float((power * np.arange(4000)).sum() / power.sum())


def test_factors_of_one_change_nothing():
    voice = vowel()
    out = change_voice(voice, 1.0, 1.0, 1.0)
    middle = slice(4096, voice.shape[1] - 4096)
    assert np.abs(out[:, middle] - voice[:, middle]).max() < 1e-4


def test_pitch_moves_and_formants_stay():
    out = change_voice(vowel(), 1.25, 1.0, 1.0)
    assert fundamental(out) == pytest.approx(F0 * 1.25, abs=2)
    assert resonance(out) == pytest.approx(resonance(vowel()), rel=0.06)


def test_formants_move_and_pitch_stays():
    out = change_voice(vowel(), 1.0, 1.2, 1.0)
    assert fundamental(out) == pytest.approx(F0, abs=2)
    assert resonance(out) == pytest.approx(1.2 * resonance(vowel()), rel=0.06)


def test_tempo_moves_alone():
    out = change_voice(vowel(3.0), 1.0, 1.0, 1.25)
    assert out.shape[1] == pytest.approx(3.0 * SAMPLE_RATE / 1.25, rel=1e-3)
    assert fundamental(out) == pytest.approx(F0, abs=2)
    assert resonance(out) == pytest.approx(resonance(vowel()), rel=0.03)


def test_the_stereo_image_stays():
    voice = vowel()
    voice[1] *= 0.25
    out = change_voice(voice, 1.1, 1.0, 1.0)
    middle = slice(8192, -8192)
    np.testing.assert_allclose(out[1, middle], out[0, middle] * 0.25, atol=1e-4)


def test_an_envelope_runs_over_the_peaks():
    flat = np.full((1, 1025), 1e-6, np.float32)
    flat[0, ::10] = 1.0
    assert envelope(flat)[0, 20:-20] == pytest.approx(1.0, abs=0.05)


def test_doubling_adds_a_later_take():
    click = np.zeros((2, SAMPLE_RATE), np.float32)
    click[:, 100] = 1
    doubled = double(click, np.random.default_rng(0))
    later = np.flatnonzero(np.abs(doubled).max(axis=0) > 0.05)
    assert later[0] == 100
    assert 0.002 * SAMPLE_RATE < later[-1] - 100 < 0.045 * SAMPLE_RATE


def test_silence_is_cut_out():
    samples = np.ones((2, 20 * LEVEL_BLOCK), np.float32)
    levels = [-90] * 8 + [-20] * 2 + [-90] * 10
    assert sounding_parts(samples, levels).shape[1] == 6 * LEVEL_BLOCK


def test_variants_are_stored_beside_the_original_and_made_once(tmp_path):
    cache = Cache(tmp_path)
    voice = Entry("eif", "song/lead", "vocals", "song", "lead", "a.wav", 9_000.0)
    original = cache.add("train", voice, tone(1))
    assert add_variant(tmp_path, original, 1) == ""
    copy = next(entry for entry in cache.entries("train") if entry.variant == 1)
    assert (copy.song, copy.role, copy.name) == ("song", "vocals", "song/lead~1")
    assert copy.bandwidth_hz != 9_000
    assert copy.levels_db
    path = next(tmp_path.rglob("*1-*.npy"))
    before = path.stat().st_mtime_ns
    assert add_variant(tmp_path, original, 1) == ""
    assert path.stat().st_mtime_ns == before
    one = cache.read("train", copy, 0, copy.samples)
    make_variant(cache, original, 1)
    np.testing.assert_array_equal(cache.read("train", copy, 0, copy.samples), one)


def test_no_variant_of_a_held_out_song(tmp_path):
    cache = Cache(tmp_path)
    voice = Entry("eif", "6_Caesium/lead", "vocals", "6_Caesium", "lead", "a.wav")
    stored = cache.add("valid", voice, tone(1))
    assert "No such file" in add_variant(tmp_path, stored, 1)  # it is not in the training split to begin with
    with pytest.raises(HeldOutError):
        cache.add("train", variant_of(stored, 1), tone(1))

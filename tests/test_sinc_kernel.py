"""The interpolation between two clocks, against exact tones and against soxr at constant ratios."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from cpp_ext import SincKernel

RATE = 44_100
SAMPLES = 20_000
STEPS = [0.9998, 1.0002, 48_000 / 44_100, 44_100 / 96_000]
PASS_HZ = 20_000  # of the lower of the two rates, as 44.1 kHz has it
RIPPLE_DB = 0.001
SNR_DB = 105.0  # measured 110.7 at the worst, 20 kHz
STOP_DB = -100.0
ALIKE_DB = -95.0  # above 15 kHz soxr itself is less exact than this


def resampled(signal: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and their places, (n,) each."""
    kernel = SincKernel(step)
    places = np.arange(kernel.half, len(signal) - kernel.half - 1, step)
    output = np.empty((len(places), 1), np.float32)
    kernel.at(signal[:, np.newaxis].astype(np.float32), places, output)
    return output[:, 0].astype(np.float64), places


def fitted(values: np.ndarray, hz: float, places: np.ndarray) -> tuple[float, float]:
    """Gain of a tone of amplitude 1, and energy of all that is not this tone, both in dB."""
    angle = 2 * np.pi * hz / RATE * places
    parts = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found, *_ = np.linalg.lstsq(parts, values, rcond=None)
    rest = np.mean(np.square(values - parts @ found)) / 0.5
    return 20 * np.log10(np.hypot(*found) + 1e-12), 10 * np.log10(rest + 1e-30)


def tone(hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz / RATE * np.arange(SAMPLES))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("share", [0.005, 0.05, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_tones_in_the_band_pass_as_they_are(step, share):
    hz = share * PASS_HZ / max(1.0, step)
    gain_db, rest_db = fitted(*resampled_of(hz, step))
    assert abs(gain_db) < RIPPLE_DB
    assert rest_db < -SNR_DB


def resampled_of(hz: float, step: float) -> tuple[np.ndarray, float, np.ndarray]:
    values, places = resampled(tone(hz), step)
    return values, hz, places


@pytest.mark.parametrize("step", [2.0, 96_000 / 44_100, 192_000 / 44_100])
def test_what_the_lower_rate_cannot_hold_is_stopped(step):
    """Else it would be mirrored into the music."""
    for hz in np.linspace(0.5 / step * 1.09, 0.49, 7) * RATE:
        values, _ = resampled(tone(hz), step)
        assert 10 * np.log10(np.mean(np.square(values)) / 0.5) < STOP_DB


def test_a_constant_stays_constant():
    values, _ = resampled(np.ones(SAMPLES), 1.00013)
    assert np.abs(values - 1).max() < 1e-6


@pytest.mark.parametrize("step", STEPS)
def test_it_agrees_with_soxr(step):
    """On noise in the band where both are exact, at the same places."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
    hz = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    spectrum[hz > 0.7 * PASS_HZ / max(1.0, step)] = 0
    signal = np.fft.irfft(spectrum) * np.hanning(SAMPLES)
    theirs = soxr.resample(signal, RATE * step, RATE, "VHQ")
    kernel = SincKernel(step)
    places = np.arange(len(theirs)) * step  # of soxr's values
    inside = (places >= kernel.half) & (places < SAMPLES - kernel.half - 1)
    ours = np.empty((inside.sum(), 1), np.float32)
    kernel.at(signal[:, np.newaxis].astype(np.float32), places[inside], ours)
    error = ours[:, 0] - theirs[inside]
    assert 10 * np.log10(np.mean(np.square(error)) / np.mean(np.square(theirs[inside]))) < ALIKE_DB


def test_places_beyond_the_signal_are_refused():
    kernel = SincKernel(1.0)
    output = np.empty((1, 1), np.float32)
    for place in (kernel.half - 1.5, 1_000.0 - kernel.half):
        with pytest.raises(ValueError, match="there is nothing around"):
            kernel.at(np.zeros((1_000, 1), np.float32), np.array([place]), output)

"""Cheap changes of sound for training examples: one FFT filter for everything linear, and two nonlinear ones.

All arrays are (2, samples) float32. Equaliser, widening and reverberation are linear and time-invariant, so
they are multiplied into one frequency response and applied with one pair of FFTs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft
import soxr

from diffvs.data.audio import SAMPLE_RATE, Audio

Spectrum = npt.NDArray[np.complex64]
Rng = np.random.Generator

BANK = 32  # rooms, and widenings, that differ
TAIL = 32_768  # samples of reverberation kept: 0.74 s, faded out at the end


def db(value: float) -> np.float32:
    """Decibels to an amplitude factor."""
    return np.float32(10 ** (value / 20))


def rms(samples: Audio) -> float:
    """Root mean square over both channels."""
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64)))


def resample_to(samples: Audio, length: int) -> Audio:
    """Play (2, n) audio faster or slower so that it lasts `length` samples; pitch and formants move along."""
    if samples.shape[1] == length:
        return samples
    # LQ is clean up to 0.8 of the band: enough for an augmentation, at a third of the price of HQ.
    played = soxr.resample(samples.T, samples.shape[1], length, quality="LQ").T
    out = np.zeros((2, length), dtype=np.float32)
    kept = min(length, played.shape[1])
    out[:, :kept] = played[:, :kept]
    return out


def impulse_response(rng: Rng) -> Audio:
    """A synthetic room as (2, TAIL), unit energy: early reflections, then noise whose highs decay faster.

    Decay times 0.3 to 2.5 s, first reflection after 1 to 60 ms; the channels are independent.
    """
    time = np.arange(TAIL, dtype=np.float32) / SAMPLE_RATE
    decay_s = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    noise = rng.standard_normal((2, TAIL), dtype=np.float32)
    dull = np.cumsum(noise, axis=1)
    dull[:, 32:] = (dull[:, 32:] - dull[:, :-32]) / 6
    brightness = float(rng.uniform(0.1, 0.6))
    fall = np.exp(-6.9 * time / decay_s), np.exp(-6.9 * time / (decay_s * brightness))
    response = (dull * fall[0] + noise * fall[1]).astype(np.float32)
    early = rng.integers(40, 3000, size=(2, 12))
    for channel in range(2):
        response[channel, early[channel]] += rng.standard_normal(12, dtype=np.float32) * 4
    delay = int(rng.uniform(0.001, 0.06) * SAMPLE_RATE)
    response = np.concatenate([np.zeros((2, delay), np.float32), response], axis=1)[:, :TAIL]
    response[:, -8192:] *= np.linspace(1, 0, 8192, dtype=np.float32)
    scaled: Audio = response / np.sqrt(np.square(response).sum(axis=1, keepdims=True))
    return scaled


class FilterBank:
    """Frequency responses for crops of one length: random equalisers, BANK rooms and BANK widenings.

    A crop comes with TAIL samples before it, so that the reverberation of what was sung earlier is in it.
    Rooms and widenings are numbered; each is made when first asked for, always the same.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.fft_size = int(scipy.fft.next_fast_len(samples + TAIL, real=True))
        self.frequencies = np.fft.rfftfreq(self.fft_size, 1 / SAMPLE_RATE).astype(np.float32)
        self._log_frequencies = np.log(np.maximum(self.frequencies, 20.0))
        self._rooms: dict[int, Spectrum] = {}
        self._widenings: dict[int, Spectrum] = {}

    def _spectrum(self, samples: Audio) -> Spectrum:
        spectrum: Spectrum = scipy.fft.rfft(samples, self.fft_size, axis=1)
        return spectrum

    def room(self, number: int) -> Spectrum:
        """Response (2, bins) of room `number` of BANK, without the direct sound."""
        if number not in self._rooms:
            self._rooms[number] = self._spectrum(impulse_response(np.random.default_rng((number, 0))))
        return self._rooms[number]

    def widening(self, number: int) -> Spectrum:
        """All-pass phases (2, bins) that wander differently in the two channels: a mono voice gets width."""
        if number not in self._widenings:
            rng = np.random.default_rng((number, 1))
            points = np.sort(rng.uniform(0, SAMPLE_RATE / 2, 24))
            phases = [
                np.interp(self.frequencies, points, rng.uniform(-1.2, 1.2, len(points))) for _ in range(2)
            ]
            self._widenings[number] = np.exp(1j * np.stack(phases)).astype(np.complex64)
        return self._widenings[number]

    def equaliser(self, rng: Rng, strength_db: float) -> Audio:
        """A random magnitude response (bins,): points an octave apart, straight lines between in dB."""
        points = np.log(np.geomspace(40, 20_000, 10))
        gains_db = rng.normal(0, strength_db / 2, len(points)).clip(-strength_db, strength_db)
        curve = np.interp(self._log_frequencies, points, gains_db * (np.log(10) / 20))
        response: Audio = np.exp(curve, dtype=np.float64).astype(np.float32)
        return response

    def apply(self, samples: Audio, response: Spectrum | Audio) -> Audio:
        """Filter (2, TAIL + samples); the first TAIL samples of the result are not whole."""
        filtered = scipy.fft.irfft(self._spectrum(samples) * response, self.fft_size, axis=1)
        out: Audio = filtered[:, : TAIL + self.samples]
        return out


def place(rng: Rng, samples: Audio, width_s: float) -> Audio:
    """Drop the first TAIL samples of (2, TAIL + n); pan, and delay one channel by up to `width_s`."""
    pan = float(rng.uniform(-0.6, 0.6))
    delays = [round(float(rng.uniform(0, width_s)) * SAMPLE_RATE), 0]
    if rng.random() < 0.5:
        delays.reverse()
    end = samples.shape[1]
    channels = [
        samples[channel, TAIL - delay : end - delay] * np.float32(np.sqrt(1 + side * pan))
        for channel, (side, delay) in enumerate(zip((-1, 1), delays, strict=True))
    ]
    return np.stack(channels)


def soft_clip(samples: Audio, drive_db: float) -> Audio:
    """tanh saturation, driven so many dB above the RMS level; the level stays about what it was."""
    level = max(rms(samples), 1e-6)
    drive = db(drive_db) / np.float32(4 * level)
    clipped: Audio = np.tanh(samples * drive) / drive
    return clipped


def compress(samples: Audio, ratio: float, block: int = 512) -> Audio:
    """Downward compression of what is above the RMS level: (level / RMS)^(1/ratio - 1), interpolated.

    The level is taken per block of samples and smoothed over five of them.
    """
    usable = samples.shape[1] // block * block
    if usable == 0:
        return samples
    energy = np.square(samples[:, :usable]).reshape(2, -1, block).mean(axis=(0, 2))
    # A short release: a moving mean over about 50 ms.
    smooth = np.convolve(energy, np.full(5, 0.2, np.float32), mode="same")
    over = np.maximum(smooth / max(float(energy.mean()), 1e-12), 1.0)
    gains = over ** (0.5 * (1 / ratio - 1))
    centres = np.arange(len(gains)) * block + block / 2
    curve = np.interp(np.arange(samples.shape[1]), centres, gains).astype(np.float32)
    compressed: Audio = samples * curve
    return compressed

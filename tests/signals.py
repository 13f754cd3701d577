"""Test signals: float32, (samples, channels), from fixed seeds."""

from __future__ import annotations

import numpy as np


def noise(samples: int, channels: int = 2, *, amplitude: float = 0.1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (amplitude * generator.standard_normal((samples, channels))).astype(np.float32)


def tone(samples: int, hz: float, sample_rate: int, channels: int = 2) -> np.ndarray:
    wave = np.sin(2 * np.pi * hz / sample_rate * np.arange(samples))
    return np.repeat(wave[:, np.newaxis], channels, axis=1).astype(np.float32)


def impulse(samples: int, at: int, channels: int = 2) -> np.ndarray:
    signal = np.zeros((samples, channels), np.float32)
    signal[at] = 1.0
    return signal


def residual_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Energy of the difference against the reference's, in dB."""
    error = np.sum(np.square(estimate.astype(np.float64) - reference))
    return float(10 * np.log10(max(error, 1e-30) / np.sum(np.square(reference.astype(np.float64)))))

"""Columns of the live spectrograms: loudness by pitch, a byte each.

Bands lie evenly in octaves, as ears hear and as notes lie. A band wider than a bin shows the loudest bin in
it, a narrower one the value between two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BANDS = 112
LOWEST_HZ, HIGHEST_HZ = 55.0, 16_000.0
FLOOR_DB, TOP_DB = -84.0, -14.0  # of a full-scale tone: 0 and 255
TILT_DB = 3.0  # per octave above 1 kHz: music falls by about that
COLUMNS_A_SECOND = 30
N_FFT = 4_096

Columns = NDArray[np.uint8]


class Spectrogram:
    """Feeds on audio of two signals and gives columns at an even pace, whatever the pieces it came in."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self._step = max(1, round(sample_rate / COLUMNS_A_SECOND))
        self._window = np.hanning(N_FFT).astype(np.float32)
        self._scale = 2 / float(self._window.sum())  # a full-scale tone is 1
        centres_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS)
        bins = np.minimum(centres_hz * N_FFT / sample_rate, N_FFT // 2)
        half = (HIGHEST_HZ / LOWEST_HZ) ** (0.5 / (BANDS - 1))
        first = np.floor(bins / half).astype(int)
        last = np.minimum(np.ceil(bins * half).astype(int), N_FFT // 2)
        self._bins = bins
        self._narrow = last - first <= 2
        self._bounds = np.stack([first, last], axis=1).ravel()  # by turns, as reduceat wants them
        self._tilt_db = (TILT_DB * np.log2(centres_hz / 1_000.0)).astype(np.float32)
        self._audio = np.zeros((2, N_FFT - self._step), np.float32)

    def feed(self, audio: NDArray[np.float32]) -> Columns:
        """(2, samples), any number; returns (columns, 2, BANDS), lowest band first."""
        sound = np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0)
        self._audio = np.concatenate([self._audio, sound], axis=1)
        columns = []
        while self._audio.shape[1] >= N_FFT:
            columns.append(self._column(self._audio[:, :N_FFT]))
            self._audio = self._audio[:, self._step :]
        return np.stack(columns) if columns else np.zeros((0, 2, BANDS), np.uint8)

    def _column(self, piece: NDArray[np.float32]) -> Columns:
        spectrum = np.abs(np.fft.rfft(piece * self._window)) * self._scale
        between = np.stack([np.interp(self._bins, np.arange(N_FFT // 2 + 1), one) for one in spectrum])
        loudest = np.maximum.reduceat(spectrum, self._bounds, axis=1)[:, ::2]
        level_db = 20 * np.log10(np.maximum(np.where(self._narrow, between, loudest), 1e-9)) + self._tilt_db
        share = (level_db - FLOOR_DB) / (TOP_DB - FLOOR_DB)
        level: Columns = np.clip(share * 255, 0, 255).astype(np.uint8)
        return level

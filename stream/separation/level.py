"""The running level that a model divides its mixture by; `diffvs.spectrum` has it in torch (a test compares).

A frame counts by its own power and by its age. So an onset is followed at once, a fall slowly, and a pause
changes nothing until it is long.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from stream.separation.spec import ModelSpec
from stream.separation.spectrum import QUIET, Spectra

FORGOTTEN = 1e-12  # sum of power that says nothing any more about the level of what comes next


class RunningLevel:
    """For each chunk of frames: divide the mixture, then restore the vocals, lookahead_frames late."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._keep = math.exp(-spec.hop_length / spec.sample_rate / spec.level_seconds)
        self.reset()

    def reset(self) -> None:
        """Nothing has been heard yet."""
        self._power = self._square = 0.0  # sums over the frames heard, weighted by age
        self._unanswered = deque([1.0] * self._spec.lookahead_frames)

    def divide(self, mixture: Spectra) -> None:
        """Each frame (channels, n_bins) by the level up to it, in place."""
        parts = mixture.view(np.float32)[..., : 2 * self._spec.bins]
        powers = np.square(parts, dtype=np.float64).sum(axis=(1, 2)) / self._spec.hop_length
        for frame, power in zip(mixture, powers.tolist(), strict=True):
            self._power = self._keep * self._power + power
            self._square = self._keep * self._square + power * power
            level = max(math.sqrt(self._square / (self._power + FORGOTTEN)), QUIET)
            self._unanswered.append(level)
            frame /= np.float32(level)

    def restore(self, vocals: Spectra) -> None:
        """Each frame to the level of the mixture that it belongs to, in place."""
        for frame in vocals:
            frame *= np.float32(self._unanswered.popleft())

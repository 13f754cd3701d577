"""Anytime: how many evaluations of the network there is time for.

The first evaluation is a valid answer and the later ones refine it, so quality can bend before the sound
breaks. Two things are decided: within one call, whether another evaluation still fits before the deadline;
over seconds, how many to attempt at all. Time is the clock's; no decision depends on anything else.

[worker] all of it; `ceiling` may be read by any thread
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

HIGH, LOW = 0.9, 0.65  # of that share: above it an evaluation is given up, below it one more is tried
SHORT = 0.25  # of the calls ending before the ceiling is as bad as a high load
MEMORY_S = 1.0  # of audio, over which load is averaged
PATIENCE_S, MOST_PATIENCE_S = 4.0, 64.0  # of low load before a raise; doubled when a raise was a mistake


class Anytime:
    """begin, then `allows` before each further evaluation, then end; for each call of the separator."""

    def __init__(
        self,
        evaluations: int,
        *,
        hop_s: float,
        share: float,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.evaluations = evaluations
        self.ceiling = evaluations  # attempted at present
        self._hop_s = hop_s
        self._share = share
        self._clock = clock
        self._cost_s: dict[int, float] = {}  # of one evaluation, by number of hops
        self._load = self._short = 0.0
        self._calm_s = 0.0
        self._patience_s = PATIENCE_S
        self._since_raise_s = math.inf

    def begin(self, hops: int) -> None:
        self._hops = hops
        self._audio_s = hops * self._hop_s
        self._began_s = self._mark_s = self._clock()

    def allows(self, done: int) -> bool:
        """Whether to evaluate once more, after `done` evaluations; the first one is never refused."""
        now_s = self._clock()
        if done:
            self._learn(now_s - self._mark_s)
        self._mark_s = now_s
        if done == 0:
            return True
        spent_s = now_s - self._began_s
        fits = spent_s + self._cost_s[self._hops] <= self._share * self._audio_s
        return fits and done < self.ceiling

    def end(self, done: int) -> None:
        """Notes what the call took, with everything around the evaluations, and moves the ceiling."""
        keep = math.exp(-self._audio_s / MEMORY_S)
        load = (self._clock() - self._began_s) / (self._audio_s * self._share)
        self._load = keep * self._load + (1 - keep) * load
        self._short = keep * self._short + (1 - keep) * (done < self.ceiling)
        self._since_raise_s += self._audio_s
        if self.ceiling > 1 and (self._load > HIGH or self._short > SHORT):
            self._lower()
        elif self.ceiling < self.evaluations and self._load * (self.ceiling + 1) / self.ceiling < LOW:
            self._calm_s += self._audio_s
            if self._calm_s >= self._patience_s:
                self._raise()
        else:
            self._calm_s = 0.0

    def _learn(self, cost_s: float) -> None:
        known_s = self._cost_s.setdefault(self._hops, cost_s)
        self._cost_s[self._hops] = 0.7 * known_s + 0.3 * cost_s  # forgets a single hiccup within a few calls

    def _lower(self) -> None:
        if self._since_raise_s < MOST_PATIENCE_S:
            self._patience_s = min(2 * self._patience_s, MOST_PATIENCE_S)
        else:
            self._patience_s = PATIENCE_S
        self._load *= (self.ceiling - 1) / self.ceiling  # as if it had been lower all the time
        self.ceiling -= 1
        self._short = self._calm_s = 0.0

    def _raise(self) -> None:
        self._load *= (self.ceiling + 1) / self.ceiling
        self.ceiling += 1
        self._calm_s = self._since_raise_s = 0.0

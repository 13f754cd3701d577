"""Schedules: the evaluations for every number of steps that may be chosen while the music plays.

Two numbers of steps visit different noise levels, and each level keeps a state of its own; only the first
level, sigma_max, is common to all. So every level of every choice has a place in one list.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.separation.sampler import evaluation_sigmas, model_sigmas
from stream.separation.spec import ModelSpec


class Schedule(NamedTuple):
    """One number of steps: the noise levels to visit, and where in `Schedules.levels` each evaluation is."""

    sigmas: list[float]
    places: list[int]


class Schedules:
    """`steps` instead of the model's own number; up to `most` can be chosen besides. Raises ModelError."""

    def __init__(self, spec: ModelSpec, steps: int | None = None, most: int = 0):
        self.levels: list[float] = []  # noise level of every evaluation that there can be
        self._own = spec.steps if steps is None else steps
        self._by_steps: dict[int, Schedule] = {}
        for number in sorted({self._own, *range(1, most + 1)}):
            sigmas = model_sigmas(spec, number)
            later = evaluation_sigmas(sigmas)[1:]
            self.levels = self.levels or sigmas[:1]
            places = [0, *range(len(self.levels), len(self.levels) + len(later))]
            self.levels += later
            self._by_steps[number] = Schedule(sigmas, places)

    def __contains__(self, steps: int | None) -> bool:
        return (steps or self._own) in self._by_steps

    def __getitem__(self, steps: int | None) -> Schedule:
        """None is the number to begin with."""
        return self._by_steps[steps or self._own]

"""Exchange: a separator in whose place another can be put while the music plays.

The new one hears the same mixture beside the old one for as long as it takes to know the song, then the
vocals are faded over from one to the other. Both answer with the same latency, so nothing is missing and
nothing moves. When there is not time enough for both, the fade comes at once and is short.

[worker] process(), reset()   [control] replace()   [any] set_steps(), status, changing, error
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from stream.separation.separator import Audio, ModelError, Separator

HEARING_S = 3.0  # before the fade: a little more than a causal model remembers
FADE_S = 0.25
SHARE = 0.8  # of real time that both may take together


class Exchange:
    """A Separator around one that can be replaced."""

    def __init__(self, separator: Separator, *, clock: Callable[[], float] = time.perf_counter):
        self.error = ""  # what a new one died of before its turn came
        self.sample_rate = separator.sample_rate
        self.channels = separator.channels
        self.hop_length = separator.hop_length
        self.lookahead = separator.lookahead
        self.latency = separator.latency
        self._now = separator
        self._next: Separator | None = None
        self._steps: int | None = None
        self._clock = clock

    @property
    def status(self) -> str:
        return self._now.status

    @property
    def changing(self) -> bool:
        """A new one has been accepted and is not yet the only one."""
        return self._next is not None

    def replace(self, separator: Separator) -> None:
        """Prepares it, which may take a while, and begins the change. Raises ModelError."""
        _check(separator, self)
        separator.set_steps(self._steps)
        separator.prepare(self._max_hops)
        separator.process(np.zeros((self.hop_length, self.channels), np.float32))  # the first time is slow
        separator.reset()
        self.error = ""
        self._heard = 0
        self._fade_from = round(HEARING_S * self.sample_rate)
        self._fade = round(FADE_S * self.sample_rate)
        self._next = separator

    def set_steps(self, steps: int | None) -> bool:
        taken = self._now.set_steps(steps)
        if taken:
            self._steps = steps
            if coming := self._next:
                coming.set_steps(steps)
        return taken

    def prepare(self, max_hops: int) -> None:
        self._max_hops = max_hops
        self._mixed = np.empty((max_hops * self.hop_length, self.channels), np.float32)
        self._now.prepare(max_hops)

    def process(self, mixture: Audio) -> Audio:
        coming = self._next
        if coming is None:
            return self._now.process(mixture)
        begin_s = self._clock()
        vocals = self._now.process(mixture)
        try:
            estimate = coming.process(mixture)
            if not np.isfinite(estimate).all():
                raise ModelError("it answers with what is not a number")
        except Exception as error:  # whatever it throws: it was not its turn yet
            self.error = str(error) or type(error).__name__
            self._next = None
            return vocals
        mixed = self._over(vocals, estimate)
        if self._clock() - begin_s > SHARE * len(mixture) / self.sample_rate:
            self._hurry()
        if self._heard >= self._fade_from + self._fade:
            self._now, self._next = coming, None
        return mixed

    def reset(self) -> None:
        if self._next:  # nothing of the past is left that could be heard in a fade
            self._now, self._next = self._next, None
        self._now.reset()

    def _over(self, vocals: Audio, estimate: Audio) -> Audio:
        """From the one to the other, by how long the new one has listened."""
        position = np.arange(self._heard, self._heard + len(vocals), dtype=np.float32)[:, np.newaxis]
        share = np.clip((position - self._fade_from) / self._fade, 0, 1)
        self._heard += len(vocals)
        mixed = self._mixed[: len(vocals)]
        np.subtract(estimate, vocals, out=mixed)
        mixed *= share
        mixed += vocals
        return mixed

    def _hurry(self) -> None:
        """The next hop is the fade, unless the fade has begun."""
        first = max(self._heard, self.latency)  # before that it cannot know what it should answer
        if first < self._fade_from:
            self._fade_from, self._fade = first, self.hop_length


def _check(separator: Separator, running: Separator) -> None:
    """It must fit in where the running one is: the latency of a session never moves."""
    for name, words in (("sample_rate", "Hz"), ("channels", "channels"), ("hop_length", "samples per hop")):
        new, old = getattr(separator, name), getattr(running, name)
        if new != old:
            raise ModelError(
                f"it works with {new} {words}, the running one with {old}; start again to use it"
            )
    if separator.latency != running.latency:
        new_ms, old_ms = (1000 * one.latency / one.sample_rate for one in (separator, running))
        raise ModelError(
            f"it answers after {new_ms:.1f} ms, the running one after {old_ms:.1f} ms, and the latency of a "
            "session does not move; start again to use it"
        )

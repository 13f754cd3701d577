"""A stereo separator for any number of channels: they are taken in pairs, in order.

A channel without a partner is played to both sides of its separator and comes back as their mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream.separation.separator import Audio, Separator


def for_channels(make: Callable[[], Separator], channels: int) -> Separator:
    """A separator of `channels` channels out of as many two-channel ones as needed."""
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    return make() if channels == 2 else ChannelPairs(make, channels)


class ChannelPairs:
    """One stereo separator for each pair, behind the interface of a single one."""

    def __init__(self, make: Callable[[], Separator], channels: int):
        self._separators = [make() for _ in range((channels + 1) // 2)]
        first = self._separators[0]
        if first.channels != 2:
            raise ValueError(f"pairs of channels need a separator of 2 channels, got {first.channels}")
        self.channels = channels
        self.sample_rate = first.sample_rate
        self.hop_length = first.hop_length
        self.lookahead = first.lookahead
        self.latency = first.latency

    @property
    def status(self) -> str:
        return self._separators[0].status

    def set_steps(self, steps: int | None) -> bool:
        taken = [separator.set_steps(steps) for separator in self._separators]
        return all(taken)

    def prepare(self, max_hops: int) -> None:
        samples = max_hops * self.hop_length
        self._pair = np.empty((samples, 2), np.float32)
        self._vocals = np.empty((samples, self.channels), np.float32)
        for separator in self._separators:
            separator.prepare(max_hops)

    def process(self, mixture: Audio) -> Audio:
        pair, vocals = self._pair[: len(mixture)], self._vocals[: len(mixture)]
        for separator, left in zip(self._separators, range(0, self.channels, 2), strict=True):
            pair[:] = mixture[:, left : left + 2]  # a single channel is broadcast to both sides
            estimate = separator.process(pair)
            if left + 1 < self.channels:
                vocals[:, left : left + 2] = estimate
            else:
                np.mean(estimate, axis=1, out=vocals[:, left])
        return vocals

    def reset(self) -> None:
        for separator in self._separators:
            separator.reset()

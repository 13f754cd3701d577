"""A separator at another sample rate than its own: the device's or the file's.

Only the vocals are resampled, there and back (soxr); the mixture that they are subtracted from never
is. So levels of 1 still give the input bit for bit, and what lies above the model's bandwidth stays
in the accompaniment.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import soxr

from stream.fifo import SampleFifo
from stream.separation.separator import Audio, Separator


class ResampledSeparator:
    """Runs `separator` at its own rate behind a constant delay at `sample_rate`.

    soxr takes out the delay of its own filters, so the n-th sample of every stage belongs to the same
    instant; a stage is only late in handing it over. The latency is the sum of how late each can be.
    """

    def __init__(self, separator: Separator, sample_rate: int, quality: str = "HQ"):
        self._separator = separator
        self._ratio = separator.sample_rate / sample_rate
        self._quality = quality
        self.sample_rate = sample_rate
        self.channels = separator.channels
        # About as long as the separator's own hop and a power of two times it: devices like such blocks.
        self.hop_length = max(1, round(separator.hop_length * 2.0 ** -round(math.log2(self._ratio))))
        self.lookahead = math.ceil(separator.lookahead / self._ratio)
        lag_s = resampler_lag_s(sample_rate, separator.sample_rate, quality)
        lag_s += resampler_lag_s(separator.sample_rate, sample_rate, quality)
        in_between = separator.hop_length - 1 + separator.latency  # waiting for a full hop, then separated
        self.latency = math.ceil(lag_s * sample_rate + in_between / self._ratio)

    @property
    def status(self) -> str:
        return self._separator.status

    def set_steps(self, steps: int | None) -> bool:
        return self._separator.set_steps(steps)

    def prepare(self, max_hops: int) -> None:
        self._max_hops = max_hops
        self._separator.prepare(max_hops)
        longest = max_hops * self.hop_length + 2 * self.latency  # more never waits between two stages
        waiting = math.ceil(longest * self._ratio) + self._separator.hop_length
        self._mixture = SampleFifo(waiting, self.channels)
        self._vocals = SampleFifo(longest, self.channels)
        self.reset()

    def process(self, mixture: Audio) -> Audio:
        # soxr gets one hop at a time: it hands out less than it could when it was given more at once.
        for hop in mixture.reshape(-1, self.hop_length, self.channels):
            self._mixture.push(self._to_model.resample_chunk(hop))
        inner = self._separator.hop_length
        while hops := min(len(self._mixture) // inner, self._max_hops):
            vocals = self._separator.process(self._mixture.pop(hops * inner))
            for hop in vocals.reshape(-1, inner, self.channels):
                early = min(self._to_drop, inner)  # from before instant 0
                self._to_drop -= early
                self._vocals.push(self._from_model.resample_chunk(hop[early:]))
        return self._vocals.pop(len(mixture))

    def reset(self) -> None:
        self._separator.reset()
        rates = self.sample_rate, self._separator.sample_rate
        self._to_model = soxr.ResampleStream(*rates, self.channels, quality=self._quality)
        self._from_model = soxr.ResampleStream(*rates[::-1], self.channels, quality=self._quality)
        self._to_drop = self._separator.latency
        self._mixture.clear()
        self._vocals.clear()
        self._vocals.push(np.zeros((self.latency, self.channels), np.float32))


@lru_cache
def resampler_lag_s(from_rate: int, to_rate: int, quality: str) -> float:
    """How long a sample can stay in soxr before it comes out, in seconds; found by feeding it silence.

    One second in small pieces meets nearly every phase of its internal blocks: over a minute the lag
    was never more than 4 % above (LQ to VHQ, 8 to 192 kHz). Five are added.
    """
    resampler = soxr.ResampleStream(from_rate, to_rate, 1, quality=quality)
    piece = np.zeros((8, 1), np.float32)
    sent = received = 0
    lag = 0.0
    while sent < from_rate:
        sent += len(piece)
        received += len(resampler.resample_chunk(piece))
        lag = max(lag, sent / from_rate - received / to_rate)
    return 1.05 * lag

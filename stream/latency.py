"""The latency budget: every part is a number of samples, summed here and nowhere else.

Milliseconds appear only when the budget is printed. docs/latency.md explains each part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# How long a hop may take to be separated before it is late, in hops: what is ready sooner is held back.
SLACK_HOPS = {"low": 0.5, "normal": 1, "safe": 4}


def adapter_latency(block_size: int, hop_length: int) -> int:
    """Least silence, in samples, with which a worker of fixed hop never starves a device of fixed block."""
    if block_size < 1 or hop_length < 1:
        raise ValueError(f"block_size and hop_length must be at least 1, got {block_size} and {hop_length}")
    return hop_length - math.gcd(block_size, hop_length)


@dataclass(frozen=True, kw_only=True)
class LatencyBudget:
    """Where the time goes between the input jack and the output jack; in samples at sample_rate Hz."""

    sample_rate: int
    block: int  # until a block is full
    adapter: int  # blocks against hops
    algorithmic: int  # analysis, synthesis and resampling
    lookahead: int  # future the network waits for
    slack: int  # finished samples held back
    device_in: int = 0  # reported by the driver, without the block
    device_out: int = 0
    bridge: int = 0  # between two clocks: what is kept in hand for both

    @property
    def engine(self) -> int:
        """Delay between an input sample and its output sample in the callback."""
        return self.adapter + self.algorithmic + self.lookahead + self.slack

    @property
    def total(self) -> int:
        return self.device_in + self.block + self.bridge + self.engine + self.device_out

    def parts(self) -> list[tuple[str, int]]:
        """Name and samples of each part, in the order of the signal."""
        return [
            ("device in", self.device_in),
            ("block", self.block),
            *([("clock bridge", self.bridge)] if self.bridge else []),
            ("adapter", self.adapter),
            ("algorithmic", self.algorithmic),
            ("lookahead", self.lookahead),
            ("slack", self.slack),
            ("device out", self.device_out),
        ]

    def ms(self, samples: int) -> float:
        return 1000 * samples / self.sample_rate

    def __str__(self) -> str:
        lines = [f"  {name:<12}{samples:>7}  {self.ms(samples):>7.1f} ms" for name, samples in self.parts()]
        return "\n".join([*lines, f"  {'total':<12}{self.total:>7}  {self.ms(self.total):>7.1f} ms"])

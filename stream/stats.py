"""What the engine has counted, as one immutable snapshot; and the durations behind its percentiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

WorkerState = Literal["stopped", "running", "restarting", "failed"]


@dataclass(frozen=True, kw_only=True)
class HopTimes:
    """Compute time per hop, in seconds; 0 before the first hop."""

    median_s: float
    p99_s: float
    max_s: float  # of the whole session; the others are of the last hops
    rtf: float  # compute time / audio time of the last hops: must stay below 1


@dataclass(frozen=True, kw_only=True)
class Stats:
    """One look at a running engine. Counters start at prepare; peaks at the snapshot before."""

    sample_rate: int
    position: int  # samples that went through
    state: WorkerState
    separator: str = ""  # what separates, where, and how well at present
    error: str  # what the separator died of last; empty when it never did

    deadline_s: float  # audio time of one hop
    times: HopTimes
    hops: int
    late_hops: int  # took longer than their deadline
    non_finite_hops: int  # NaN or infinity from the separator, played as no vocals
    crashes: int
    skips: int  # the worker gave up a backlog and went on with the present

    late_samples: int  # played without the vocals that were due
    late_events: int  # gaps they form
    dropped_samples: int  # input the worker never saw
    input_overflows: int  # reported by the device
    output_underflows: int
    largest_block: int
    device_latency_s: float  # driver's word: output instant - input instant of one block
    finished: bool  # the position to stop at was reached

    peak_input: float  # linear
    peak_output: float
    peak_vocals: float

    recording: str = ""  # what is recorded, and where; or why not
    notice: str = ""  # the last thing that the session had to say

    @property
    def xruns(self) -> int:
        return self.input_overflows + self.output_underflows

    @property
    def seconds(self) -> float:
        return self.position / self.sample_rate


class PeakReaders:
    """The port forgets its peaks at every look; here each reader sees those since its own last."""

    def __init__(self, look: Callable[[], Stats]):
        self._look = look
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, float, float]] = {}

    def read(self, reader: str) -> Stats:
        """[control] A snapshot, its peaks those since this reader's last; a first one begins the counting."""
        with self._lock:
            stats = self._look()
            self._held.setdefault(reader, (0.0, 0.0, 0.0))
            for name, (source, output, vocals) in self._held.items():
                self._held[name] = (
                    max(source, stats.peak_input),
                    max(output, stats.peak_output),
                    max(vocals, stats.peak_vocals),
                )
            source, output, vocals = self._held[reader]
            self._held[reader] = (0.0, 0.0, 0.0)
        return replace(stats, peak_input=source, peak_output=output, peak_vocals=vocals)


class HopTimer:
    """Remembers how long the last hops took.

    [worker] add()   [control] times()
    """

    KEPT = 4_096  # about 95 s of hops of 1,024 samples

    def __init__(self, deadline_s: float):
        self.deadline_s = deadline_s
        self.hops = self.late = 0
        self._max_s = 0.0
        self._last_s = np.zeros(self.KEPT)

    def add(self, seconds: float, hops: int) -> None:
        """Notes that `hops` hops were computed together in this time."""
        each = seconds / hops
        for _ in range(hops):
            self._last_s[self.hops % self.KEPT] = each
            self.hops += 1
        self._max_s = max(self._max_s, each)
        if each > self.deadline_s:
            self.late += hops

    def times(self) -> HopTimes:
        last = self._last_s[: min(self.hops, self.KEPT)].copy()  # the worker goes on writing
        if not len(last):
            return HopTimes(median_s=0.0, p99_s=0.0, max_s=0.0, rtf=0.0)
        median, p99 = np.percentile(last, [50, 99])
        return HopTimes(
            median_s=float(median),
            p99_s=float(p99),
            max_s=self._max_s,
            rtf=float(last.mean()) / self.deadline_s,
        )

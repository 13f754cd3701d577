"""What the engine has counted, as one immutable snapshot; and the durations behind its percentiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cpp_ext import AudioStats

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

    device: str = ""  # how it stands with a device that is gone
    losses: int = 0  # of the device
    recording: str = ""  # what is recorded, and where; or why not
    notice: str = ""  # the last thing that the session had to say
    drift_ppm: float | None = None  # of the input's clock against the output's, where they are two and known
    bridge_gaps: int = 0  # between the two: input that did not come in time, and fresh starts

    @property
    def xruns(self) -> int:
        return self.input_overflows + self.output_underflows + self.bridge_gaps

    @property
    def seconds(self) -> float:
        return self.position / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class AudioCounts:
    """What ports have counted, one after the other."""

    position: int = 0
    late_samples: int = 0
    late_events: int = 0
    dropped_samples: int = 0
    input_overflows: int = 0
    output_underflows: int = 0
    largest_block: int = 0
    device_latency_s: float = 0.0  # this and all below: of the last port
    finished: bool = False
    peak_input: float = 0.0
    peak_output: float = 0.0
    peak_vocals: float = 0.0

    def plus(self, port: AudioStats) -> AudioCounts:
        """With those of one more port, which comes last."""
        return AudioCounts(
            position=self.position + port.position,
            late_samples=self.late_samples + port.late_samples,
            late_events=self.late_events + port.late_events,
            dropped_samples=self.dropped_samples + port.dropped_samples,
            input_overflows=self.input_overflows + port.input_overflows,
            output_underflows=self.output_underflows + port.output_underflows,
            largest_block=max(self.largest_block, port.largest_block),
            device_latency_s=port.device_latency_s,
            finished=port.finished,
            peak_input=port.peak_input,
            peak_output=port.peak_output,
            peak_vocals=port.peak_vocals,
        )


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

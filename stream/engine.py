"""The engine: a separator between an input and an output that both keep their own pace.

It knows neither device nor file. A device calls the port's native callback by its address; a file is
pushed through `process`, which runs the very same code.

[control] all of it, except `process`, which stands in for the [audio] thread.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable

from cpp_ext import AudioPort
from stream.audio.routing import Routing, straight
from stream.latency import SLACK_HOPS, LatencyBudget, adapter_latency
from stream.separation.separator import Audio, Separator
from stream.stats import AudioCounts, Stats
from stream.worker import Tap, Worker

RAMP_S = 0.02  # a level from 0 to 1: fast enough for a hand, too slow to click
FADE_S = 0.01  # from separated to dry and back
BACKLOG_HOPS = 8  # beyond the slack: further behind than this, the worker gives up the backlog
STOP_S = 5.0  # patience with a worker that hangs


class Engine:
    """prepare, start, (device or `process`), stop.

    threaded    a worker thread separates while the audio goes on; otherwise `process` does it itself,
                after the block, and what the separator raises comes out of it
    wait        the audio waits for the worker: exact at any speed, for hosts that outrun the clock
    slack_hops  how long a hop may take before it is late, in hops; without a use when waiting
    routing     from the channels of the device, and to them; None is channel by channel
    tap         is given every stretch of mixture and its vocals, on the worker's thread
    """

    _port: AudioPort
    _past: AudioCounts  # of the ports before
    _worker: Worker

    def __init__(
        self,
        separator: Separator,
        *,
        threaded: bool = True,
        wait: bool = False,
        slack_hops: float = SLACK_HOPS["normal"],
        on_late: str = "dry",
        routing: Routing | None = None,
        tap: Tap | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if slack_hops < 0:
            raise ValueError(f"slack_hops must be at least 0, got {slack_hops}")
        self.separator = separator
        self._threaded = threaded
        self._wait = wait
        self._slack_hops = slack_hops
        self._on_late = on_late
        self._routing = routing or straight(separator.channels)
        self._tap = tap
        self._clock = clock
        self._levels = (1.0, 1.0)
        self._bypass = False
        self._thread: threading.Thread | None = None
        self._swapping = threading.Lock()  # of ports: stats() must not count one twice
        self._left: list[AudioPort] = []

    def prepare(self, block_size: int) -> None:
        """Fixes the block size, in samples, and allocates. Only while stopped and without a device."""
        self.block_size = block_size
        self.budget = self._budget()
        hop = self.separator.hop_length
        blocks_hops = -(-block_size // hop)
        self._max_hops = blocks_hops + round(self._slack_hops) + BACKLOG_HOPS
        self.separator.prepare(self._max_hops)
        self._renew()

    @property
    def latency(self) -> int:
        """Samples between an input sample and its output sample, constant until the next prepare."""
        return self.budget.engine

    @property
    def port(self) -> AudioPort:
        """What a device is given; a new one after each prepare and reset."""
        return self._port

    def set_levels(self, *, vocals: float, accompaniment: float, bypass: bool = False) -> None:
        """0 to 4 each, 1 is as it came; reached by ramps of RAMP_S per 1, at once before the first block.

        `bypass` plays the mixture whole, in one place, as if its vocals were late.
        """
        self._levels, self._bypass = (vocals, accompaniment), bypass
        self._turn(self._port)

    def start(self) -> None:
        """Starts the worker. Nothing to do when not threaded."""
        if self._threaded and self._thread is None:
            self._port.wait_for_worker = self._wait
            self._thread = self._worker.start()
            atexit.register(self.stop)  # a thread inside native code must not outlive the interpreter

    def revive(self) -> None:
        """Starts the worker again where it has given its separator up."""
        if self._thread and self._worker.state == "failed" and self.stop():
            self.start()

    def stop(self) -> bool:
        """Ends the worker; False when it hangs: then it is left behind, and the engine is of no more use."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        atexit.unregister(self.stop)
        self._worker.stop()
        thread.join(STOP_S)
        return not thread.is_alive()

    def process(self, mixture: Audio, output: Audio) -> None:
        """One block: (block_size, channels of the device) in and out, C-contiguous float32. [audio]"""
        self._port.process(mixture, output)
        if not self._threaded:
            self._worker.step()

    def reset(self) -> None:
        """As after prepare, levels kept, running if it was. Only without a device."""
        running = self._thread is not None
        if not self.stop():
            raise RuntimeError("the separator hangs: the engine cannot be reset")
        self.separator.reset()
        self._renew()
        if running:
            self.start()

    def renew(self) -> None:
        """A new port, for a device that takes the place of another; counters and levels go on.

        The old port is kept for a driver that may still call it. Raises RuntimeError for a separator that
        hangs.
        """
        running = self._thread is not None
        if not self.stop():
            raise RuntimeError("the separator hangs: start the program again")
        port = self._make_port()
        with self._swapping:
            self._past = self._past.plus(self._port.stats())
            self._left.append(self._port)
            self._port = port
        self._turn(port)  # once more: a level may have been set while it was made
        self._worker.move(port)
        self.stop_after(self._stop_after)
        if running:
            self.start()

    def stop_after(self, samples: int) -> None:
        """Finished after so many samples; 0 is never."""
        self._stop_after = samples
        self._port.stop_after = max(1, samples - self._past.position) if samples else 0

    def stats(self) -> Stats:
        """A snapshot; its peaks are those since the last one."""
        with self._swapping:
            audio, worker = self._past.plus(self._port.stats()), self._worker
        return Stats(
            sample_rate=self.separator.sample_rate,
            position=audio.position,
            state=worker.state,
            separator=self.separator.status,
            error=worker.error,
            deadline_s=worker.timer.deadline_s,
            times=worker.timer.times(),
            hops=worker.timer.hops,
            late_hops=worker.timer.late,
            non_finite_hops=worker.non_finite_hops,
            crashes=worker.crashes,
            skips=worker.skips,
            late_samples=audio.late_samples,
            late_events=audio.late_events,
            dropped_samples=audio.dropped_samples,
            input_overflows=audio.input_overflows,
            output_underflows=audio.output_underflows,
            largest_block=audio.largest_block,
            device_latency_s=audio.device_latency_s,
            finished=audio.finished,
            peak_input=audio.peak_input,
            peak_output=audio.peak_output,
            peak_vocals=audio.peak_vocals,
        )

    def _budget(self) -> LatencyBudget:
        separator = self.separator
        if not self._threaded:
            slack = self.block_size  # vocals are made after the block that completes them
        elif self._wait:
            slack = 0
        else:
            slack = round(self._slack_hops * separator.hop_length)
        return LatencyBudget(
            sample_rate=separator.sample_rate,
            block=self.block_size,
            adapter=adapter_latency(self.block_size, separator.hop_length),
            algorithmic=separator.latency - separator.lookahead,
            lookahead=separator.lookahead,
            slack=slack,
        )

    def _turn(self, port: AudioPort) -> None:
        port.vocals_level, port.accompaniment_level = self._levels
        port.bypass = self._bypass

    def _make_port(self) -> AudioPort:
        separator, rate = self.separator, self.separator.sample_rate
        backlog = self._max_hops * separator.hop_length
        port = AudioPort(
            channels=separator.channels,
            latency=self.latency,
            max_block=self.block_size,
            ring_samples=2 * backlog + self.latency + 2 * self.block_size,
            ramp_samples=max(1, round(RAMP_S * rate)),
            fade_samples=max(1, round(FADE_S * rate)),
            inputs=self._routing.inputs,
            outputs=self._routing.outputs,
        )
        port.on_late = self._on_late
        self._turn(port)
        return port

    def _renew(self) -> None:
        self._past = AudioCounts()
        self._stop_after = 0
        self._port = self._make_port()
        self._worker = Worker(
            self._port,
            self.separator,
            max_hops=self._max_hops,
            may_skip=self._threaded and not self._wait,
            clock=self._clock,
            tap=self._tap,
        )

"""The worker: takes the mixture from the port, has it separated, gives the vocals back.

All that can go wrong on the way is dealt with here, and never by stopping the sound: the port plays
the delayed mixture wherever vocals are missing.

    vocals not finite     replaced by 0, counted, separator reset
    too far behind        the backlog is given up, the present comes first
    separator raises      reset and tried again, after longer and longer pauses; then left for dead

[worker] step() and run(); everything else may be read by any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from cpp_ext import AudioPort
from stream.fifo import SampleFifo
from stream.separation.separator import Audio, Separator
from stream.stats import HopTimer, WorkerState

Tap = Callable[[Audio, Audio], None]  # mixture and vocals of the same instants, valid during the call

PAUSES_S = (0.05, 0.5, 2.0)  # before each new try after a crash
HEALTHY_S = 10.0  # of audio without a crash, and earlier crashes are forgiven
WAIT_S = 0.02  # how long a stop may go unnoticed


class Worker:
    """Moves hops through a separator. `max_hops` is the largest batch, and the largest backlog."""

    def __init__(
        self,
        port: AudioPort,
        separator: Separator,
        *,
        max_hops: int,
        may_skip: bool,
        clock: Callable[[], float],
        tap: Tap | None = None,
    ):
        self.state: WorkerState = "stopped"
        self.error = ""
        self.crashes = self.skips = self.non_finite_hops = 0
        self.timer = HopTimer(separator.hop_length / separator.sample_rate)
        self._port = port
        self._separator = separator
        self._hop = separator.hop_length
        self._may_skip = may_skip
        self._clock = clock
        self._tap = tap
        self._mixture = SampleFifo(max_hops * self._hop, separator.channels)
        self._max_samples = max_hops * self._hop
        delayed = separator.latency + self._max_samples if tap else 0
        self._delayed = SampleFifo(delayed, separator.channels)
        self._to_drop = separator.latency
        self._stop = threading.Event()
        self._recent_crashes = 0
        self._hops_since_crash = 0
        self._has_run = False

    def start(self) -> threading.Thread:
        """[control] Runs in a thread of its own. Again, too, once the last one has ended."""
        self._stop.clear()
        thread = threading.Thread(target=self.run, name="separation", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Works until `stop` is called or the separator is beyond help."""
        self.state = "running"
        if self._has_run:  # the audio has gone on meanwhile, and whatever was half done is stale
            self._recent_crashes = 0
            self._attempt(self._skip)
        self._has_run = True
        while not (self._stop.is_set() or self._given_up):
            self._port.wait_mixture(self._hop - len(self._mixture), WAIT_S)
            self._attempt(self.step)
        if self._given_up:
            self._port.wait_for_worker = False  # nothing will come
        else:
            self.state = "stopped"

    def stop(self) -> None:
        """[control] Asks run() to return, and lets waiting audio go."""
        self._stop.set()
        self._port.wait_for_worker = False

    def move(self, port: AudioPort) -> None:
        """[control] To another port, from its first sample on, counters kept. Only while it does not run."""
        self._port = port
        self._has_run = False
        self._forget()

    def step(self) -> None:
        """Separates every whole hop there is. Exceptions of the separator pass through."""
        if self._port.broken:
            self._skip()
        while hops := self._fetch():
            mixture = self._mixture.pop(hops * self._hop)
            if self._may_skip and len(mixture) == self._max_samples:
                self._skip()
                continue
            begin = self._clock()
            vocals = self._separator.process(mixture)
            self.timer.add(self._clock() - begin, hops)
            if vocals.shape != mixture.shape:
                raise ValueError(
                    f"the separator made {vocals.shape} of {mixture.shape}: the shapes must agree"
                )
            self._deliver(mixture, self._checked(vocals))
            self._hops_since_crash += hops

    def _fetch(self) -> int:
        """Reads what there is, up to a full batch; returns the whole hops now waiting."""
        room = self._mixture.free(self._max_samples - len(self._mixture))
        self._mixture.grow(self._port.read_mixture(room))
        return len(self._mixture) // self._hop

    def _checked(self, vocals: Audio) -> Audio:
        if np.isfinite(vocals).all():
            return vocals
        hops = vocals.reshape(-1, self._hop, self._separator.channels)
        sick = ~np.isfinite(hops).all(axis=(1, 2))
        self.non_finite_hops += int(sick.sum())
        hops[sick] = 0.0
        self._separator.reset()  # what made them may sit in its state
        return vocals

    def _deliver(self, mixture: Audio, vocals: Audio) -> None:
        """Passes on what belongs to real instants: a fresh separator first answers for those before."""
        early = min(self._to_drop, len(vocals))
        self._to_drop -= early
        vocals = vocals[early:]
        if self._port.write_vocals(vocals) < len(vocals):
            raise RuntimeError(f"no room for {len(vocals)} samples of vocals")
        if self._tap:
            self._delayed.push(mixture)
            self._tap(self._delayed.pop(len(vocals)), vocals)

    def _skip(self) -> None:
        self.skips += 1
        self._restart()

    def _restart(self) -> None:
        """Forgets the past and goes on with the sample that comes next."""
        self._forget()
        waited_for = self._port.wait_for_worker
        self._port.wait_for_worker = False  # audio that waits for vocals could not answer
        while not self._port.resync(WAIT_S) and not self._stop.is_set():
            pass
        self._port.wait_for_worker = waited_for
        if self._stop.is_set():  # asked last, for stop() also lets the audio go
            self._port.wait_for_worker = False

    def _forget(self) -> None:
        self._separator.reset()
        self._to_drop = self._separator.latency
        self._mixture.clear()
        self._delayed.clear()

    def _attempt(self, action: Callable[[], None]) -> None:
        """A crash of `action` is followed by a pause and a restart, until there have been too many."""
        try:
            action()
        except Exception as error:  # whatever a model throws, the show goes on
            self._note(error)
            if self.state == "restarting":
                self._stop.wait(PAUSES_S[self._recent_crashes - 1])
                self._attempt(self._restart)
        else:
            self.state = "running"

    @property
    def _given_up(self) -> bool:
        return self.state == "failed"

    def _note(self, crash: Exception) -> None:
        self.error = f"{type(crash).__name__}: {crash}"
        self.crashes += 1
        if self._hops_since_crash * self.timer.deadline_s > HEALTHY_S:
            self._recent_crashes = 0
        self._hops_since_crash = 0
        self._recent_crashes += 1
        self.state = "restarting" if self._recent_crashes <= len(PAUSES_S) else "failed"

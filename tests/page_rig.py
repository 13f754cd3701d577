"""A session without a device, for the control page: a song through the engine at the pace of a clock."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from signals import noise

from stream.audio.recording import Recording
from stream.control.controls import Controls
from stream.engine import Engine
from stream.latency import LatencyBudget
from stream.separation.separator import Audio, IdentitySeparator, Separator
from stream.stats import PeakReaders, Stats
from stream.worker import Tap


class PlayedSession:
    """What the page knows of stream.session.Session. The song goes round until close."""

    title = "a file, at the pace of a clock: 2 channels at 44100 Hz, blocks of 1024"

    def __init__(self, song: Audio, takes: Path, separator: Separator | None = None, model: str = "identity"):
        self.model, self.without_model = model, separator is None
        self.engine = Engine(separator or IdentitySeparator(), tap=self._hand_out)
        self.engine.prepare(1_024)
        self.controls = Controls({"mode": "karaoke"})
        self.controls.subscribe(lambda *_: self._turn())
        self._turn()
        self._peaks = PeakReaders(self.engine.stats)
        self.recording = Recording(self.controls, takes, sample_rate=44_100, channels=song.shape[1])
        self.taps: tuple[Tap, ...] = (self.recording.tap,)
        self._song = song
        self.reloads = 0
        self._stopping = threading.Event()
        self._player = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> PlayedSession:
        self.engine.start()
        self._player.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._player.join()
        self.engine.stop()
        self.recording.close()

    def stats(self, reader: str = "panel") -> Stats:
        return dataclasses.replace(self._peaks.read(reader), recording=self.recording.status)

    def reload(self) -> bool:
        self.reloads += 1
        return self.reloads == 1

    def budget(self) -> LatencyBudget:
        return self.engine.budget

    def _turn(self) -> None:
        vocals, accompaniment = self.controls.levels()
        bypass = bool(self.controls["bypass"])
        self.engine.set_levels(vocals=vocals, accompaniment=accompaniment, bypass=bypass)

    def _hand_out(self, mixture: Audio, vocals: Audio) -> None:
        for tap in self.taps:
            tap(mixture, vocals)

    def _play(self) -> None:
        block = self.engine.block_size
        blocks = [self._song[at : at + block] for at in range(0, len(self._song) - block + 1, block)]
        output = np.empty((block, self._song.shape[1]), np.float32)
        block_s = block / self.engine.separator.sample_rate
        next_s = time.monotonic()
        at = 0
        while not self._stopping.wait(max(0.0, next_s - time.monotonic())):
            self.engine.process(blocks[at % len(blocks)], output)
            next_s += block_s
            at += 1


@contextlib.contextmanager
def played_noise(takes: Path) -> Iterator[PlayedSession]:
    with PlayedSession(0.25 * noise(44_100), takes) as session:
        yield session

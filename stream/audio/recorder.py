"""Records vocals and accompaniment while they are played.

The worker hands over what it has made and goes on at once; a thread of its own writes. Every half
second the files are opened, extended and closed, so their headers are right at any moment and a crash
loses no more than that half second. When the disk fails the recording ends and the audio goes on.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from stream.separation.separator import Audio

FLUSH_S = 0.5
QUEUED = 512  # hops that may wait for a stalled disk: 12 s of 1,024 samples
CLOSE_S = 10.0
WAV_BYTES = 4_000_000_000  # what a WAV header can count; then the recording goes on in new files

# soundfile asserts that all was written, which a full disk makes untrue.
WRITE_ERRORS = (OSError, soundfile.SoundFileError, AssertionError)


class RecordError(Exception):
    """A recording that cannot begin; the text says why and what to do."""


class _Stretch(NamedTuple):
    split: bool  # begins new files
    lost: int  # samples before it that found no room in the queue
    mixture: Audio
    vocals: Audio


class Recorder:
    """Two float WAV files in `folder`: vocals.wav and accompaniment.wav, numbered if these exist.

    It goes on in new files, without losing a sample, after every `split_s` seconds, at each split(), and
    where a file would grow beyond `max_bytes`.

    [worker] tap()   [any] split()   [control] the rest
    """

    def __init__(
        self,
        folder: Path,
        *,
        sample_rate: int,
        channels: int,
        split_s: float | None = None,
        max_bytes: int = WAV_BYTES,
    ):
        self.error = ""  # why the recording ended early
        self.samples = 0  # safe in the files
        self.lost_samples = 0  # found no room in the queue; silence stands for them
        self.paths: list[Path] = []  # vocals and accompaniment, once for each pair of files
        self._folder = folder
        self._sample_rate = sample_rate
        self._channels = channels
        self._most_samples = max_bytes // (4 * channels)
        if split_s is not None:
            self._most_samples = min(self._most_samples, max(1, round(split_s * sample_rate)))
        self._split = False
        self._queue: queue.Queue[_Stretch | None] = queue.Queue(QUEUED)
        self._lost = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._next_files()
        except WRITE_ERRORS as error:
            raise RecordError(
                f"cannot record into {folder}: {error}; give another folder with --record"
            ) from error
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def tap(self, mixture: Audio, vocals: Audio) -> None:
        """Takes copies of a stretch of both, (samples, channels), and never waits."""
        if self.error:
            return
        try:
            self._queue.put_nowait(_Stretch(self._split, self._lost, mixture.copy(), vocals.copy()))
            self._lost = 0
            self._split = False
        except queue.Full:
            self._lost += len(mixture)
            self.lost_samples += len(mixture)

    def split(self) -> None:
        """What is tapped from now on goes to new files."""
        self._split = True

    def close(self) -> None:
        """Writes what is waiting; files of nothing are removed. Gives up on a disk that hangs."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)
        if self.samples == 0 and not self._thread.is_alive():
            while self.paths:
                with contextlib.suppress(OSError):
                    self.paths.pop().unlink()

    def _run(self) -> None:
        try:
            going = True
            while going:
                stretches, going = self._gather()
                self._append(stretches)
        except WRITE_ERRORS as error:
            self.error = f"recording stopped: {str(error) or 'the disk may be full'}"
            while self._queue.get() is not None:
                pass  # so that close() need not wait

    def _gather(self) -> tuple[list[_Stretch], bool]:
        """What came in the last half second, and whether more will come."""
        stretches: list[_Stretch] = []
        waiting = 0
        while waiting < FLUSH_S * self._sample_rate:
            try:
                stretch = self._queue.get(timeout=FLUSH_S)
            except queue.Empty:
                break
            if stretch is None:
                return stretches, False
            stretches.append(stretch)
            waiting += len(stretch.mixture)
        return stretches, True

    def _append(self, stretches: list[_Stretch]) -> None:
        begins = [index for index, stretch in enumerate(stretches) if stretch.split]
        for begin, end in pairwise([0, *begins, len(stretches)]):
            if begin in begins and self._in_files:
                self._next_files()
            self._write(stretches[begin:end])

    def _write(self, stretches: list[_Stretch]) -> None:
        gap = np.zeros((0, self._channels), np.float32)
        pieces_m, pieces_v = [gap], [gap]
        for _, lost, mixture, vocals in stretches:
            silence = np.zeros((lost, self._channels), np.float32)
            pieces_m += [silence, mixture]
            pieces_v += [silence, vocals]
        mixture, vocals = np.concatenate(pieces_m), np.concatenate(pieces_v)
        while len(mixture):
            if self._in_files >= self._most_samples:
                self._next_files()
            fits = min(len(mixture), self._most_samples - self._in_files)
            self._extend(mixture[:fits], vocals[:fits])
            mixture, vocals = mixture[fits:], vocals[fits:]

    def _extend(self, mixture: Audio, vocals: Audio) -> None:
        for path, audio in zip(self.paths[-2:], (vocals, mixture - vocals), strict=True):
            with soundfile.SoundFile(path, "r+") as file:
                file.seek(0, soundfile.SEEK_END)
                file.write(audio)
        self.samples += len(mixture)
        self._in_files += len(mixture)

    def _next_files(self) -> None:
        """Two empty but valid files under the first names that are both free."""
        number = 1
        while any(path.exists() for path in self._names(number)):
            number += 1
        for path in self._names(number):
            soundfile.SoundFile(path, "x", self._sample_rate, self._channels, "FLOAT", format="WAV").close()
            self.paths.append(path)
        self._in_files = 0

    def _names(self, number: int) -> list[Path]:
        suffix = "" if number == 1 else f"-{number}"
        return [self._folder / f"{stem}{suffix}.wav" for stem in ("vocals", "accompaniment")]

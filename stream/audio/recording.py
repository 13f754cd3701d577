"""Recording by the parameters `record` and `split`: takes begin and end while the music plays.

Making folders and closing files waits for the disk, so a thread of its own does it; the one that moves the
switch does not wait. When a recording cannot begin or the disk fails, the switch goes back and `status` says
why until the next take.
"""

from __future__ import annotations

import datetime
import queue
import shutil
import threading
from pathlib import Path

from stream.audio.recorder import Recorder, RecordError
from stream.control.controls import Controls
from stream.control.parameters import Value
from stream.separation.separator import Audio

LOOK_S = 0.25  # a failed disk is noticed so soon
LOW_S = 600.0  # with less room on the disk than this, the room is said
SOURCE = "recorder"


def music_folder() -> Path:
    """Where takes go when nobody said where: diffvs/DATE in the user's folder for music."""
    from platformdirs import user_music_path  # only who records needs it

    return user_music_path() / "diffvs" / datetime.date.today().isoformat()


class Recording:
    """Takes of what the worker hands out, into `folder`, or into music_folder() when that is None.

    [worker] tap()   [any] turn(), status, seconds   [control] the rest
    """

    def __init__(
        self,
        controls: Controls,
        folder: Path | None,
        *,
        sample_rate: int,
        channels: int,
        split_minutes: float | None = None,
    ):
        self.error = ""  # why the last take could not begin, or ended early
        self.takes: list[Recorder] = []
        self._controls = controls
        self._folder = folder
        self._rate, self._channels = sample_rate, channels
        self._split_s = 60 * split_minutes if split_minutes is not None else None
        self._recorder: Recorder | None = None
        self._room_s = float("inf")
        self._wishes: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._unsubscribe = controls.subscribe(self.turn)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """A take at once, before the music starts. Raises RecordError."""
        self._begin()
        self._controls.set("record", True, SOURCE)  # finds the take begun

    def turn(self, name: str, value: Value, source: str) -> None:
        """A listener for the controls."""
        if name == "record":
            self._wishes.put(bool(value))
        elif name == "split" and (recorder := self._recorder):
            recorder.split()

    def tap(self, mixture: Audio, vocals: Audio) -> None:
        """Never waits."""
        if recorder := self._recorder:
            recorder.tap(mixture, vocals)

    @property
    def seconds(self) -> float:
        """Of the take that runs; 0 when none does."""
        recorder = self._recorder
        return recorder.samples / self._rate if recorder else 0.0

    @property
    def status(self) -> str:
        """What is recorded, where, and what went wrong; empty when there is nothing to say."""
        if not (recorder := self._recorder):
            return self.error
        words = f"{self.seconds:.0f} s into {recorder.paths[-2]}"
        if recorder.lost_samples:
            words += (
                f", {recorder.lost_samples / self._rate:.2f} s came too fast for the disk and are silence"
            )
        if self._room_s < LOW_S:
            words += f"; the disk has room for {self._room_s / 60:.0f} min"
        return words

    def close(self) -> None:
        """Ends the take. Gives up on a disk that hangs."""
        self._unsubscribe()
        self._wishes.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                wish = self._wishes.get(timeout=LOOK_S)
            except queue.Empty:
                self._look()
                continue
            if wish and not self._recorder:
                self._try_to_begin()
            elif not wish:
                self._end()
            if wish is None:
                return

    def _try_to_begin(self) -> None:
        try:
            self._begin()
        except RecordError as error:
            self.error = str(error)
            self._controls.set("record", False, SOURCE)

    def _begin(self) -> None:
        recorder = Recorder(
            self._folder or music_folder(),
            sample_rate=self._rate,
            channels=self._channels,
            split_s=self._split_s,
        )
        self.error, self._room_s = "", float("inf")
        self.takes.append(recorder)
        self._recorder = recorder

    def _end(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder:
            recorder.close()
            self.error = recorder.error

    def _look(self) -> None:
        """Ends a take whose disk has failed, and measures the room for the others."""
        if not (recorder := self._recorder):
            return
        if recorder.error:
            self._end()
            self._controls.set("record", False, SOURCE)
            return
        try:
            free = shutil.disk_usage(recorder.paths[-1].parent).free
        except OSError:
            return  # the recorder will tell
        self._room_s = free / (2 * 4 * self._channels * self._rate)


def summary(recording: Recording, sample_rate: int) -> list[str]:
    """What all takes came to, a line for each."""
    lines = []
    for take in recording.takes:
        paths = ", ".join(map(str, take.paths)) or "nothing"
        lines.append(f"recorded {take.samples / sample_rate:.2f} s: {paths}")
        if take.lost_samples:
            lines.append(f"{take.lost_samples} samples came too fast for the disk and are silence")
        if take.error:
            lines.append(take.error)
    return lines

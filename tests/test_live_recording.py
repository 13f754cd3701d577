"""Takes begin, split and end by the controls while the music plays; what goes wrong turns the switch back."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import soundfile
from engine_rig import until
from signals import noise

import stream.audio.recording
from stream.audio.recorder import Recorder, RecordError
from stream.audio.recording import Recording, music_folder, summary
from stream.control.controls import Controls

RATE, HOP = 44_100, 1_024


class Rig:
    """A recording, and the worker that hands it one hop after the other."""

    def __init__(self, folder: Path | None, **how):
        self.controls = Controls()
        self.recording = Recording(self.controls, folder, sample_rate=RATE, channels=2, **how)
        self.music = noise(40 * HOP)
        self.at = 0

    def play(self, hops: int) -> np.ndarray:
        start = self.at
        for _ in range(hops):
            hop = self.music[self.at : self.at + HOP]
            self.recording.tap(hop, 0.5 * hop)
            self.at += HOP
        return self.music[start : self.at]

    def turn(self, on: bool) -> None:
        self.controls.set("record", on, "test")
        until(lambda: bool(self.recording._recorder) == on)


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    yield rig
    rig.recording.close()


def vocals(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_takes_hold_what_was_played_while_the_switch_was_on(rig: Rig, tmp_path: Path):
    rig.play(3)
    rig.turn(True)
    first = rig.play(5)
    rig.turn(False)
    rig.play(2)
    rig.turn(True)
    second = rig.play(4)
    rig.turn(False)
    until(lambda: len(rig.recording.takes[1].paths) == 2 and not rig.recording.takes[1]._thread.is_alive())
    np.testing.assert_array_equal(vocals(tmp_path / "vocals.wav"), 0.5 * first)
    np.testing.assert_array_equal(vocals(tmp_path / "vocals-2.wav"), 0.5 * second)
    assert len(list(tmp_path.iterdir())) == 4
    lines = summary(rig.recording, RATE)
    assert len(lines) == 2
    assert f"recorded {5 * HOP / RATE:.2f} s: {tmp_path / 'vocals.wav'}" in lines[0]


def test_a_split_goes_on_in_new_files_without_losing_a_sample(rig: Rig, tmp_path: Path):
    rig.turn(True)
    parts = [rig.play(3)]
    rig.controls.set("split", True, "test")
    rig.controls.set("split", True, "test")  # twice at one instant is once
    parts.append(rig.play(7))
    rig.controls.set("split", True, "test")
    rig.recording.close()  # nothing follows: no empty files
    assert len(list(tmp_path.iterdir())) == 4
    for name, part in zip(("vocals.wav", "vocals-2.wav"), parts, strict=True):
        np.testing.assert_array_equal(vocals(tmp_path / name), 0.5 * part)
    for name, part in zip(("accompaniment.wav", "accompaniment-2.wav"), parts, strict=True):
        np.testing.assert_array_equal(vocals(tmp_path / name), part - 0.5 * part)


def test_a_split_while_nothing_is_recorded_does_nothing(rig: Rig, tmp_path: Path):
    rig.controls.set("split", True, "test")
    rig.turn(True)
    played = rig.play(4)
    rig.recording.close()
    np.testing.assert_array_equal(vocals(tmp_path / "vocals.wav"), 0.5 * played)
    assert len(list(tmp_path.iterdir())) == 2


def test_time_splits_at_the_sample(tmp_path: Path):
    length = 10_000  # samples: no multiple of a hop
    rig = Rig(tmp_path, split_minutes=length / RATE / 60)
    rig.turn(True)
    played = rig.play(40)
    rig.recording.close()
    parts = [vocals(path) for path in rig.recording.takes[0].paths if path.name.startswith("vocals")]
    assert [len(part) for part in parts] == [length] * 4 + [40 * HOP - 4 * length]
    np.testing.assert_array_equal(np.concatenate(parts), 0.5 * played)


def test_a_take_can_run_from_the_start(rig: Rig, tmp_path: Path):
    rig.recording.begin()
    assert rig.controls["record"] is True
    played = rig.play(4)
    rig.recording.close()
    np.testing.assert_array_equal(vocals(tmp_path / "vocals.wav"), 0.5 * played)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_turns_the_switch_back_and_says_why(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    rig = Rig(tmp_path / "file")
    heard: list[tuple[str, object, str]] = []
    rig.controls.subscribe(lambda *change: heard.append(change))
    rig.controls.set("record", True, "page")
    until(lambda: ("record", False, "recorder") in heard)
    assert rig.controls["record"] is False
    assert "cannot record into" in rig.recording.status
    with pytest.raises(RecordError):
        rig.recording.begin()
    rig.recording.close()


def test_a_full_disk_ends_the_take_and_turns_the_switch_back(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rig.turn(True)
    rig.play(2)
    until(lambda: rig.recording.takes[0].samples > 0)

    def fail(self, mixture, vocals):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recorder, "_extend", fail)
    rig.play(2)
    until(lambda: rig.controls["record"] is False)
    assert "No space left on device" in rig.recording.status
    assert soundfile.info(tmp_path / "vocals.wav").frames == 2 * HOP
    monkeypatch.undo()
    rig.turn(True)  # there is room again
    rig.play(3)
    assert "No space" not in rig.recording.status
    rig.turn(False)
    assert "No space left" in "".join(summary(rig.recording, RATE))


def test_little_room_is_said_while_there_is_some(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "free")
    free = 5 * 60 * RATE * 2 * 2 * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free))
    rig.turn(True)
    until(lambda: "the disk has room for 5 min" in rig.recording.status)
    assert "0 s into" in rig.recording.status


def test_the_switch_never_waits_for_the_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    gate = threading.Event()
    begin = Recording._begin

    def slow(self):
        gate.wait(20)
        begin(self)

    monkeypatch.setattr(Recording, "_begin", slow)
    rig.controls.set("record", True, "test")  # comes back though the disk does not
    assert not rig.recording.takes
    gate.set()
    until(lambda: bool(rig.recording.takes))


def test_without_a_folder_it_is_the_one_for_music(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_music_path", lambda: tmp_path / "Music")
    folder = music_folder()
    assert folder.parent == tmp_path / "Music" / "diffvs"
    monkeypatch.setattr(stream.audio.recording, "music_folder", lambda: folder)
    rig = Rig(None)
    rig.turn(True)
    rig.play(1)
    rig.recording.close()
    assert (folder / "vocals.wav").is_file()

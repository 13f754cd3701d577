"""Recordings are whole at any moment, aligned, never in the audio's way, and never over an earlier take."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from engine_rig import until
from signals import noise

import stream.audio.recorder
from stream.audio.recorder import Recorder, RecordError

RATE = 44_100
ROOT = Path(__file__).parent.parent


def record(folder: Path, mixture: np.ndarray, vocals: np.ndarray, hop: int = 1_024, **how) -> Recorder:
    recorder = Recorder(folder, sample_rate=RATE, channels=2, **how)
    for start in range(0, len(mixture), hop):
        recorder.tap(mixture[start : start + hop], vocals[start : start + hop])
    return recorder


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_both_parts_are_written_and_add_up(tmp_path: Path):
    mixture, vocals = noise(100_000), noise(100_000, seed=1)
    recorder = record(tmp_path / "new" / "folder", mixture, vocals)
    recorder.close()
    assert [path.name for path in recorder.paths] == ["vocals.wav", "accompaniment.wav"]
    np.testing.assert_array_equal(read(recorder.paths[0]), vocals)
    np.testing.assert_array_equal(read(recorder.paths[1]), mixture - vocals)
    assert (recorder.samples, recorder.lost_samples, recorder.error) == (100_000, 0, "")


def test_the_files_are_whole_while_they_grow(tmp_path: Path):
    recorder = record(tmp_path, noise(3 * RATE), noise(3 * RATE))
    until(lambda: recorder.samples > RATE)
    for path in recorder.paths:
        assert soundfile.info(path).frames >= RATE
        assert np.isfinite(read(path)).all()
    recorder.close()


def test_what_was_tapped_may_be_overwritten(tmp_path: Path):
    block = np.ones((1_000, 2), np.float32)
    recorder = Recorder(tmp_path, sample_rate=RATE, channels=2)
    recorder.tap(block, block)
    block[:] = np.nan
    recorder.close()
    assert np.isfinite(read(tmp_path / "vocals.wav")).all()


def test_an_earlier_take_is_kept(tmp_path: Path):
    record(tmp_path, noise(1_000), noise(1_000)).close()
    (tmp_path / "accompaniment-2.wav").write_text("something else")
    second = record(tmp_path, noise(2_000), noise(2_000))
    second.close()
    assert [path.name for path in second.paths] == ["vocals-3.wav", "accompaniment-3.wav"]
    assert soundfile.info(tmp_path / "vocals.wav").frames == 1_000


def test_nothing_recorded_leaves_no_files(tmp_path: Path):
    Recorder(tmp_path, sample_rate=RATE, channels=2).close()
    assert not list(tmp_path.iterdir())


def test_long_recordings_go_on_in_new_files(tmp_path: Path):
    mixture = noise(4 * RATE)
    recorder = record(tmp_path, mixture, mixture, max_bytes=2 * RATE * 8)
    recorder.close()
    parts = [read(path) for path in recorder.paths if path.name.startswith("vocals")]
    assert len(parts) >= 2
    np.testing.assert_array_equal(np.concatenate(parts), mixture)


def test_a_stalled_disk_costs_silence_not_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.audio.recorder, "QUEUED", 8)
    gate = threading.Event()
    append = Recorder._append

    def stalled(self, stretches):
        gate.wait(20)
        append(self, stretches)

    monkeypatch.setattr(Recorder, "_append", stalled)
    ones = np.ones((RATE, 2), np.float32)
    recorder = record(tmp_path, ones, ones, hop=RATE // 2 + 1)  # each is written by itself
    for _ in range(40):
        recorder.tap(ones, ones)
    assert recorder.lost_samples > 0
    gate.set()
    until(lambda: recorder._queue.empty())
    recorder.tap(ones, ones)
    recorder.close()
    written = read(tmp_path / "vocals.wav")
    assert len(written) == 42 * RATE
    assert np.count_nonzero(written[:, 0] == 0) == recorder.lost_samples


def test_a_failing_disk_ends_the_recording_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recorder = record(tmp_path, noise(RATE), noise(RATE))
    until(lambda: recorder.samples > 0)

    def fail(self, data):
        raise AssertionError  # what soundfile does when the disk took less than it was given

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    recorder.tap(noise(RATE), noise(RATE))
    until(lambda: bool(recorder.error))
    assert "disk may be full" in recorder.error
    for _ in range(2_000):
        recorder.tap(noise(10), noise(10))  # never waits, never raises
    recorder.close()
    assert soundfile.info(tmp_path / "vocals.wav").frames == recorder.samples


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files by POSIX means")
def test_a_disk_that_is_really_full_leaves_readable_files(tmp_path: Path):
    script = """
        import resource, signal, sys, time
        from pathlib import Path
        import numpy as np
        from stream.audio.recorder import Recorder
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        recorder = Recorder(Path(sys.argv[1]), sample_rate=44_100, channels=2)
        block = np.ones((1_000, 2), np.float32)
        for _ in range(200):
            recorder.tap(block, block)
        recorder.close()
        print(recorder.error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "recording stopped" in done.stdout, done.stderr
    assert 20_000 <= soundfile.info(tmp_path / "vocals.wav").frames <= 62_500
    assert (read(tmp_path / "vocals.wav") == 1).all()


def test_a_killed_process_leaves_readable_files(tmp_path: Path):
    script = """
        import os, sys, time
        from pathlib import Path
        import numpy as np
        from stream.audio.recorder import Recorder
        recorder = Recorder(Path(sys.argv[1]), sample_rate=44_100, channels=2)
        block = np.ones((1_000, 2), np.float32)
        while recorder.samples < 200_000:
            recorder.tap(block, block)
            time.sleep(0.0005)
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    for name in ("vocals.wav", "accompaniment.wav"):
        assert soundfile.info(tmp_path / name).frames >= 200_000


def test_a_folder_that_cannot_be_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match="cannot record into"):
        Recorder(tmp_path / "file", sample_rate=RATE, channels=2)

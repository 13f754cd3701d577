"""python -m stream.render: whole, aligned, as long as the song, and never half there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from signals import noise, residual_db, tone

import stream.audio.audio_file
from stream.audio.audio_file import AudioFileError, AudioReader, AudioWriter
from stream.render import main, separate
from stream.separation.separator import IdentitySeparator

ROOT = Path(__file__).parent.parent
IDENTITY_DB = -120.0
HOP = 1_024


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(50_000), 44_100, "FLOAT")
    return path


def render(*arguments: object) -> int:
    return main([*map(str, arguments), "--model", "identity"])


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def outputs(song: Path) -> tuple[np.ndarray, np.ndarray]:
    return read(song.with_name("song_vocals.wav")), read(song.with_name("song_accompaniment.wav"))


@pytest.mark.parametrize(
    "samples", [0, 1, 100, HOP - 1, HOP, HOP + 1, 8 * HOP - 1, 8 * HOP, 8 * HOP + 1, 50_000]
)
def test_outputs_are_as_long_as_the_song_and_in_place(tmp_path: Path, samples: int):
    song = tmp_path / "song.wav"
    mixture = noise(samples)
    soundfile.write(song, mixture, 44_100, "FLOAT")
    assert render(song) == 0
    vocals, accompaniment = outputs(song)
    assert vocals.shape == accompaniment.shape == mixture.shape
    np.testing.assert_allclose(vocals, mixture, atol=1e-6)
    np.testing.assert_allclose(vocals + accompaniment, mixture, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_any_channels_and_any_rate(tmp_path: Path, channels: int, rate: int):
    """The identity runs at any rate; see test_engine_resampling.py for models, which do not."""
    song = tmp_path / "song.wav"
    mixture = noise(30_000, channels)
    soundfile.write(song, mixture, rate, "FLOAT")
    assert render(song) == 0
    vocals, _ = outputs(song)
    assert soundfile.info(song.with_name("song_vocals.wav")).samplerate == rate
    assert residual_db(vocals, mixture) < IDENTITY_DB


@pytest.mark.parametrize("rate", [22_050, 48_000, 96_000])
def test_a_model_of_another_rate_keeps_the_song_in_place(tmp_path: Path, rate: int, monkeypatch):
    of_44100_hz = IdentitySeparator()
    monkeypatch.setattr("stream.separation.load.IdentitySeparator", lambda sample_rate: of_44100_hz)
    song = tmp_path / "song.wav"
    mixture = tone(rate, 1_000, rate)
    soundfile.write(song, mixture, rate, "FLOAT")
    assert render(song) == 0
    vocals, accompaniment = outputs(song)
    assert vocals.shape == mixture.shape
    inside = slice(2_000, -2_000)  # the tone starts and ends with a click, which no resampler keeps
    assert residual_db(vocals[inside], mixture[inside]) < -100
    np.testing.assert_allclose(vocals + accompaniment, mixture, atol=1e-6)


@pytest.mark.parametrize("name", ["song.flac", "song.mp3", "song.ogg", "song.aiff", "song.opus", "song.wav"])
def test_any_format_in(tmp_path: Path, name: str):
    song = tmp_path / name
    rate = 48_000 if song.suffix == ".opus" else 44_100
    kind = {"format": "OGG", "subtype": "OPUS"} if song.suffix == ".opus" else {}
    soundfile.write(song, noise(30_000), rate, **kind)
    assert render(song) == 0
    vocals, _ = outputs(song)
    assert residual_db(vocals, read(song)) < IDENTITY_DB


@pytest.mark.parametrize("name", ["v.flac", "v.aiff", "v.ogg", "v.mp3", "v.wav"])
def test_any_format_out(song: Path, name: str):
    target = song.with_name(name)
    assert render(song, "--vocals-out", target) == 0
    assert abs(len(read(target)) - 50_000) < 2_500  # MP3 counts in frames
    assert soundfile.info(target).samplerate == 44_100
    assert not song.with_name("song_accompaniment.wav").exists()  # only what was asked for


def test_loud_songs_are_not_clipped(tmp_path: Path):
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(20_000, amplitude=2.0), 44_100, "FLOAT")
    assert render(song) == 0
    assert np.abs(outputs(song)[0]).max() > 4


def test_the_finished_files_are_named(song: Path, capsys):
    assert render(song) == 0
    assert str(song.with_name("song_vocals.wav")) in capsys.readouterr().out


def refused(capsys, *arguments: object) -> str:
    assert render(*arguments) == 2
    words = capsys.readouterr().err.splitlines()
    assert len(words) == 1
    assert words[0].startswith("stream.render: ")
    return words[0]


def test_the_input_is_never_overwritten(song: Path, capsys):
    before = song.read_bytes()
    assert "input itself" in refused(capsys, song, "--vocals-out", song)
    twin = song.with_name("twin.wav")
    twin.symlink_to(song)
    assert "input itself" in refused(capsys, song, "--accompaniment-out", twin)
    assert song.read_bytes() == before


def test_one_file_cannot_hold_both(song: Path, capsys):
    target = song.with_name("x.wav")
    assert "two names" in refused(capsys, song, "--vocals-out", target, "--accompaniment-out", target)


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys):
    assert "there is no file" in refused(capsys, tmp_path / "no.wav")
    assert "is a folder" in refused(capsys, tmp_path)
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    assert "cannot read" in refused(capsys, text)
    text.write_bytes(b"")
    assert "cannot read" in refused(capsys, text)
    assert [path.name for path in tmp_path.iterdir()] == ["text.wav"]


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_damaged_song_leaves_nothing_behind(tmp_path: Path, suffix: str, capsys):
    song = tmp_path / f"song.{suffix}"
    soundfile.write(song, noise(200_000), 44_100)
    whole = song.read_bytes()
    song.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(capsys, song)
    assert [path.name for path in tmp_path.iterdir()] == [song.name]


def test_what_cannot_be_written_is_said(song: Path, capsys):
    assert "there is no folder" in refused(capsys, song, "--vocals-out", song.parent / "no" / "v.wav")
    assert "it is a folder" in refused(capsys, song, "--vocals-out", song.parent)
    assert "no known format" in refused(capsys, song, "--vocals-out", song.parent / "v.xyz")
    assert "no known format" in refused(capsys, song, "--vocals-out", song.parent / "v")
    many = song.with_name("many.wav")
    soundfile.write(many, noise(100, 12), 44_100)
    assert "12 channels" in refused(capsys, many, "--vocals-out", song.parent / "v.flac")
    assert sorted(path.name for path in song.parent.iterdir()) == ["many.wav", "song.wav"]


def test_a_failed_run_keeps_the_result_of_the_last(song: Path, capsys):
    assert render(song) == 0
    good = song.with_name("song_vocals.wav").read_bytes()
    song.write_bytes(song.read_bytes()[:20])
    capsys.readouterr()
    refused(capsys, song)
    assert song.with_name("song_vocals.wav").read_bytes() == good


def test_a_full_disk_is_said_and_leaves_nothing(song: Path, monkeypatch, capsys):
    def full(self, data):
        raise AssertionError  # what soundfile does when fewer samples were written than given

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    assert "disk may be full" in refused(capsys, song)
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


def test_large_wav_files_get_a_header_that_can_count(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(stream.audio.audio_file, "WAV_LIMIT", 1_000)
    with AudioWriter(tmp_path / "x.wav", sample_rate=44_100, channels=2, samples=126) as file:
        file.write(noise(126))
    assert soundfile.info(tmp_path / "x.wav").format in ("RF64", "WAV")
    np.testing.assert_array_equal(read(tmp_path / "x.wav"), noise(126))


def test_unknown_models_are_said(song: Path, capsys):
    assert main([str(song), "--model", "no.onnx"]) == 2
    assert "no model file no.onnx" in capsys.readouterr().err


def test_a_failing_model_is_one_sentence(song: Path, monkeypatch, capsys):
    def fail(self, mixture):
        raise RuntimeError("bad luck")

    monkeypatch.setattr(IdentitySeparator, "process", fail)
    assert "the model failed at 0.2 s: RuntimeError: bad luck" in refused(capsys, song)
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


def test_blocks_may_come_in_any_size_of_engine():
    mixture = noise(30_000)
    for hops in (1, 3, 50):
        size = hops * HOP
        got: list[np.ndarray] = []
        blocks = (mixture[start : start + size] for start in range(0, len(mixture), size))
        separate(
            blocks, IdentitySeparator(), lambda mixture, vocals, got=got: got.append(vocals.copy()), hops
        )
        assert residual_db(np.concatenate(got), mixture) < IDENTITY_DB


def test_after_the_end_the_model_hears_silence():
    class Listener(IdentitySeparator):
        def __init__(self):
            super().__init__()
            self.heard: list[np.ndarray] = []

        def process(self, mixture):
            self.heard.append(mixture.copy())
            return super().process(mixture)

    mixture = noise(11 * HOP + 100)
    listener = Listener()
    separate([mixture[: 8 * HOP], mixture[8 * HOP :]], listener, lambda mixture, vocals: None)
    heard = np.concatenate(listener.heard)
    np.testing.assert_array_equal(heard[: len(mixture)], mixture)
    assert not heard[len(mixture) :].any()


def test_reading_stops_where_the_header_lied(tmp_path: Path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(1_000), 44_100)
    with AudioReader(path) as reader:
        reader.samples = 2_000
        with pytest.raises(AudioFileError, match="promises 2000 samples but only 1000"):
            list(reader.blocks(300))


def test_an_interrupted_run_leaves_nothing(tmp_path: Path):
    song = tmp_path / "song.wav"
    soundfile.write(song, np.zeros((40_000_000, 2), np.int16), 44_100, "PCM_16")
    command = [sys.executable, "-m", "stream.render", str(song), "--model", "identity"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until_s = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < until_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "nothing was written" in words
    assert "Traceback" not in words
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]

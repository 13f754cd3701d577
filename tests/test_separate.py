"""Offline separation: what is written where, what is skipped, and what is said when it cannot be."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from data_files import tone
from denoisers import awake

from diffvs import checkpoint, evaluate, separate, song_files
from diffvs.data.audio import SAMPLE_RATE
from diffvs.device import choose_device
from diffvs.presets import PRESETS
from diffvs.sampling import default_sigmas, separate_windows

TINY = PRESETS["tiny"]
ROUNDING = 1e-5  # of float32 samples about 1: the models of these tests are loud


@pytest.mark.parametrize("command", [evaluate, separate], ids=lambda command: command.__name__)
def test_help_is_the_committed_one(command):
    """After a change: COLUMNS=100 python -m diffvs.separate --help > docs/help/diffvs.separate.txt"""
    page = Path(__file__).resolve().parent.parent / "docs" / "help" / f"{command.__name__}.txt"
    assert command._parser().format_help() == page.read_text(encoding="utf-8")


@pytest.fixture(params=["tiny", "tiny-window"])
def model(request, tmp_path):
    config = PRESETS[request.param]
    checkpoint.save(tmp_path / "model", config, awake(config).state_dict(), {})
    return tmp_path / "model"


@pytest.fixture
def tiny(tmp_path):
    checkpoint.save(tmp_path / "model", TINY, awake(TINY).state_dict(), {})
    return tmp_path / "model"


def write(path, seed=0, seconds=0.3, rate=SAMPLE_RATE, channels=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, tone(seed, seconds=seconds, rate=rate, channels=channels), rate, subtype=subtype)
    return path


def run(*songs, model, out, more=()):
    return separate.main([*map(str, songs), "--checkpoint", str(model), "--out", str(out), *more])


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("song.wav", 44_100, 2), ("song.flac", 48_000, 2), ("song.wav", 22_050, 1), ("song.ogg", 32_000, 1)],
)
def test_stems_are_like_the_song_and_add_up_to_it(model, tmp_path, name, rate, channels):
    song = write(tmp_path / name, rate=rate, channels=channels)
    assert run(song, model=model, out=tmp_path / "out") == 0
    samples, _ = read(song)
    vocals, vocals_rate = read(tmp_path / "out" / "song (vocals).wav")
    accompaniment, accompaniment_rate = read(tmp_path / "out" / "song (accompaniment).wav")
    assert vocals_rate == accompaniment_rate == rate
    assert vocals.shape == accompaniment.shape == samples.shape
    assert np.abs(vocals + accompaniment - samples).max() < ROUNDING
    assert np.abs(vocals).max() > 1e-3
    assert soundfile.info(tmp_path / "out" / "song (vocals).wav").subtype == "FLOAT"
    assert len(list((tmp_path / "out").iterdir())) == 2


def answer_with_the_mixture(monkeypatch):
    monkeypatch.setattr(separate, "separate", lambda denoiser, mixture, *_: mixture)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_any_rate_is_the_models_rate_and_back_in_time(monkeypatch, rate, channels):
    answer_with_the_mixture(monkeypatch)
    time = np.arange(round(0.5 * rate)) / rate
    samples = np.stack([np.sin(2 * np.pi * 440 * (n + 1) * time) for n in range(channels)], axis=1)
    samples = (0.3 * samples * np.hanning(len(samples))[:, None]).astype(np.float32)
    vocals, accompaniment = separate.separate_samples(awake(TINY), samples, rate, [5.0, 0.0], lambda _: None)
    assert vocals.shape == samples.shape
    # One sample off would leave a tenth; what is left is the resampler's own noise.
    assert np.abs(accompaniment).max() < 1e-4
    np.testing.assert_allclose(vocals + accompaniment, samples, atol=ROUNDING)


def test_the_command_separates_as_the_library(tmp_path, tiny):
    song = write(tmp_path / "song.wav")
    assert run(song, model=tiny, out=tmp_path / "out", more=["--steps", "2", "--temperature", "0.5"]) == 0
    denoiser = checkpoint.load(tiny)[0]
    wave, sigmas = torch.from_numpy(read(song)[0].T.copy()), default_sigmas(denoiser, 2)
    expected = separate.separate(denoiser, wave, sigmas, temperature=0.5)
    vocals, _ = read(tmp_path / "out" / "song (vocals).wav")
    np.testing.assert_allclose(vocals.T, expected.numpy(), atol=ROUNDING)


def test_windows_in_batches_are_the_same_windows():
    denoiser = awake(PRESETS["tiny-window"])
    wave = torch.from_numpy(tone(3, seconds=0.15).T.copy())
    one, told = separate_windows(denoiser, wave, default_sigmas(denoiser)), []
    for batch_size in (2, 3, 100):
        many = separate_windows(denoiser, wave, default_sigmas(denoiser), told.append, batch_size)
        torch.testing.assert_close(many, one, rtol=0, atol=1e-5)
    assert told.count(wave.shape[1]) >= 3


@pytest.mark.parametrize("place", ["elsewhere", "songs/stems"])
def test_a_folder_keeps_its_shape_and_goes_on_where_it_stopped(tmp_path, tiny, capsys, place):
    folder, out = tmp_path / "songs", tmp_path / place
    for name in ("a.wav", "deep/b.flac", "deep/.hidden.wav", "deep/notes.txt"):
        if name.endswith("txt"):
            (folder / name).write_text("no audio")
        else:
            write(folder / name)
    assert run(folder, model=tiny, out=out) == 0
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    stems = ("accompaniment", "vocals")
    assert made == [f"{song} ({stem}).wav" for song in ("a", "deep/b") for stem in stems]
    (out / "a (accompaniment).wav").unlink()  # as if it had been stopped there
    kept, redone = out / "deep" / "b (vocals).wav", out / "a (vocals).wav"
    before = kept.stat().st_mtime_ns, redone.stat().st_mtime_ns
    capsys.readouterr()
    assert run(folder, model=tiny, out=out) == 0  # what it made itself is no song
    assert "1 of 2 songs are there already" in capsys.readouterr().err
    assert kept.stat().st_mtime_ns == before[0]
    assert redone.stat().st_mtime_ns != before[1]
    assert len([path for path in out.rglob("*") if path.is_file()]) == 4


def test_stems_beside_their_songs_are_no_songs(tmp_path, tiny, capsys):
    write(tmp_path / "songs" / "one.wav")
    write(tmp_path / "songs" / "two (vocals).wav")  # a song's own name
    for told in ("2 separated", "2 of 2 songs are there already"):
        assert run(tmp_path / "songs", model=tiny, out=tmp_path / "songs") == 0
        assert told in capsys.readouterr().err
    assert len(list((tmp_path / "songs").iterdir())) == 2 + 4


def test_what_other_settings_made_is_not_taken_for_done(tmp_path, tiny, capsys):
    song, out = write(tmp_path / "song.wav"), tmp_path / "out"
    assert run(song, model=tiny, out=out) == 0
    first, _ = read(out / "song (vocals).wav")
    assert run(song, model=tiny, out=out, more=["--steps", "2"]) == 2
    assert "made by another checkpoint, with other settings" in capsys.readouterr().err
    assert run(song, model=tiny, out=out, more=["--steps", "2", "--replace"]) == 0
    assert not np.array_equal(read(out / "song (vocals).wav")[0], first)
    checkpoint.save(tiny, TINY, awake(TINY, seed=1).state_dict(), {})
    assert run(song, model=tiny, out=out, more=["--steps", "2"]) == 2


def test_songs_that_fail_are_named_and_the_others_done(tmp_path, tiny, capsys):
    folder, out = tmp_path / "songs", tmp_path / "out"
    write(folder / "good.wav")
    write(folder / "surround.wav", channels=3)
    (folder / "broken.flac").write_bytes(b"fLaC and then nothing")
    soundfile.write(folder / "empty.wav", np.zeros((0, 2)), SAMPLE_RATE)
    broken = tone(0, seconds=0.1)
    broken[7] = np.nan
    soundfile.write(folder / "nan.wav", broken, SAMPLE_RATE, subtype="FLOAT")
    assert run(folder, model=tiny, out=out) == 2
    said = capsys.readouterr().err
    for name, reason in (
        ("surround.wav", "has 3 channels; mono or stereo is needed"),
        ("broken.flac", "cannot be decoded"),
        ("empty.wav", "holds no samples"),
        ("nan.wav", "holds values that are not finite"),
    ):
        assert any(name in line and reason in line for line in said.splitlines())
    assert "1 separated" in said
    assert "4 failed" in said
    assert sorted(path.name for path in out.iterdir()) == ["good (accompaniment).wav", "good (vocals).wav"]


def test_flac_says_what_it_clips(tmp_path, tiny, capsys):
    soundfile.write(tmp_path / "loud.wav", 4 * tone(0, seconds=0.2), SAMPLE_RATE, subtype="FLOAT")
    assert run(tmp_path / "loud.wav", model=tiny, out=tmp_path / "out", more=["--format", "flac"]) == 0
    assert "passes full scale" in capsys.readouterr().err
    assert soundfile.info(tmp_path / "out" / "loud (vocals).flac").subtype == "PCM_24"


def test_a_file_appears_whole_or_not_at_all(tmp_path, tiny, monkeypatch, capsys):
    song, out = write(tmp_path / "song.wav"), tmp_path / "out"
    replaced = song_files.os.replace

    def full(source, target):
        if "accompaniment" in str(target):
            raise OSError("no space left")
        replaced(source, target)

    monkeypatch.setattr(song_files.os, "replace", full)
    assert run(song, model=tiny, out=out) == 2
    assert "cannot be written: no space left" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["song (vocals).wav"]


def test_a_song_too_long_for_the_memory_is_named(tmp_path, tiny, monkeypatch, capsys):
    def full(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate")

    monkeypatch.setattr(separate, "separate", full)
    assert run(write(tmp_path / "song.wav"), model=tiny, out=tmp_path / "out") == 2
    assert "does not fit into memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("songs", "model", "more", "words"),
    [
        (["nowhere.wav"], "model", [], "nowhere.wav does not exist"),
        (["empty"], "model", [], "empty holds no audio file"),
        (["a/song.wav", "b/song.wav"], "model", [], "would both become"),
        (["a/song.wav"], "empty", [], "is not a checkpoint"),
        (["a/song.wav"], "model", ["--sigma-max", "0.01"], "sigma_min < sigma_max is needed"),
        (["a/song.wav"], "model", ["--steps", "0"], "steps must be positive"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, tiny, monkeypatch, capsys, songs, model, more, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("a", "b"):
        write(tmp_path / name / "song.wav")
    assert separate.main([*songs, "--checkpoint", model, "--out", "out", *more]) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert words in said
    assert not (tmp_path / "out").exists()


def test_the_same_song_twice_is_one_song(tmp_path, tiny):
    song = write(tmp_path / "song.wav")
    assert len(separate.plan([song, song, tmp_path / "." / "song.wav"], tmp_path / "out", "wav")) == 1


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(None) == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="no device cuda on this machine; use --device cpu"):
        choose_device("cuda")

"""The cache keeps what it is given, is complete or absent, resumes, and never takes a held-out song."""

import dataclasses
import json
import os
import time

import numpy as np
import pytest
import soundfile as sf
from data_files import make_eif, make_moises, make_musdb, tone, write
from rich.console import Console

from diffvs.data import decode as decode_module
from diffvs.data.audio import AudioError, read_audio
from diffvs.data.cache import LEVEL_BLOCK, Cache, Entry, HeldOutError, block_levels
from diffvs.data.decode import add_recording
from diffvs.data.prepare import find_recordings, main
from diffvs.data.readers import read_eif, read_moises, read_musdb
from diffvs.data.validation import validation_songs

QUIET = Console(quiet=True)
# int16 against full scale, once rounded: half a step.
STEP = 0.5 / 32767


def entry(name="voice", song="song", **values):
    return Entry("vocals", name, "vocals", song, "vocals", "somewhere.wav", **values)


def test_what_goes_in_comes_out_to_half_a_step_of_its_peak(tmp_path):
    cache, samples = Cache(tmp_path), tone(1) * 4  # peaks above 1 survive
    stored = cache.add("train", entry(), samples)
    (listed,) = cache.entries("train")
    assert listed == stored
    out = cache.read("train", listed, 0, len(samples))
    assert np.abs(out.T - samples).max() <= 1.01 * STEP * np.abs(samples).max()


def test_reading_beyond_the_ends_gives_zeros(tmp_path):
    cache = Cache(tmp_path)
    stored = cache.add("train", entry(), tone(1))
    whole = cache.read("train", stored, 0, stored.samples)
    wide = cache.read("train", stored, -100, stored.samples + 250)
    assert not wide[:, :100].any()
    assert not wide[:, -150:].any()
    np.testing.assert_array_equal(wide[:, 100:-150], whole)


def test_levels_are_rms_per_block():
    samples = np.zeros((2 * LEVEL_BLOCK + 10, 2), np.float32)
    samples[LEVEL_BLOCK:] = 0.1
    assert block_levels(samples) == [-90, -20, -20]


@pytest.mark.parametrize("name", ["6_Caesium", "caesium lead", "CAESIUM"])
def test_the_validation_song_cannot_get_into_the_training_split(name, tmp_path):
    cache = Cache(tmp_path)
    for offered in (
        entry(song=name),
        entry(name=name),
        dataclasses.replace(entry(), source=f"/x/{name}.opus"),
    ):
        with pytest.raises(HeldOutError, match="never trained on"):
            cache.add("train", offered, tone(1))
    assert cache.entries("train") == []
    cache.add("valid", entry(song=name), tone(1))


def test_a_held_out_song_smuggled_into_the_files_is_refused_when_opened(tmp_path):
    cache = Cache(tmp_path)
    cache.add("train", entry(), tone(1))
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text().replace('"song"', '"song"').replace("somewhere", "6_Caesium.lead"))
    with pytest.raises(HeldOutError, match="6_Caesium"):
        cache.entries("train")


def test_a_copy_of_the_musdb_test_split_is_refused_by_its_path(tmp_path):
    offered = dataclasses.replace(entry(), source="/data/MUSDB18-HQ/test/Song/vocals.wav")
    with pytest.raises(HeldOutError, match="never trained on"):
        Cache(tmp_path).add("train", offered, tone(1))


def test_silence_is_refused_by_name(tmp_path):
    with pytest.raises(AudioError, match=r"somewhere\.wav is silent"):
        Cache(tmp_path).add("train", entry(), np.zeros((1000, 2), np.float32))


def test_another_schema_is_refused(tmp_path):
    cache = Cache(tmp_path)
    cache.add("train", entry(), tone(1))
    (path,) = tmp_path.rglob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(ValueError, match="schema 99"):
        cache.entries("train")


def test_an_interrupted_write_leaves_no_entry(tmp_path, monkeypatch):
    cache = Cache(tmp_path)

    def die(file, array):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", die)
        with pytest.raises(KeyboardInterrupt):
            cache.add("train", entry(), tone(1))
    assert cache.entries("train") == []
    assert not cache.has("train", entry())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    cache.add("train", entry(), tone(1))
    assert len(cache.entries("train")) == 1


def test_what_a_killed_build_left_is_swept_after_an_hour(tmp_path):
    cache = Cache(tmp_path)
    for name, age in (("old", 7200), ("young", 10)):
        part = tmp_path / "train" / "k" / f".{name}.1.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    cache.sweep()
    assert [path.name for path in tmp_path.rglob("*.part")] == [".young.1.part"]


def test_a_cache_that_cannot_be_written_ends_with_one_sentence(tmp_path, capsys):
    write(tmp_path / "voices" / "a.wav", seconds=0.2)
    (tmp_path / "cache").write_text("a file where the folder should be")
    command = [
        "--cache",
        str(tmp_path / "cache"),
        "--source",
        f"vocals={tmp_path / 'voices'}",
        "--workers",
        "1",
    ]
    assert main(command) == 2
    assert "the cache cannot be written" in capsys.readouterr().err


def test_a_second_build_decodes_only_what_is_missing(tmp_path, monkeypatch):
    recordings = read_musdb(make_musdb(tmp_path / "musdb"))
    assert add_recording(tmp_path / "cache", recordings[0]).state == "added"
    decoded = []
    real = decode_module.decode_recording
    monkeypatch.setattr(
        decode_module, "decode_recording", lambda song: decoded.append(song.song) or real(song)
    )
    states = [add_recording(tmp_path / "cache", recording).state for recording in recordings]
    assert states == ["there", "added"]
    assert decoded == ["Artist - Two"]


def test_of_pieces_of_another_rate_the_first_speaks_for_all(tmp_path):
    for number in range(3):
        write(tmp_path / "speech" / f"{number}.wav", number, rate=22_050, seconds=0.5)
    (speech,) = find_recordings([f"speech={tmp_path / 'speech'}"])
    outcome = add_recording(tmp_path / "cache", speech)
    assert (outcome.state, outcome.notices) == ("added", ["0.wav: resampled from 22050 to 44100 Hz"])
    (entry,) = Cache(tmp_path / "cache").entries("train")
    assert (entry.kind, entry.bandwidth_hz) == ("speech", 10_500)


def test_stems_of_unequal_length_are_named_and_left_out(tmp_path):
    root = make_musdb(tmp_path / "musdb")
    write(root / "train" / "Artist - One" / "bass.wav", seconds=1.5)
    write(root / "train" / "Artist - Two" / "bass.wav", seconds=1.99)  # as much as codecs pad
    one, two = (add_recording(tmp_path / "cache", song) for song in read_musdb(root))
    assert one.state == "failed"
    assert "unequal length" in one.notices[0]
    assert "66150" in one.notices[0]
    assert two.state == "added"
    assert any("trimmed" in notice for notice in two.notices)
    assert {stem.samples for stem in Cache(tmp_path / "cache").entries("train")} == {87759}


def test_a_partial_song_and_a_broken_file_are_named_and_left_out(tmp_path):
    root = make_musdb(tmp_path / "musdb")
    (root / "train" / "Artist - One" / "drums.wav").unlink()
    (root / "train" / "Artist - Two" / "other.wav").write_bytes(b"no audio at all")
    one, two = (add_recording(tmp_path / "cache", song) for song in read_musdb(root))
    assert (one.state, two.state) == ("failed", "failed")
    assert "drums.wav does not exist" in one.notices[0]
    assert "other.wav cannot be decoded" in two.notices[0]


def test_a_silent_stem_leaves_the_rest_of_the_song(tmp_path):
    root = make_musdb(tmp_path / "musdb")
    write(root / "train" / "Artist - One" / "bass.wav", level=0)
    outcome = add_recording(tmp_path / "cache", read_musdb(root)[0])
    assert outcome.state == "added"
    assert any("bass.wav is silent" in notice for notice in outcome.notices)
    assert sorted(stem.stem for stem in Cache(tmp_path / "cache").entries("train")) == [
        "drums",
        "other",
        "vocals",
    ]


def test_a_moises_track_without_a_readable_description_is_left_out(tmp_path):
    make_moises(tmp_path / "moises")
    (tmp_path / "moises" / "provider" / "aaa" / "data.json").write_text("{")
    outcomes = [add_recording(tmp_path / "cache", track) for track in read_moises(tmp_path / "moises")]
    assert [outcome.state for outcome in outcomes] == ["failed", "added"]
    assert "aaa names no stems" in outcomes[0].notices[0]


def test_files_of_one_stem_are_summed(tmp_path):
    track = read_moises(make_moises(tmp_path / "moises", ("aaa",)))[0]
    add_recording(tmp_path / "cache", track)
    cache = Cache(tmp_path / "cache")
    vocals = next(stem for stem in cache.entries("train") if stem.role == "vocals")
    expected = tone(0) + tone(1)
    out = cache.read("train", vocals, 0, vocals.samples).T
    assert np.abs(out - expected).max() <= 2 * STEP * np.abs(expected).max()


def test_other_rates_are_resampled_with_a_notice_and_mono_becomes_stereo(tmp_path):
    samples, notices = read_audio(write(tmp_path / "a.wav", rate=48_000, channels=1))
    assert samples.shape == (88_200, 2)
    np.testing.assert_array_equal(samples[:, 0], samples[:, 1])
    assert notices == ["a.wav: resampled from 48000 to 44100 Hz"]


def test_surround_empty_and_not_finite_files_are_refused(tmp_path):
    for name, samples, reason in (
        ("six.wav", np.zeros((100, 6)), "6 channels"),
        ("empty.wav", np.zeros((0, 2)), "holds no samples"),
        ("nan.wav", np.full((100, 2), np.nan), "not finite"),
    ):
        sf.write(tmp_path / name, samples, 44_100, subtype="FLOAT")
        with pytest.raises(AudioError, match=reason):
            read_audio(tmp_path / name)


def test_the_command_line_fills_a_cache_and_counts(tmp_path, capsys):
    make_eif(tmp_path / "eif")
    write(tmp_path / "music" / "good.wav", 5)
    (tmp_path / "music" / "bad.ogg").write_bytes(b"bad")
    command = ["--cache", str(tmp_path / "cache"), "--workers", "1", "--variants", "1", "--vary", "eif"]
    command += ["--source", f"eif={tmp_path / 'eif'}", "--source", f"corpus={tmp_path / 'music'}"]
    assert main(command) == 0
    assert "4 added, 0 already there, 1 left out" in capsys.readouterr().err
    cache = Cache(tmp_path / "cache")
    trained = cache.entries("train")
    assert {stem.song for stem in trained} == {"1_Hydrogen", "2_Lithium", "good.wav"}
    assert sum(stem.variant == 1 for stem in trained) == 4
    assert {stem.song for stem in cache.entries("valid")} == {"6_Caesium"}
    assert main(command) == 0
    assert "0 added, 4 already there, 1 left out" in capsys.readouterr().err


def test_a_wrong_source_ends_with_one_sentence(tmp_path, capsys):
    assert main(["--cache", str(tmp_path / "cache"), "--source", f"musdb={tmp_path}"]) == 2
    assert "MUSDB18-HQ" in capsys.readouterr().err


def test_validation_songs_come_at_both_levels(tmp_path):
    for recording in read_eif(make_eif(tmp_path / "eif")):
        add_recording(tmp_path / "cache", recording)
    native, raised = validation_songs(Cache(tmp_path / "cache"))
    assert (native.name, native.raised_db, raised.raised_db) == ("6_Caesium", 0, 8)
    np.testing.assert_array_equal(native.mixture, native.vocals + native.accompaniment)
    np.testing.assert_allclose(raised.vocals, native.vocals * 10 ** (8 / 20), rtol=1e-6)
    lead_and_backing = tone(20) + tone(21)
    assert np.abs(native.vocals.T - lead_and_backing).max() < 1e-4
    with pytest.raises(ValueError, match="no validation song"):
        list(validation_songs(Cache(tmp_path / "empty")))


def test_found_recordings_keep_caesium_out_of_train(tmp_path):
    make_eif(tmp_path / "eif")
    assert [r.song for r in find_recordings([f"eif={tmp_path / 'eif'}"]) if r.split == "valid"] == [
        "6_Caesium"
    ]

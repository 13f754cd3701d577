"""Each layout is found as it lies on disk; held-out splits are refused; wrong folders are named."""

import json
from functools import partial

import pytest
from data_files import make_eif, make_moises, make_musdb, write

from diffvs.data.cache import HeldOutError
from diffvs.data.prepare import find_recordings
from diffvs.data.readers import (
    UNHEARD,
    DataSetError,
    read_eif,
    read_estimated,
    read_folder,
    read_moises,
    read_musdb,
    read_pieces,
)


def test_eif_has_four_stems_and_validates_on_caesium_alone(tmp_path):
    songs = {song.song: song for song in read_eif(make_eif(tmp_path))}
    assert {name: song.split for name, song in songs.items()} == {
        "1_Hydrogen": "train",
        "2_Lithium": "train",
        "6_Caesium": "valid",
    }
    roles = {stem.stem: stem.role for stem in songs["2_Lithium"].stems}
    assert roles == {
        "lead": "vocals",
        "backing": "vocals",
        "drums": "accompaniment",
        "music": "accompaniment",
    }


def test_eif_hydrogens_vocals_end_at_12_khz(tmp_path):
    hydrogen, lithium, _ = read_eif(make_eif(tmp_path))
    assert [stem.bandwidth_hz for stem in hydrogen.stems] == [12_000, 12_000, 22_050, 22_050]
    assert {stem.bandwidth_hz for stem in lithium.stems} == {22_050}


def test_musdb_reads_train_only(tmp_path):
    songs = read_musdb(make_musdb(tmp_path))
    assert [song.song for song in songs] == ["Artist - One", "Artist - Two"]
    assert [stem.stem for stem in songs[0].stems if stem.role == "vocals"] == ["vocals"]
    assert all("mixture" not in stem.paths[0].name for song in songs for stem in song.stems)


def test_musdb_test_split_is_refused(tmp_path):
    make_musdb(tmp_path)
    with pytest.raises(HeldOutError, match="never trained on"):
        read_musdb(tmp_path, "test")
    with pytest.raises(HeldOutError, match="never trained on"):
        read_musdb(tmp_path / "test")


def test_moises_joins_the_files_of_a_stem(tmp_path):
    tracks = read_moises(make_moises(tmp_path))
    assert [track.song for track in tracks] == ["aaa", "bbb"]
    stems = {stem.stem: (stem.role, [path.name for path in stem.paths]) for stem in tracks[0].stems}
    assert stems == {
        "vocals": ("vocals", ["v1.wav", "v2.wav"]),
        "drums": ("accompaniment", ["d1.wav"]),
        "bass": ("accompaniment", ["b1.wav"]),
    }


def test_moises_track_with_a_broken_description_keeps_the_others(tmp_path):
    make_moises(tmp_path)
    (tmp_path / "provider" / "aaa" / "data.json").write_text("{")
    assert [len(track.stems) for track in read_moises(tmp_path)] == [0, 3]


def test_folder_takes_bandwidths_from_its_manifest(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "sub" / "b.wav")
    (tmp_path / "manifest.csv").write_text("file,bandwidth_hz\na.wav,8527\n")
    limits = {found.song: found.stems[0].bandwidth_hz for found in read_folder(tmp_path, "vocals", "chant")}
    assert limits == {"a.wav": 8527, "sub/b.wav": 22_050}
    assert read_folder(tmp_path, "vocals", "synth")[1].stems[0].bandwidth_hz == 12_000
    (tmp_path / "manifest.csv").write_text("file,bandwidth_hz\na.wav,high\n")
    with pytest.raises(DataSetError, match="numbers in bandwidth_hz"):
        read_folder(tmp_path, "vocals", "chant")


def test_notes_are_joined_per_folder(tmp_path):
    for name in ("x/a.wav", "x/b.wav", "y/c.wav"):
        write(tmp_path / "notes" / name, seconds=0.2)
    notes = read_pieces(tmp_path / "notes", "notes")
    assert [(found.song, len(found.stems[0].paths)) for found in notes] == [("x", 2), ("y", 1)]
    assert {found.stems[0].bandwidth_hz for found in notes} == {22_050}


def test_estimates_are_songs_where_both_are_there_and_only_the_vocals_are_band_limited(tmp_path):
    left_out = f"{UNHEARD[0]}.v.flac"
    for name in ("both.v.flac", "both.a.flac", "voice.v.flac", "music.a.flac", left_out):
        write(tmp_path / name, seconds=0.2)
    both, voice = read_estimated(tmp_path)
    assert (both.song, voice.song) == ("both", "voice")
    stems = [(stem.role, stem.paths[0].name, stem.bandwidth_hz) for stem in both.stems]
    assert stems == [("vocals", "both.v.flac", 11_000), ("accompaniment", "both.a.flac", 22_050)]
    assert [stem.role for stem in voice.stems] == ["vocals"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataSetError, match=r"holds no file named SONG\.v"):
        read_estimated(tmp_path / "empty")


def test_speech_in_folders_of_equal_names_is_told_apart_and_band_limited(tmp_path):
    for name in ("game/city/cs/a.wav", "game/city/cs/b.wav", "game/ufo/cs/a.wav"):
        write(tmp_path / name, seconds=0.2)
    found = find_recordings([f"speech={tmp_path}"])
    assert {(one.song, len(one.stems[0].paths)) for one in found} == {("game/city/cs", 2), ("game/ufo/cs", 1)}
    assert {(one.kind, one.stems[0].role, one.stems[0].bandwidth_hz) for one in found} == {
        ("speech", "vocals", 10_500)
    }
    (alone,) = find_recordings([f"speech={tmp_path / 'game/ufo/cs'}"])
    assert alone.song == "cs"


@pytest.mark.parametrize("reader", [read_eif, read_musdb, read_moises, partial(read_pieces, kind="notes")])
def test_a_folder_that_is_something_else_is_named(reader, tmp_path):
    with pytest.raises(DataSetError, match=str(tmp_path.name)):
        reader(tmp_path)
    with pytest.raises(DataSetError, match="no folder"):
        reader(tmp_path / "absent")


def test_sources_are_named_kinds(tmp_path):
    make_eif(tmp_path / "eif")
    write(tmp_path / "chant" / "a.wav")
    found = find_recordings([f"bundle={tmp_path}"])
    assert {recording.kind for recording in found} == {"eif", "chant"}
    with pytest.raises(DataSetError, match="KIND=FOLDER"):
        find_recordings([f"mp3s={tmp_path}"])
    with pytest.raises(DataSetError, match="none of the subfolders"):
        find_recordings([f"bundle={tmp_path / 'chant'}"])


def test_two_recordings_of_one_name_are_refused(tmp_path):
    write(tmp_path / "one" / "a.wav")
    write(tmp_path / "two" / "a.wav")
    with pytest.raises(DataSetError, match=r"2 recordings of kind vocals are called a\.wav"):
        find_recordings([f"vocals={tmp_path / 'one'}", f"vocals={tmp_path / 'two'}"])


def test_moises_description_without_stems_is_no_crash(tmp_path):
    path = tmp_path / "provider" / "t" / "data.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"song": "x"}))
    assert read_moises(tmp_path)[0].stems == ()

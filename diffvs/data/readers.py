"""Data sets as they lie on disk -> a list of recordings to decode. Nothing is decoded here."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from diffvs.data.audio import SAMPLE_RATE, audio_files
from diffvs.data.cache import HeldOutError, Role, Split

FULL_BAND = SAMPLE_RATE / 2
MUSDB_STEMS: dict[str, Role] = {
    "vocals": "vocals",
    "bass": "accompaniment",
    "drums": "accompaniment",
    "other": "accompaniment",
}
EIF_STEMS: dict[str, Role] = {
    "lead": "vocals",
    "backing": "vocals",
    "drums": "accompaniment",
    "music": "accompaniment",
}
EIF_VALIDATION = "6_Caesium"
# Songs that another separator took apart and that are left out, to be measured on (docs/evaluation.md).
UNHEARD = ("brad_sucks_total_breakdown", "joshua_morin_on_the_run")
# Upper limit of what was sung, measured; above it codec and synthesiser leave nothing or noise.
BANDWIDTH_HZ = {"1_Hydrogen": 12_000.0, "synth": 12_000.0, "estimated": 11_000.0, "speech": 10_500.0}


class DataSetError(ValueError):
    """A folder is not the data set it was said to be; the message says what was looked for."""


@dataclass(frozen=True)
class Stem:
    """One stem of a recording: the files in `paths` are summed, or played one after another when `joined`."""

    stem: str
    role: Role
    paths: tuple[Path, ...]
    bandwidth_hz: float = FULL_BAND
    joined: bool = False


@dataclass(frozen=True)
class Recording:
    """A song: its stems have equal lengths. A lone file is a recording of one stem."""

    kind: str
    song: str
    stems: tuple[Stem, ...]
    split: Split = "train"


def _folder(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        raise DataSetError(f"{folder} is no folder; {what} is needed there")
    return folder


def read_eif(folder: Path) -> list[Recording]:
    """ "Everything is Free" as N_Name.STEM.opus; the validation song goes to the split `valid`, always."""
    songs: dict[str, dict[str, Path]] = {}
    for path in audio_files(_folder(folder, "the EIF folder (N_Name.lead.opus, ...)")):
        song, _, stem = path.stem.rpartition(".")
        if stem in EIF_STEMS:
            songs.setdefault(song, {})[stem] = path
    if not songs:
        raise DataSetError(f"{folder} holds no file named SONG.{{{','.join(EIF_STEMS)}}}.*")
    return [
        Recording(
            "eif",
            song,
            tuple(
                Stem(stem, role, (stems[stem],), _eif_bandwidth(song, role))
                for stem, role in EIF_STEMS.items()
                if stem in stems
            ),
            "valid" if song == EIF_VALIDATION else "train",
        )
        for song, stems in sorted(songs.items())
    ]


def _eif_bandwidth(song: str, role: Role) -> float:
    return BANDWIDTH_HZ.get(song, FULL_BAND) if role == "vocals" else FULL_BAND


def read_musdb(folder: Path, subset: str = "train") -> list[Recording]:
    """MUSDB18-HQ: FOLDER/train/SONG/{vocals,bass,drums,other}.wav. The test split raises HeldOutError."""
    if subset != "train" or folder.resolve().name == "test":
        raise HeldOutError(
            f"the {subset} split of MUSDB18 at {folder} is never trained on; give its root folder"
        )
    train = _folder(folder, "MUSDB18-HQ (with train/ and test/)") / "train"
    songs = sorted(path for path in train.iterdir() if path.is_dir()) if train.is_dir() else []
    if not songs:
        raise DataSetError(
            f"{folder} holds no train/SONG folders; MUSDB18-HQ (decoded, not .stem.mp4) is needed"
        )
    return [
        Recording(
            "musdb",
            song.name,
            tuple(Stem(stem, role, (song / f"{stem}.wav",)) for stem, role in MUSDB_STEMS.items()),
        )
        for song in songs
    ]


def read_moises(folder: Path) -> list[Recording]:
    """MoisesDB: PROVIDER/TRACK/data.json names the stems, their files are TRACK/STEM/ID.EXTENSION.

    Layout as the publishers' package reads it (moises-ai/moises-db, track.py). A track whose data.json cannot
    be read becomes a recording without stems, which is reported when it is decoded.
    """
    descriptions = sorted(_folder(folder, "MoisesDB (PROVIDER/TRACK/data.json)").glob("*/*/data.json"))
    if not descriptions:
        raise DataSetError(
            f"{folder} holds no PROVIDER/TRACK/data.json; the folder above the providers is needed"
        )
    return [Recording("moises", path.parent.name, _moises_stems(path)) for path in descriptions]


def _moises_stems(description: Path) -> tuple[Stem, ...]:
    try:
        listed = json.loads(description.read_text(encoding="utf-8"))["stems"]
        files: dict[str, list[Path]] = {}
        for stem in listed:
            for track in stem["tracks"]:
                path = description.parent / stem["stemName"] / f"{track['id']}.{track['extension']}"
                files.setdefault(stem["stemName"], []).append(path)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(
        Stem(name, "vocals" if name == "vocals" else "accompaniment", tuple(paths))
        for name, paths in sorted(files.items())
    )


def read_folder(folder: Path, role: Role, kind: str) -> list[Recording]:
    """Every audio file under a folder as a recording of its own.

    A manifest.csv with the columns file and bandwidth_hz, where there is one, says how far up each reaches.
    """
    files = audio_files(_folder(folder, f"a folder of {role}"))
    if not files:
        raise DataSetError(f"{folder} holds no audio file")
    limits = _bandwidths(folder / "manifest.csv")
    recordings = []
    for path in files:
        name = path.relative_to(folder).as_posix()
        limit = limits.get(name, BANDWIDTH_HZ.get(kind, FULL_BAND))
        recordings.append(Recording(kind, name, (Stem(path.stem, role, (path,), limit),)))
    return recordings


def _bandwidths(manifest: Path) -> dict[str, float]:
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("bandwidth_hz")]
    try:
        return {row["file"]: float(row["bandwidth_hz"]) for row in rows}
    except (KeyError, ValueError) as error:
        raise DataSetError(f"{manifest} needs a column file and numbers in bandwidth_hz: {error}") from error


def read_pieces(folder: Path, kind: str) -> list[Recording]:
    """Voices in pieces too short to crop: each subfolder is one recording, its files one after another."""
    groups: dict[Path, list[Path]] = {}
    for path in audio_files(_folder(folder, f"a folder of {kind}")):
        groups.setdefault(path.parent, []).append(path)
    if not groups:
        raise DataSetError(f"{folder} holds no audio file")
    limit = BANDWIDTH_HZ.get(kind, FULL_BAND)
    return [
        Recording(kind, _below(folder, parent), (Stem(kind, "vocals", tuple(paths), limit, joined=True),))
        for parent, paths in sorted(groups.items())
    ]


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path != folder else folder.name


def read_estimated(folder: Path) -> list[Recording]:
    """Songs as another separator heard them: SONG.v.* the vocals, SONG.a.*, if there, the accompaniment."""
    files = {path.stem: path for path in audio_files(_folder(folder, "a folder of estimates (SONG.v.opus)"))}
    songs = {name.removesuffix(".v") for name in files if name.endswith(".v")}
    if not songs:
        raise DataSetError(f"{folder} holds no file named SONG.v.*")
    limit = BANDWIDTH_HZ["estimated"]
    recordings = []
    for song in sorted(songs.difference(UNHEARD)):
        stems = [Stem("vocals", "vocals", (files[f"{song}.v"],), limit)]
        if f"{song}.a" in files:
            stems.append(Stem("accompaniment", "accompaniment", (files[f"{song}.a"],)))
        recordings.append(Recording("estimated", song, tuple(stems)))
    return recordings

"""Songs to be measured on: the validation songs of a cache, or any folder of songs with their true stems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from diffvs.data.audio import AUDIO_SUFFIXES, Audio, AudioError
from diffvs.data.augment import db
from diffvs.data.cache import Cache
from diffvs.data.decode import decode_recording
from diffvs.data.readers import Recording, Stem
from diffvs.data.validation import ValidationSong, validation_songs

Notify = Callable[[str], None]


class SongsError(ValueError):
    """A folder holds no songs that could be measured on; the message says what was looked for."""


def count_songs(data: Path) -> int:
    """How many songs `open_songs` will give at each level. Raises SongsError when there is none."""
    if _is_cache(data):
        found = len({(entry.kind, entry.song) for entry in Cache(data).entries("valid")})
    else:
        found = len(_song_folders(data))
    if not found:
        raise SongsError(
            f"{data} holds no song to measure on: give a cache with validation songs, or a folder of songs, "
            "each a folder with vocals.wav and accompaniment.wav (or bass, drums, other; any format)"
        )
    return found


def open_songs(
    data: Path, raised_db: tuple[float, ...], seconds: float | None = None, notify: Notify = lambda text: None
) -> Iterator[ValidationSong]:
    """Every song at every level of its vocals; of each the `seconds` in its middle (None: all of it).

    mixture = vocals + accompaniment exactly; a file of the mixture is not read. A folder that holds nothing
    but accompaniment.* is instrumental: its vocals are silence, and it comes once, at its own level.
    """
    if _is_cache(data):
        songs = validation_songs(Cache(data), raised_db)
    else:
        songs = _from_folders(_song_folders(data), raised_db, notify)
    for song in songs:
        yield _middle(song, seconds)


def _is_cache(data: Path) -> bool:
    return any((data / "valid").glob("*/*.json"))


def _song_folders(data: Path) -> list[Path]:
    if not data.is_dir():
        raise SongsError(f"{data} is no folder")
    if _stem_files(data):
        return [data]
    return sorted(folder for folder in data.iterdir() if folder.is_dir() and _stem_files(folder))


def _stem_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _from_folders(
    folders: list[Path], raised_db: tuple[float, ...], notify: Notify
) -> Iterator[ValidationSong]:
    for folder in folders:
        parts = _read(folder, notify)
        instrumental = not parts["vocals"].any()
        for raised in raised_db[:1] if instrumental else raised_db:
            vocals = parts["vocals"] * db(raised)
            mixture = vocals + parts["accompaniment"]
            yield ValidationSong(folder.name, raised, mixture, vocals, parts["accompaniment"])


def _read(folder: Path, notify: Notify) -> dict[str, Audio]:
    """Vocals and the sum of everything else, (2, samples) each."""
    files = {path.stem.lower(): path for path in _stem_files(folder)}
    files.pop("mixture", None)
    if "vocals" not in files and set(files) != {"accompaniment"}:
        raise SongsError(
            f"{folder} has no vocals file: needed are vocals.* and the other stems, or accompaniment.* alone "
            f"for an instrumental; found {', '.join(sorted(files)) or 'only a mixture'}"
        )
    if set(files) == {"vocals"}:
        raise SongsError(
            f"{folder} has vocals but nothing beside them: accompaniment.* or its stems are needed"
        )
    stems = tuple(
        Stem(name, "vocals" if name == "vocals" else "accompaniment", (path,)) for name, path in files.items()
    )
    try:
        decoded, notices = decode_recording(Recording("folder", folder.name, stems, "valid"))
    except AudioError as error:
        raise SongsError(str(error)) from error
    for notice in notices:
        notify(notice)
    silence = np.zeros_like(decoded["accompaniment"]) if "vocals" not in decoded else None
    vocals = decoded.pop("vocals") if silence is None else silence
    accompaniment = np.sum(list(decoded.values()), axis=0, dtype=np.float32)
    return {
        "vocals": np.ascontiguousarray(vocals.T),
        "accompaniment": np.ascontiguousarray(accompaniment.T),
    }


def _middle(song: ValidationSong, seconds: float | None) -> ValidationSong:
    samples = song.mixture.shape[1]
    wanted = samples if seconds is None else min(samples, round(seconds * 44_100))
    start = (samples - wanted) // 2
    cut = {
        name: getattr(song, name)[:, start : start + wanted]
        for name in ("mixture", "vocals", "accompaniment")
    }
    return song._replace(**cut)

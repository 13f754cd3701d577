"""The songs a model is measured on: whole, at their own level and with the vocals raised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from diffvs.data.audio import Audio
from diffvs.data.augment import db
from diffvs.data.cache import Cache

RAISED_DB = (0.0, 8.0)


class ValidationSong(NamedTuple):
    """A whole song, each array (2, samples) float32; mixture = vocals + accompaniment exactly."""

    name: str
    raised_db: float
    mixture: Audio
    vocals: Audio
    accompaniment: Audio


def validation_songs(cache: Cache, raised_db: tuple[float, ...] = RAISED_DB) -> Iterator[ValidationSong]:
    """Every song of the split `valid`, once for each level by which its vocals are raised.

    Raises ValueError when the cache holds no validation song with vocals and accompaniment.
    """
    songs = defaultdict(list)
    for entry in cache.entries("valid"):
        songs[entry.kind, entry.song].append(entry)
    whole = [
        stems for stems in songs.values() if {stem.role for stem in stems} == {"vocals", "accompaniment"}
    ]
    if not whole:
        raise ValueError(f"{cache.root} holds no validation song; prepare it with --source eif=FOLDER")
    for stems in whole:
        samples = min(stem.samples for stem in stems)
        parts = {role: np.zeros((2, samples), np.float32) for role in ("vocals", "accompaniment")}
        for stem in stems:
            parts[stem.role] += cache.read("valid", stem, 0, samples)
        for raised in raised_db:
            vocals = parts["vocals"] * db(raised)
            mixture = vocals + parts["accompaniment"]
            yield ValidationSong(stems[0].song, raised, mixture, vocals, parts["accompaniment"])

"""What a cache offers for training: which recordings, which moments of them, how often each is drawn."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from diffvs.data.augment import Rng
from diffvs.data.cache import LEVEL_BLOCK, Cache, Entry

QUIETEST_DB = -60  # below, nothing sounds
RANGE_DB = 30  # under the loud passages of a recording, what still counts as sounding
STEMMED = frozenset({"eif", "musdb", "moises"})  # kinds whose accompaniment is in stems: these are remixed
SOUNDING = 0.5  # share of a crop that must sound


def start_blocks(entry: Entry, samples: int) -> npt.NDArray[np.int64]:
    """Blocks of LEVEL_BLOCK at which a crop may start so that at least SOUNDING of it sounds."""
    levels = np.asarray(entry.levels_db)
    threshold = max(QUIETEST_DB, int(np.percentile(levels, 95)) - RANGE_DB)
    width = max(1, min(samples // LEVEL_BLOCK, len(levels)))
    sums = np.concatenate([[0], np.cumsum(levels > threshold)])
    return np.flatnonzero(sums[width:] - sums[:-width] >= SOUNDING * width)


class Library:
    """The training split of a cache, indexed when opened. Raises ValueError without any voice or music."""

    def __init__(
        self, cache: Cache, samples: int, voice_weights: dict[str, float], music_weights: dict[str, float]
    ) -> None:
        self.cache, self.samples = cache, samples
        entries = cache.entries("train")
        self.starts = {self._key(entry): start_blocks(entry, samples) for entry in entries}
        entries = [entry for entry in entries if len(self.starts[self._key(entry)])]
        self._voices = _by_kind([entry for entry in entries if entry.role == "vocals"], voice_weights)
        recorded = [entry for entry in entries if entry.role == "accompaniment"]
        self._music = _by_kind(recorded, music_weights)
        for role, found, weights in (
            ("vocals", self._voices, voice_weights),
            ("accompaniment", self._music, music_weights),
        ):
            if not found:
                raise ValueError(
                    f"{cache.root} holds no {role} of the kinds {', '.join(weights)}; prepare the cache"
                )
        self._voice_kinds, self._music_kinds = (
            _shares(self._voices, voice_weights),
            _shares(self._music, music_weights),
        )
        self._drums = [entry for entry in recorded if entry.kind in STEMMED and entry.stem == "drums"]
        self.songs = self._find_songs(entries, voice_weights)
        self._leaders = _by_kind([leader for leader, _ in self.songs.values()], voice_weights)
        self._leader_kinds = _shares(self._leaders, voice_weights)

    @staticmethod
    def _key(entry: Entry) -> tuple[str, str]:
        return entry.kind, entry.name

    def _find_songs(
        self, entries: list[Entry], weights: dict[str, float]
    ) -> dict[tuple[str, str], tuple[Entry, list[Entry]]]:
        """(a vocals stem, all stems) of each song that has vocals and accompaniment; once per vocals stem."""
        songs = defaultdict(list)
        for entry in entries:
            if entry.variant == 0 and weights.get(entry.kind, 0) > 0:
                songs[entry.kind, entry.song].append(entry)
        return {
            self._key(leader): (leader, stems)
            for stems in songs.values()
            if {entry.role for entry in stems} == {"vocals", "accompaniment"}
            for leader in stems
            if leader.role == "vocals"
        }

    def voice(self, rng: Rng, variant_share: float) -> Entry:
        """A vocals stem: a kind by its weight, recording or processed copy, then by how much it sings."""
        found = self._voices[_pick(rng, *self._voice_kinds)]
        varied = rng.random() < variant_share
        return self._weighted(rng, [entry for entry in found if (entry.variant > 0) == varied] or found)

    def music(self, rng: Rng) -> list[Entry]:
        """Accompaniment: a whole recording, or of a data set with stems one of each, songs mixed freely."""
        kind = _pick(rng, *self._music_kinds)
        stems = defaultdict(list)
        for entry in self._music[kind]:
            stems[entry.stem if entry.kind in STEMMED else ""].append(entry)
        chosen = [self._weighted(rng, group) for group in stems.values() if rng.random() < 0.8]
        return chosen or [self._weighted(rng, self._music[kind])]

    def drums(self, rng: Rng) -> list[Entry]:
        """The drums of one song; none where no data set has them apart."""
        return [self._weighted(rng, self._drums)] if self._drums else []

    def song(self, rng: Rng) -> tuple[Entry, list[Entry]]:
        """A vocals stem and all stems of its song: a kind by its weight, then by how much the stem sings."""
        return self.songs[self._key(self._weighted(rng, self._leaders[_pick(rng, *self._leader_kinds)]))]

    def start(self, rng: Rng, entry: Entry) -> int:
        """A random sample at which to start a crop; negative where the recording is shorter than the crop."""
        blocks = self.starts[self._key(entry)]
        # Half a block either way: any sample may begin a crop, and what was found to sound stays inside.
        jitter = int(rng.integers(-LEVEL_BLOCK // 2, LEVEL_BLOCK // 2))
        start = int(blocks[rng.integers(len(blocks))]) * LEVEL_BLOCK + jitter
        spare = entry.samples - self.samples
        return int(rng.integers(spare, 1)) if spare < 0 else min(max(start, 0), spare)

    def _weighted(self, rng: Rng, entries: list[Entry]) -> Entry:
        weights = np.array([len(self.starts[self._key(entry)]) for entry in entries], dtype=np.float64)
        return entries[int(rng.choice(len(entries), p=weights / weights.sum()))]


def _by_kind(entries: list[Entry], weights: dict[str, float]) -> dict[str, list[Entry]]:
    kinds = defaultdict(list)
    for entry in entries:
        if weights.get(entry.kind, 0) > 0:
            kinds[entry.kind].append(entry)
    return dict(kinds)


def _shares(kinds: dict[str, list[Entry]], weights: dict[str, float]) -> tuple[list[str], list[float]]:
    names = sorted(kinds)
    total = sum(weights[name] for name in names)
    return names, [weights[name] / total for name in names]


def _pick(rng: Rng, names: list[str], shares: list[float]) -> str:
    return names[int(rng.choice(len(names), p=shares))]

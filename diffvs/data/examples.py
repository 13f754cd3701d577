"""Training examples: a true multitrack, or a voice over music it was never recorded with.

Everything random comes from one generator seeded by (seed, index), so an example is a function of the two.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from diffvs.data.audio import SAMPLE_RATE, Audio
from diffvs.data.augment import BANK, TAIL, FilterBank, Rng, compress, db, place, resample_to, rms, soft_clip
from diffvs.data.cache import Cache, Entry
from diffvs.data.chops import chop
from diffvs.data.library import Library

logger = logging.getLogger(__name__)

FULL_BAND = SAMPLE_RATE / 2


@dataclass(frozen=True)
class Recipe:
    """How examples are made. Shares are probabilities, levels dB; kinds that a cache lacks are left out."""

    samples: int = 131_072
    real_share: float = 0.35  # whole songs, among the examples with vocals
    vocal_free_share: float = 0.25
    accompaniment_free_share: float = 0.05
    voice_weights: tuple[tuple[str, float], ...] = (
        ("eif", 0.45),
        ("estimated", 0.15),
        ("synth", 0.20),
        ("chant", 0.12),
        ("notes", 0.08),
        ("speech", 0.12),
        ("musdb", 1.0),
        ("moises", 1.0),
        ("vocals", 1.0),
    )
    music_weights: tuple[tuple[str, float], ...] = (
        ("corpus", 0.8),
        ("eif", 0.15),
        ("musdb", 1.0),
        ("moises", 1.0),
        ("accompaniment", 1.0),
    )
    raise_vocals_db: tuple[float, float] = (0.0, 14.0)  # of true multitracks
    raise_estimated_db: tuple[float, float] = (-6.0, 3.0)  # of songs as another separator heard them
    variant_share: float = 0.4  # processed copies, of the voices that have them
    second_voice: float = 0.15
    more_drums: float = 0.15  # the drums of a song with stems over other music
    second_music: float = 0.1
    chopped_music: float = 0.15  # a second piece, chopped: not all that is chopped is a voice
    voice_db: tuple[float, float] = (-20.0, 4.0)  # mean and deviation of the RMS level
    music_db: tuple[float, float] = (-20.0, 5.0)
    speed: tuple[float, float] = (0.84, 1.19)
    voice_speed: float = 0.7
    chop: float = 0.3
    music_speed: float = 0.3
    reverb: float = 0.4
    reverb_db: tuple[float, float] = (-18.0, -3.0)  # wet against dry
    equaliser: float = 0.6
    equaliser_db: float = 9.0
    place: float = 0.5
    widen: float = 0.25
    clip: float = 0.3
    compress: float = 0.25
    music_equaliser: float = 0.4
    song_equaliser: float = 0.4  # the same for vocals and accompaniment of a whole song
    swap_channels: float = 0.5
    flip_polarity: float = 0.5
    any_level: float = 0.2  # peak anywhere in any_level_db, otherwise level_db is added
    any_level_db: tuple[float, float] = (-30.0, 0.0)
    level_db: tuple[float, float] = (-9.0, 3.0)


class Example(NamedTuple):
    """mixture = vocals + accompaniment exactly, (2, samples) each; vocals are unknown above bandwidth_hz."""

    mixture: Audio
    vocals: Audio
    accompaniment: Audio
    bandwidth_hz: float


class ExampleMaker:
    """Makes example number `index` of a seed from the training split of a cache."""

    def __init__(self, cache: Cache, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.library = Library(cache, recipe.samples, dict(recipe.voice_weights), dict(recipe.music_weights))
        self.filters = FilterBank(recipe.samples)
        self.bad: set[str] = set()

    def make(self, index: int) -> Example:
        """Example `index`. An unreadable recording is named once and another one taken."""
        rng = np.random.default_rng((self.seed, index))
        for _ in range(20):
            example = self._try(rng)
            if example is not None:
                return example
        raise RuntimeError(f"example {index}: 20 recordings in a row could not be read; rebuild the cache")

    def _try(self, rng: Rng) -> Example | None:
        try:
            return self._draw(rng)
        except (OSError, ValueError) as error:
            if str(error) not in self.bad:
                logger.warning("%s; another recording is taken", error)
                self.bad.add(str(error))
            return None

    def _draw(self, rng: Rng) -> Example:
        recipe, silence = self.recipe, np.zeros((2, self.recipe.samples), dtype=np.float32)
        bandwidth_hz = FULL_BAND
        what = rng.random()
        if what < recipe.vocal_free_share:
            vocals, accompaniment = silence, self._music(rng)
        elif what < recipe.vocal_free_share + recipe.accompaniment_free_share:
            (vocals, bandwidth_hz), accompaniment = self._voices(rng), silence
        elif self.library.songs and rng.random() < recipe.real_share:
            vocals, accompaniment, bandwidth_hz = self._song(rng)
        else:
            (vocals, bandwidth_hz), accompaniment = self._voices(rng), self._music(rng)
        vocals, accompaniment = self._level(rng, vocals, accompaniment)
        return Example(vocals + accompaniment, vocals, accompaniment, bandwidth_hz)

    def _read(self, rng: Rng, entry: Entry, chance: float, before: int = 0) -> tuple[Audio, float]:
        """A crop with `before` samples of past, (2, before + samples), at a random speed; and the speed."""
        start = self.library.start(rng, entry)
        speed = self._speed(rng, chance)
        length = before + self.recipe.samples
        read = round(length * speed)
        crop = self.library.cache.read("train", entry, start - round(before * speed), read)
        return resample_to(crop, length), speed

    def _speed(self, rng: Rng, chance: float) -> float:
        low, high = np.log(self.recipe.speed)
        return float(np.exp(rng.uniform(low, high))) if rng.random() < chance else 1.0

    def _voices(self, rng: Rng) -> tuple[Audio, float]:
        vocals, bandwidth_hz = self._voice(rng)
        if rng.random() < self.recipe.second_voice:
            second, limit = self._voice(rng)
            vocals = vocals + second * db(rng.uniform(-12, 0))
            bandwidth_hz = min(bandwidth_hz, limit)
        return vocals, bandwidth_hz

    def _voice(self, rng: Rng) -> tuple[Audio, float]:
        """One processed voice (2, samples) at its level, and the limit of its band."""
        recipe, filters = self.recipe, self.filters
        entry = self.library.voice(rng, self.recipe.variant_share)
        vocals, speed = self._read(rng, entry, recipe.voice_speed, TAIL)
        if rng.random() < recipe.chop:
            vocals, slowest = chop(rng, vocals)
            speed *= slowest
        response = np.ones((2, 1), dtype=np.complex64)
        if rng.random() < recipe.equaliser:
            response = response * filters.equaliser(rng, recipe.equaliser_db)
        if rng.random() < recipe.widen:
            response = response * filters.widening(int(rng.integers(BANK)))
        if rng.random() < recipe.reverb:
            room = filters.room(int(rng.integers(BANK)))
            response = response * (1 + db(rng.uniform(*recipe.reverb_db)) * room)
        if response.shape[1] > 1:
            vocals = filters.apply(vocals, response)
        if rng.random() < recipe.place:
            vocals = place(rng, vocals, 0.0008 if rng.random() < 0.7 else 0.02)
        else:
            vocals = vocals[:, TAIL:]
        vocals = self._shape(rng, vocals)
        level = float(rng.normal(*recipe.voice_db))
        return self._to_level(vocals, level), min(FULL_BAND, entry.bandwidth_hz * speed)

    def _shape(self, rng: Rng, samples: Audio) -> Audio:
        if rng.random() < self.recipe.compress:
            samples = compress(samples, float(rng.uniform(1.5, 6)))
        if rng.random() < self.recipe.clip:
            samples = soft_clip(samples, float(rng.uniform(-6, 9)))
        return samples

    @staticmethod
    def _to_level(samples: Audio, level_db: float) -> Audio:
        """Scale to an RMS level; silence stays silence rather than becoming noise."""
        level = rms(samples)
        return samples * (db(level_db) / np.float32(level)) if level > 1e-5 else samples

    def _music(self, rng: Rng) -> Audio:
        """Accompaniment (2, samples) at its level: one recording or more, or stems of several songs."""
        recipe = self.recipe
        music = np.zeros((2, recipe.samples), dtype=np.float32)
        before = TAIL if rng.random() < recipe.music_equaliser else 0
        stems, chopped = self.library.music(rng), list[Entry]()
        more = rng.random()
        if more < recipe.more_drums:
            stems = stems + self.library.drums(rng)
        elif more < recipe.more_drums + recipe.second_music:
            stems = stems + self.library.music(rng)
        elif more < recipe.more_drums + recipe.second_music + recipe.chopped_music:
            chopped = self.library.music(rng)
        crops = [self._read(rng, entry, recipe.music_speed, before)[0] for entry in stems]
        crops += [chop(rng, self._read(rng, entry, recipe.music_speed, before)[0])[0] for entry in chopped]
        for crop in crops:
            if before:
                crop = self.filters.apply(crop, self.filters.equaliser(rng, recipe.equaliser_db))[:, before:]
            music += crop if len(crops) == 1 else self._to_level(crop, float(rng.uniform(-6, 0)))
        if rng.random() < recipe.compress / 2:
            music = compress(music, float(rng.uniform(1.5, 4)))
        return self._to_level(music, float(rng.normal(*recipe.music_db)))

    def _song(self, rng: Rng) -> tuple[Audio, Audio, float]:
        """The same moment of all stems of a song at their own levels, but the vocals a little louder, all
        equalised alike."""
        recipe = self.recipe
        leader, stems = self.library.song(rng)
        start, speed = self.library.start(rng, leader), self._speed(rng, recipe.music_speed)
        read, first = round((TAIL + recipe.samples) * speed), start - round(TAIL * speed)
        parts = {"vocals": np.zeros((2, read), np.float32), "accompaniment": np.zeros((2, read), np.float32)}
        for entry in stems:
            parts[entry.role] += self.library.cache.read("train", entry, first, read)
        pair = [resample_to(part, TAIL + recipe.samples) for part in parts.values()]
        if rng.random() < recipe.song_equaliser:
            response = self.filters.equaliser(rng, recipe.equaliser_db)
            pair = [self.filters.apply(part, response) for part in pair]
        vocals, accompaniment = (part[:, TAIL:] for part in pair)
        estimated = leader.kind == "estimated"
        louder = db(rng.uniform(*(recipe.raise_estimated_db if estimated else recipe.raise_vocals_db)))
        limit = min(entry.bandwidth_hz for entry in stems if entry.role == "vocals")
        return vocals * louder, accompaniment, min(FULL_BAND, limit * speed)

    def _level(self, rng: Rng, vocals: Audio, accompaniment: Audio) -> tuple[Audio, Audio]:
        """Polarity of the vocals, channels and overall level of both; the mixture peaks at 1 at most."""
        recipe = self.recipe
        if rng.random() < recipe.flip_polarity:
            vocals = -vocals
        if rng.random() < recipe.swap_channels:
            vocals, accompaniment = vocals[::-1], accompaniment[::-1]
        peak = float(np.abs(vocals + accompaniment).max()) + 1e-9
        if rng.random() < recipe.any_level:
            gain = float(db(rng.uniform(*recipe.any_level_db))) / max(peak, 1e-3)
        else:
            gain = min(float(db(rng.uniform(*recipe.level_db))), 1 / peak)
        return (
            np.ascontiguousarray(vocals, dtype=np.float32) * np.float32(gain),
            np.ascontiguousarray(accompaniment, dtype=np.float32) * np.float32(gain),
        )

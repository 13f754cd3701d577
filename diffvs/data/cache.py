"""Decoded audio on disk: one int16 file a stem, memory-mapped, and one small JSON beside it.

Layout: ROOT/SPLIT/KIND/ID.npy holds (samples, 2) int16, ROOT/SPLIT/KIND/ID.json an `Entry`. The JSON is
renamed into place last, so an entry is complete or absent; a build that was interrupted goes on where it
stopped, and several builds may add to one cache while a reader has it open.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from diffvs.data.audio import SAMPLE_RATE, SILENCE_PEAK, Audio, AudioError

SCHEMA = 1
LEVEL_BLOCK = SAMPLE_RATE // 4  # samples a value of `levels_db` speaks for
FLOOR_DB = -90

Split = Literal["train", "valid"]
Role = Literal["vocals", "accompaniment"]

# Songs that measure a model may never teach it, however their files were renamed on the way.
HELD_OUT = re.compile(r"caesium|musdb.*[/\\]test[/\\]", re.IGNORECASE)


class HeldOutError(ValueError):
    """A validation or test song was offered for training."""


@dataclass(frozen=True)
class Entry:
    """What is known about one cached stem. Levels and samples refer to the decoded audio at 44.1 kHz."""

    kind: str  # the collection: eif, chant, synth, debian, musdb, ...
    name: str  # unique within its kind
    role: Role
    song: str  # stems with the same song are aligned
    stem: str
    source: str  # the file it was decoded from
    bandwidth_hz: float = SAMPLE_RATE / 2  # nothing but noise above
    variant: int = 0  # 0 is the recording itself; others are processed copies of it
    samples: int = 0
    scale: float = 1.0  # float value of a full-scale int16
    levels_db: list[int] = field(default_factory=list)  # RMS of each LEVEL_BLOCK, in dB of full scale
    schema: int = SCHEMA


def refuse_held_out(*names: str) -> None:
    """Raise HeldOutError for a name or path of the validation song or of the MUSDB18 test split."""
    for name in names:
        if HELD_OUT.search(name):
            raise HeldOutError(f"{name} is held out for validation or test and is never trained on")


def block_levels(samples: Audio) -> list[int]:
    """RMS of each LEVEL_BLOCK of (samples, 2) audio in whole dB, at least FLOOR_DB; a rest is a block too."""
    starts = np.arange(0, len(samples), LEVEL_BLOCK)
    energy = np.add.reduceat(np.square(samples, dtype=np.float64).sum(axis=1), starts)
    lengths = np.minimum(LEVEL_BLOCK, len(samples) - starts) * 2
    levels = 10 * np.log10(np.maximum(energy / lengths, 10 ** (FLOOR_DB / 10)))
    return [round(level) for level in levels.tolist()]


class Cache:
    """A cache folder. Reading and adding are safe from several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def base(self, split: Split, entry: Entry) -> Path:
        """Path of an entry without suffix: readable, short, and unique however strange the name is."""
        readable = re.sub(r"[^A-Za-z0-9.+-]+", "_", entry.name)[-60:]
        digest = hashlib.sha256(entry.name.encode()).hexdigest()[:8]
        return self.root / split / entry.kind / f"{readable}-{digest}"

    def has(self, split: Split, entry: Entry) -> bool:
        """Whether the entry is complete on disk, in this schema."""
        base = self.base(split, entry)
        return (base.parent / f"{base.name}.json").is_file() and (base.parent / f"{base.name}.npy").is_file()

    def add(self, split: Split, entry: Entry, samples: Audio) -> Entry:
        """Store (samples, 2) float audio and give the completed entry.

        Raises HeldOutError for a held-out song in the training split, AudioError for silence.
        """
        if split == "train":
            refuse_held_out(entry.song, entry.name, entry.source)
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < SILENCE_PEAK:
            raise AudioError(f"{entry.source} is silent (peak {peak:.1e})")
        stored = dataclasses.replace(
            entry, samples=len(samples), scale=peak, levels_db=block_levels(samples), schema=SCHEMA
        )
        base = self.base(split, entry)
        base.parent.mkdir(parents=True, exist_ok=True)
        # The process id keeps two builders of the same entry apart; the last rename wins, both are right.
        part = base.parent / f".{base.name}.{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                np.save(file, np.rint(samples * (32767 / peak)).astype(np.int16))
            part.replace(base.parent / f"{base.name}.npy")
            part.write_text(json.dumps(dataclasses.asdict(stored)), encoding="utf-8")
            part.replace(base.parent / f"{base.name}.json")
        finally:
            part.unlink(missing_ok=True)
        return stored

    def sweep(self) -> None:
        """Delete what builds that were killed more than an hour ago left half written."""
        for part in self.root.rglob(".*.part"):
            with contextlib.suppress(OSError):
                if part.stat().st_mtime < time.time() - 3600:
                    part.unlink()

    def entries(self, split: Split) -> list[Entry]:
        """All complete entries of a split, sorted by kind and name.

        Raises HeldOutError when the training split holds a song it must not, ValueError for another schema.
        """
        found = []
        for path in sorted((self.root / split).glob("*/*.json")):
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.get("schema") != SCHEMA:
                raise ValueError(
                    f"{path} has schema {values.get('schema')}, {SCHEMA} is needed; rebuild the cache"
                )
            entry = Entry(**values)
            if split == "train":
                refuse_held_out(entry.song, entry.name, entry.source)
            found.append(entry)
        return sorted(found, key=lambda entry: (entry.kind, entry.name))

    def read(self, split: Split, entry: Entry, start: int, samples: int) -> Audio:
        """Samples [start, start + samples) as (2, samples) float32; zeros outside the recording.

        The file is mapped for this call only: thousands of stems would exhaust the file descriptors.
        """
        base = self.base(split, entry)
        mapped: npt.NDArray[np.int16] = np.load(base.parent / f"{base.name}.npy", mmap_mode="r")
        out = np.zeros((2, samples), dtype=np.float32)
        first, last = max(start, 0), min(start + samples, len(mapped))
        if first < last:
            np.multiply(
                mapped[first:last].T,
                np.float32(entry.scale / 32767),
                out=out[:, first - start : last - start],
                dtype=np.float32,
            )
        return out

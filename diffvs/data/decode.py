"""One recording of a data set -> its stems in the cache, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffvs.data.audio import SAMPLE_RATE, Audio, AudioError, read_audio
from diffvs.data.cache import Cache, Entry, HeldOutError
from diffvs.data.readers import Recording, Stem

# Codecs pad: stems that differ by less are one length with a different tail.
LENGTH_TOLERANCE = SAMPLE_RATE // 10
NOTE_GAP = SAMPLE_RATE // 5


@dataclass
class Outcome:
    """What became of one recording."""

    song: str
    state: str  # added, there, failed
    notices: list[str] = field(default_factory=list)


def entry_of(recording: Recording, stem: Stem) -> Entry:
    """The cache entry of a stem, before it is decoded."""
    name = f"{recording.song}/{stem.stem}"
    source = stem.paths[0].parent if stem.joined else stem.paths[0]
    return Entry(recording.kind, name, stem.role, recording.song, stem.stem, str(source), stem.bandwidth_hz)


def decode_stem(stem: Stem) -> tuple[Audio, list[str]]:
    """The summed (or joined) files of a stem as (samples, 2), and notices. Raises AudioError."""
    parts: list[Audio] = []
    notices: list[str] = []
    for path in stem.paths:
        samples, said = read_audio(path)
        parts.append(samples)
        if not stem.joined or not notices:  # of hundreds of pieces the first speaks for all
            notices += said
    if stem.joined:
        gap = np.zeros((NOTE_GAP, 2), dtype=np.float32)
        return np.concatenate([piece for part in parts for piece in (part, gap)]), notices
    shortest = min(map(len, parts))
    return np.sum([part[:shortest] for part in parts], axis=0, dtype=np.float32), notices


def decode_recording(recording: Recording) -> tuple[dict[str, Audio], list[str]]:
    """All stems of a recording at one length. Raises AudioError for unreadable or unequal stems."""
    if not recording.stems:
        raise AudioError(
            f"{recording.kind} {recording.song} names no stems (unreadable or partial description)"
        )
    stems, notices = {}, []
    for stem in recording.stems:
        stems[stem.stem], said = decode_stem(stem)
        notices += said
    lengths = {name: len(samples) for name, samples in stems.items()}
    shortest, longest = min(lengths.values()), max(lengths.values())
    if longest - shortest > LENGTH_TOLERANCE:
        raise AudioError(f"{recording.kind} {recording.song}: stems of unequal length in samples: {lengths}")
    if longest != shortest:
        notices.append(f"{recording.song}: stems trimmed by {longest - shortest} samples to one length")
    return {name: samples[:shortest] for name, samples in stems.items()}, notices


def add_recording(root: Path, recording: Recording) -> Outcome:
    """Decode one recording into the cache, in a worker process; what is wrong with it is told, not raised."""
    cache = Cache(root)
    entries = {stem.stem: entry_of(recording, stem) for stem in recording.stems}
    if entries and all(cache.has(recording.split, entry) for entry in entries.values()):
        return Outcome(recording.song, "there")
    try:
        stems, notices = decode_recording(recording)
    except (AudioError, MemoryError) as error:
        return Outcome(recording.song, "failed", [str(error)])
    refusals = [add_stem(cache, recording, entries[name], samples) for name, samples in stems.items()]
    notices += [refusal for refusal in refusals if refusal]
    return Outcome(recording.song, "failed" if all(refusals) else "added", notices)


def add_stem(cache: Cache, recording: Recording, entry: Entry, samples: Audio) -> str:
    """Store one stem; gives why it was refused, or nothing."""
    try:
        cache.add(recording.split, entry, samples)
    except (AudioError, HeldOutError) as error:
        return str(error)
    return ""

"""Which songs there are to separate, and the files that their stems go to: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from diffvs.data.audio import Audio, AudioError, audio_files

STEMS = ("vocals", "accompaniment")
# 32-bit floats keep what is louder than full scale; FLAC has 24 bits at most.
SUBTYPES = {"wav": "FLOAT", "flac": "PCM_24"}


@dataclass(frozen=True)
class Job:
    """One song, and the files that will hold its STEMS."""

    song: Path
    outputs: tuple[Path, ...]

    def made_by(self) -> set[str | None]:
        """What the outputs say about the model and settings that made them; None for one that is missing.

        Each output appears whole or not at all, so being there is being finished.
        """
        return {comment(path) if path.is_file() else None for path in self.outputs}


def comment(path: Path) -> str:
    """The comment in an audio file, where diffvs.separate notes what made it."""
    try:
        with sf.SoundFile(path) as file:
            return str(file.comment)
    except (sf.LibsndfileError, RuntimeError, OSError):
        return "unreadable"


def is_made(path: Path) -> bool:
    """Whether a file is one of our stems: where songs and stems share a folder, stems are no songs."""
    return path.stem.endswith(tuple(f"({stem})" for stem in STEMS)) and comment(path).startswith("diffvs ")


def plan(inputs: Sequence[Path], out: Path, suffix: str) -> list[Job]:
    """One job per song; the songs of a folder keep their places under it. AudioError says what is wrong."""
    jobs: dict[Path, Job] = {}
    for given in inputs:
        if given.is_dir():
            songs = [song for song in audio_files(given) if not is_made(song)]
            if not songs:
                raise AudioError(f"{given} holds no audio file")
        elif given.is_file():
            songs = [given]
        else:
            raise AudioError(f"{given} does not exist")
        for song in songs:
            place = out / (song.relative_to(given).parent if given.is_dir() else "")
            job = Job(song, tuple(place / f"{song.stem} ({stem}).{suffix}" for stem in STEMS))
            other = jobs.setdefault(job.outputs[0], job).song
            if other.resolve() != song.resolve():
                raise AudioError(
                    f"{other} and {song} would both become {job.outputs[0]}; separate them into two folders"
                )
    return list(jobs.values())


def read_song(path: Path) -> tuple[Audio, int]:
    """(samples, 1 or 2) float32 and the sample rate. Raises AudioError in one sentence."""
    try:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, RuntimeError, OSError) as error:
        raise AudioError(f"{path} cannot be decoded: {error}") from error
    if not len(samples):
        raise AudioError(f"{path} holds no samples")
    if samples.shape[1] > 2:
        raise AudioError(f"{path} has {samples.shape[1]} channels; mono or stereo is needed")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} holds values that are not finite")
    return samples, int(rate)


def write_song(job: Job, parts: Sequence[Audio], rate: int, note: str) -> list[str]:
    """Write STEMS with a note of what made them, each whole or not at all; gives notices."""
    notices = []
    for path, samples in zip(job.outputs, parts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        kind, part = path.suffix[1:], path.with_name(f".{path.name}.part")
        peak = float(np.abs(samples).max())
        if kind != "wav" and peak > 1:
            notices.append(f"{path.name} passes full scale ({peak:.2f}) and is clipped; WAV would keep it")
        try:
            with sf.SoundFile(part, "w", rate, samples.shape[1], SUBTYPES[kind], format=kind.upper()) as file:
                file.comment = note
                file.write(samples)
            os.replace(part, path)
        # soundfile asserts that all was written, which a full disk makes untrue.
        except (sf.LibsndfileError, RuntimeError, OSError, AssertionError) as error:
            raise AudioError(f"{path} cannot be written: {error or 'the disk may be full'}") from error
        finally:
            part.unlink(missing_ok=True)
    return notices


def to_do(jobs: Sequence[Job], note: str, replace: bool) -> list[Job]:
    """The songs whose files are not there yet, or were made otherwise and are to be replaced.

    Raises ValueError when files made otherwise are in the way.
    """
    waiting = [job for job in jobs if job.made_by() != {note}]
    others = [job for job in waiting if job.made_by() - {note, None}]
    if others and not replace:
        raise ValueError(
            f"{len(others)} of {len(jobs)} songs are there already but made by another checkpoint, with "
            f"other settings or by another program, as {others[0].outputs[0]}: give another --out, "
            "or --replace"
        )
    return waiting

"""Any audio file -> float32 stereo at 44.1 kHz, or one clear sentence why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

SAMPLE_RATE = 44_100
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"})
# 60 dB under full scale: quieter than any stem that plays, louder than dither and codec noise.
SILENCE_PEAK = 1e-3

Audio = npt.NDArray[np.float32]


class AudioError(ValueError):
    """A file that cannot be used; the message names it and says why."""


def read_audio(path: Path) -> tuple[Audio, list[str]]:
    """Decode a file to (samples, 2) float32 at 44.1 kHz; mono becomes two equal channels. Also gives notices.

    Raises AudioError when the file is missing, unreadable, empty, not finite or has more than two channels.
    Silence is no error here: a stem may pause for a whole song, and its song decides what that means.
    """
    if not path.is_file():
        raise AudioError(f"{path} does not exist")
    try:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, RuntimeError, OSError) as error:
        raise AudioError(f"{path} cannot be decoded: {error}") from error
    if samples.shape[0] == 0:
        raise AudioError(f"{path} holds no samples")
    if samples.shape[1] > 2:
        raise AudioError(f"{path} has {samples.shape[1]} channels; mono or stereo is needed")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} holds values that are not finite")
    notices = []
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
        notices.append(f"{path.name}: resampled from {rate} to {SAMPLE_RATE} Hz")
    if samples.shape[1] == 1:
        samples = np.repeat(samples, 2, axis=1)
    return np.ascontiguousarray(samples, dtype=np.float32), notices


def audio_files(folder: Path) -> list[Path]:
    """Every audio file under a folder, sorted, hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )

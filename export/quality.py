"""What a model costs and what it is worth: size, time and SDR on validation audio."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from export.convert import ExportError
from stream.audio.audio_file import AudioReader
from stream.demo import load_song, sdr
from stream.separation.model import OnnxModel
from stream.separation.proof import run_stream

Audio = NDArray[np.float32]  # (samples, 2)

VALIDATION_S = 20.0
# Vocals SDR that a precision may lose against fp32, in dB. fp32 itself only sums in another order.
LOSS_DB = {"fp32": 0.01, "fp16": 0.05, "int8": 0.2}


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One row of the table that an export prints."""

    precision: str
    megabytes: float
    rtf: float  # on one thread of this machine, in pieces of 4 hops
    sdr_db: float  # of the vocals


def measure(path: Path, mixture: Audio, vocals: Audio) -> Quality:
    """Runs an exported model over validation audio at its rate."""
    model = OnnxModel(path, provider="cpu")
    began_s = time.process_time()
    estimate = run_stream(model, mixture, model.spec.steps)
    spent_s = time.process_time() - began_s
    return Quality(
        precision=model.spec.precision,
        megabytes=path.stat().st_size / 1e6,
        rtf=spent_s * model.spec.sample_rate / len(mixture),
        sdr_db=sdr(estimate, vocals),
    )


def check(row: Quality, full: Quality) -> None:
    """Raises ExportError when a precision costs more SDR than it may."""
    loss_db = full.sdr_db - row.sdr_db
    allowed_db = LOSS_DB[row.precision]
    if not loss_db <= allowed_db:
        raise ExportError(
            f"{row.precision} costs {loss_db:.2f} dB of vocals SDR and may cost {allowed_db:g} dB: "
            "it was not written"
        )


def table(rows: list[Quality]) -> str:
    """Readable columns; the loss is against the first row."""
    lines = ["precision    size MB    real time    vocals SDR      loss"]
    lines += [
        f"{row.precision:<10}{row.megabytes:>10.1f}{row.rtf:>13.3f}{row.sdr_db:>11.2f} dB"
        f"{rows[0].sdr_db - row.sdr_db:>7.2f} dB"
        for row in rows
    ]
    return "\n".join(lines)


def validation_audio(sample_rate: int, files: tuple[Path, Path] | None) -> tuple[Audio, Audio]:
    """Mixture and vocals, from two files or from the bundled song. Raises AudioFileError."""
    pair = (read(files[0], sample_rate), read(files[1], sample_rate)) if files else load_song(sample_rate)
    length = min(*map(len, pair), round(VALIDATION_S * sample_rate))
    return pair[0][:length], pair[1][:length]


def read(path: Path, sample_rate: int) -> Audio:
    """A file as stereo at a rate. Raises AudioFileError."""
    with AudioReader(path) as reader:
        audio = np.concatenate([block.copy() for block in reader.blocks(65_536)])
        resampled: Audio = soxr.resample(audio, reader.sample_rate, sample_rate)
    if resampled.shape[1] == 1:
        resampled = np.repeat(resampled, 2, axis=1)
    if resampled.shape[1] != 2:
        raise ExportError(f"{path} has {resampled.shape[1]} channels: give mono or stereo")
    return resampled

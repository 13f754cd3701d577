"""How good a denoiser is while it learns: SDR of validation songs, excerpts to hear, pictures to see."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure

from diffvs.data.audio import Audio
from diffvs.edm import Denoiser
from diffvs.evaluation import spectrogram
from diffvs.evaluation.metrics import ratio_db
from diffvs.evaluation.songs import open_songs
from diffvs.sampling import default_sigmas, separate


class Score(NamedTuple):
    """SDR in dB of one song, separated with so many Heun steps (1 step is the first evaluation alone)."""

    song: str
    steps: int
    vocals_sdr: float
    accompaniment_sdr: float


@dataclass(frozen=True)
class SongValidator:
    """Scores a denoiser on the validation songs of a cache, and writes what it hears into `examples`.

    `steps` are the numbers of Heun steps to try, `seconds` how much of the middle of each song (None: all of
    it), `example_seconds` the length of the excerpts.
    """

    cache: Path
    steps: tuple[int, ...]
    seconds: float | None = None
    example_seconds: float = 12.0

    def __call__(self, denoiser: Denoiser, examples: Path, check: Callable[[], None]) -> list[Score]:
        """Scores by song and steps; `check` is called often and may raise to break off."""
        scores = []
        device, rate = next(denoiser.parameters()).device, denoiser.config.spectrum.sample_rate
        for song in open_songs(self.cache, (0.0,), self.seconds):
            parts = {name: getattr(song, name) for name in PARTS}
            mixture = torch.from_numpy(parts["mixture"]).to(device)
            for steps in self.steps:
                sigmas = default_sigmas(denoiser, steps)
                vocals = separate(denoiser, mixture, sigmas, lambda _: check()).cpu().numpy()
                scores.append(score(song.name, steps, parts, vocals))
                if steps == denoiser.config.edm.steps and self.example_seconds:
                    write_examples(examples, song.name, parts, vocals, self.example_seconds, rate)
        return scores


PARTS = ("mixture", "vocals", "accompaniment")


def middle(samples: Audio, seconds: float, rate: int) -> Audio:
    """The middle of (2, samples): as many seconds as are asked for, or all there are."""
    length = samples.shape[1]
    wanted = min(length, round(seconds * rate))
    start = (length - wanted) // 2
    return samples[:, start : start + wanted]


def score(name: str, steps: int, parts: dict[str, Audio], vocals: Audio) -> Score:
    """SDR of the vocals, and of the accompaniment, which is always mixture - vocals."""
    accompaniment = parts["mixture"] - vocals
    return Score(name, steps, sdr(vocals, parts["vocals"]), sdr(accompaniment, parts["accompaniment"]))


def sdr(estimate: Audio, reference: Audio) -> float:
    """Energy of the reference over that of the error, in dB; nan for a silent reference."""
    energy, error = (np.square(x, dtype=np.float64).sum() for x in (reference, reference - estimate))
    return float(ratio_db(energy, error))


def write_examples(
    folder: Path, name: str, parts: dict[str, Audio], vocals: Audio, seconds: float, rate: int
) -> None:
    """Excerpts as FLAC and a picture; mixture and true vocals, once for all, in the folder above."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9.+-]+", "_", name)
    excerpts = {
        "mixture": parts["mixture"],
        "vocals-true": parts["vocals"],
        "vocals": vocals,
        "accompaniment": parts["mixture"] - vocals,
    }
    excerpts = {part: middle(samples, seconds, rate) for part, samples in excerpts.items()}
    for part, samples in excerpts.items():
        always_the_same = part in ("mixture", "vocals-true")
        path = (folder.parent if always_the_same else folder) / f"{name}.{part}.flac"
        if always_the_same and path.is_file():
            continue
        # FLAC clips at full scale; a mixture of raised vocals may pass it.
        loudest = max(1.0, float(np.abs(samples).max(initial=0.0)))
        part_file = path.with_name(path.name + ".part")
        soundfile.write(part_file, samples.T / loudest, rate, format="FLAC")
        part_file.replace(path)
    picture(excerpts, rate).savefig(folder / f"{name}.png", dpi=80)


def picture(excerpts: dict[str, Audio], rate: int) -> Figure:
    """Spectrograms under each other, in dB of full scale, of (2, samples) each."""
    figure = Figure(figsize=(12, 2.4 * len(excerpts)), layout="constrained")
    rows = figure.subplots(len(excerpts), sharex=True, squeeze=False)[:, 0]
    for axes, (name, samples) in zip(rows, excerpts.items(), strict=True):
        image = spectrogram.draw(axes, samples, rate)
        axes.set(title=name, ylabel="kHz")
    rows[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(rows), label="dB")
    return figure

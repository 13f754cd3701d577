"""python -m diffvs.failures: where a model fails, in numbers and pictures."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from diffvs import checkpoint
from diffvs.data.audio import SAMPLE_RATE, Audio, audio_files, read_audio
from diffvs.device import positive_number
from diffvs.edm import Denoiser, karras_sigmas
from diffvs.evaluation import report, spectrogram
from diffvs.evaluation.hardships import HARDSHIPS, Hardship, spoken
from diffvs.evaluation.metrics import score
from diffvs.evaluation.songs import open_songs
from diffvs.machine import provenance
from diffvs.sampling import separate

BEGIN, END = "<!-- begin failures -->", "<!-- end failures -->"
HEADINGS = ("the song", "mixture SDR", "vocals SDR", "gained", "MR-STFT", "put out without a voice (dB)")
SHOWN_S = 6.0  # of audio in a picture
PICTURES = 3


class Finding(NamedTuple):
    """What came of one hardship; of no voice only `leak_db` says something."""

    name: str
    mixture: Audio
    vocals: Audio
    estimate: Audio
    mixture_sdr: float
    sdr: float
    spectral: float
    leak_db: float  # energy of the estimate against the mixture

    def cells(self) -> tuple[str, ...]:
        """Under HEADINGS."""
        without_voice = math.isnan(self.sdr)
        gained = self.sdr - self.mixture_sdr
        numbers = (self.mixture_sdr, self.sdr, gained, self.spectral)
        shown = ["–" if without_voice else f"{value:.2f}" for value in numbers]
        return self.name, *shown, f"{self.leak_db:.1f}" if without_voice else "–"


def find(
    denoiser: Denoiser,
    vocals: Audio,
    accompaniment: Audio,
    hardships: Mapping[str, Hardship],
    console: Console,
) -> list[Finding]:
    """Every hardship through the model's own sampler."""
    edm = denoiser.config.edm
    sigmas = karras_sigmas(edm.steps, edm.sigma_min, edm.sigma_max, edm.rho)
    found = []
    for name, change in track(hardships.items(), "songs", console=console, transient=True):
        voice, music = change(vocals, accompaniment)
        mixture = torch.from_numpy(voice + music)
        estimate, reference = separate(denoiser, mixture, sigmas), torch.from_numpy(voice)
        nothing, something = (score(one, reference, mixture, SAMPLE_RATE) for one in (mixture, estimate))
        leak = 10 * math.log10(float(estimate.square().sum() / mixture.square().sum()) + 1e-12)
        found.append(
            Finding(
                name, mixture.numpy(), voice, estimate.numpy(),
                nothing.sdr, something.sdr, something.mr_stft, leak,
            )
        )  # fmt: skip
    return found


def read_speech(path: Path, seconds: float) -> Audio:
    """The first `seconds` (2, samples) of a file, or of all audio files under a folder one after another.

    Raises ValueError where there is none, and for a file that cannot be used.
    """
    pieces: list[Audio] = []
    for file in audio_files(path) if path.is_dir() else [path]:
        pieces.append(read_audio(file)[0])
        if sum(map(len, pieces)) >= seconds * SAMPLE_RATE:
            break
    if not pieces:
        raise ValueError(f"{path} holds no audio file; recorded speech is needed")
    return np.concatenate(pieces)[: round(seconds * SAMPLE_RATE)].T


def picture(findings: Sequence[Finding]) -> Figure:
    """Mixture, true vocals and estimate of the hardest songs, SHOWN_S of each where the error is largest."""
    figure = Figure(figsize=(13, 2.5 * len(findings)), layout="constrained")
    grid = figure.subplots(len(findings), 3, sharey=True, squeeze=False)
    for row, finding in zip(grid, findings, strict=True):
        start = worst(finding)
        shown = slice(start, start + round(SHOWN_S * SAMPLE_RATE))
        parts = {"mixture": finding.mixture, "true vocals": finding.vocals, "what came out": finding.estimate}
        for axes, (title, samples) in zip(row, parts.items(), strict=True):
            image = spectrogram.draw(axes, samples[:, shown], SAMPLE_RATE)
            axes.set_title(title)
        row[0].set_ylabel(f"{finding.name}\nkHz")
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    figure.colorbar(image, ax=list(grid.flat), label="dB")
    return figure


def worst(finding: Finding) -> int:
    """First sample of the SHOWN_S with the largest error."""
    error = torch.from_numpy(finding.estimate - finding.vocals).square().sum(0).double().cumsum(0)
    length = min(round(SHOWN_S * SAMPLE_RATE), len(error) - 1)
    return int((error[length:] - error[:-length]).argmax())


def hardest(findings: Sequence[Finding]) -> list[Finding]:
    """The song without a voice, and those whose vocals come out worst."""
    sung = sorted((one for one in findings if not math.isnan(one.sdr)), key=lambda one: one.sdr)
    return [one for one in findings if math.isnan(one.sdr)] + sung[: PICTURES - 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        page = options.write.read_text(encoding="utf-8") if options.write else ""
        if page:
            report.replace_block(page, "", BEGIN, END)  # before minutes are spent
        denoiser, _ = checkpoint.load(options.checkpoint)
        hardships = dict(HARDSHIPS)
        if options.speech:
            hardships["speech"] = spoken(read_speech(options.speech, options.seconds))
        song = next(open_songs(options.data, (0.0,), options.seconds))
        findings = find(denoiser, song.vocals, song.accompaniment, hardships, console)
        facts = provenance(torch.device("cpu"))
        rule = ["---"] + ["---:"] * (len(HEADINGS) - 1)
        rows = [HEADINGS, rule, *(finding.cells() for finding in findings)]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        print(table)
        if page:
            image = options.write.with_name(f"{options.write.stem}-failures.png")
            head = f"* `python -m diffvs.failures {shlex.join(words)}`\n* commit {facts['commit']}; "
            head += f"{facts['date']}; the middle {options.seconds:g} s of {song.name} at native level"
            block = f"{head}\n\n{table}\n\n![The hardest songs]({image.name})"
            report.write(image, picture(hardest(findings)))
            report.write(options.write, report.replace_block(page, block, BEGIN, END))
            console.print(f"written: {options.write}, {image}", markup=False)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffvs.failures",
        description="Make a validation song harder, one thing at a time, and measure what a model does then.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder that diffvs.train saved")
    add("--data", type=Path, required=True, metavar="FOLDER", help="a cache, or a folder of songs; its first")
    add("--seconds", type=positive_number, default=40.0, metavar="S", help="of its middle (default: 40)")
    add("--speech", type=Path, metavar="PATH", help="recorded speech, a file or folder: one more hardship")
    add("--write", type=Path, metavar="FILE.md", help="put the table between this page's failure markers")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

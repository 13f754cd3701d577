"""python -m diffvs.separate: vocals and accompaniment of songs on disk, with a checkpoint and no hurry."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from diffvs import checkpoint
from diffvs.data.audio import Audio, AudioError
from diffvs.device import choose_device, counting_number
from diffvs.edm import Denoiser
from diffvs.sampling import default_sigmas, separate
from diffvs.song_files import SUBTYPES, Job, plan, read_song, to_do, write_song

Told = Callable[[int], None]


def separate_samples(
    denoiser: Denoiser, samples: Audio, rate: int, sigmas: Sequence[float], told: Told, batch_size: int = 4
) -> tuple[Audio, Audio]:
    """Vocals and accompaniment like `samples`, (samples, 1 or 2) at any rate; their sum is `samples`.

    A model hears stereo at its own rate: mono is doubled, other rates are converted, and the vocals go back.
    """
    model_rate = denoiser.config.spectrum.sample_rate
    heard = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples
    heard = soxr.resample(heard, rate, model_rate) if rate != model_rate else heard
    device = next(denoiser.parameters()).device
    mixture = torch.from_numpy(np.ascontiguousarray(heard.T)).to(device)
    vocals: Audio = separate(denoiser, mixture, sigmas, told, batch_size).cpu().numpy().T
    if rate != model_rate:
        vocals = soxr.resample(vocals, model_rate, rate)
        spare = max(len(samples) - len(vocals), 0)  # rounding of the length, twice
        vocals = np.pad(vocals, ((0, spare), (0, 0)))[: len(samples)]
    if samples.shape[1] == 1:
        vocals = vocals.mean(axis=1, keepdims=True)
    return vocals, samples - vocals


@dataclass(frozen=True, kw_only=True)
class Separator:
    """A denoiser with everything that separating a file takes."""

    denoiser: Denoiser
    sigmas: Sequence[float]
    batch_size: int
    note: str  # what made a file, written into it

    def job(self, job: Job, progress: Progress, task: TaskID) -> list[str]:
        """Separate one song; gives notices. Raises AudioError."""
        samples, rate = read_song(job.song)
        total = len(samples) * self.denoiser.config.spectrum.sample_rate / rate
        progress.update(task, total=total)

        def told(done: int) -> None:
            progress.update(task, completed=done)

        try:
            parts = separate_samples(self.denoiser, samples, rate, self.sigmas, told, self.batch_size)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            raise AudioError(
                f"{job.song} ({len(samples) / rate / 60:.0f} min) does not fit into memory: "
                "cut it into parts, or give a smaller --batch-size"
            ) from error
        notices = write_song(job, parts, rate, self.note)
        progress.update(task, completed=total)
        return notices

    def jobs(self, jobs: Sequence[Job], console: Console) -> int:
        """Separate songs with progress; gives how many failed, each named."""
        failed = 0
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            for number, job in enumerate(jobs, 1):
                task = progress.add_task(f"{number}/{len(jobs)} {escape(job.song.name)}", total=None)
                try:
                    for notice in self.job(job, progress, task):
                        console.print(notice, style="yellow", markup=False)
                except AudioError as error:
                    failed += 1
                    progress.remove_task(task)
                    console.print(f"error: {error}", style="red", markup=False)
        return failed


def load(options: argparse.Namespace) -> Separator:
    """What the options ask for. Raises ValueError for a checkpoint or settings that cannot be used."""
    if options.threads:
        torch.set_num_threads(options.threads)
    denoiser = checkpoint.load(options.checkpoint)[0].to(choose_device(options.device))
    given = {
        name: getattr(options, name) for name in ("steps", "sigma_max", "sigma_min", "rho", "temperature")
    }
    edm = dataclasses.replace(
        denoiser.config.edm, **{name: value for name, value in given.items() if value is not None}
    )
    denoiser.config = dataclasses.replace(denoiser.config, edm=edm)
    sigmas = default_sigmas(denoiser)
    weights = hashlib.sha256((options.checkpoint / checkpoint.WEIGHTS).read_bytes()).hexdigest()[:16]
    note = f"diffvs {denoiser.config.name} {weights}, sigmas {' '.join(f'{sigma:.6g}' for sigma in sigmas)}"
    if edm.temperature != 1:
        note += f", temperature {edm.temperature:g}"
    return Separator(denoiser=denoiser, sigmas=sigmas, batch_size=options.batch_size, note=note)


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        jobs = plan(options.songs, options.out, options.format)
        separator = load(options)
        waiting = to_do(jobs, separator.note, options.replace)
        if len(waiting) < len(jobs):
            console.print(f"{len(jobs) - len(waiting)} of {len(jobs)} songs are there already")
        failed = separator.jobs(waiting, console)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    console.print(f"{len(waiting) - failed} separated into {options.out}, {failed} failed", markup=False)
    return 2 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffvs.separate",
        description="Separate songs with a checkpoint, offline: SONG (vocals).wav and SONG (accompaniment)"
        ".wav, which add up to the song, at its own rate and channels. The same command, given again, goes "
        "on where it was stopped.",
    )
    add = parser.add_argument
    add("songs", nargs="+", type=Path, metavar="SONG", help="audio files, or folders of them")
    add("--checkpoint", type=Path, required=True, metavar="FOLDER", help="what diffvs.train saved")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where the files go")
    add("--format", choices=tuple(SUBTYPES), default="wav", help="32-bit float WAV (default) or 24-bit FLAC")
    add(
        "--steps",
        type=int,
        metavar="N",
        help="Heun steps; N steps are 2 N - 1 evaluations (default: the model's)",
    )
    add("--sigma-max", type=float, metavar="SIGMA", help="highest noise level (default: the model's)")
    add("--sigma-min", type=float, metavar="SIGMA", help="lowest noise level before 0 (default: the model's)")
    add("--rho", type=float, metavar="RHO", help="bend of the noise levels (default: the model's)")
    add(
        "--temperature", type=float, metavar="T",
        help="of the noise that it starts from: 1 as strong as sigma_max says, 0 none (default: the model's)",
    )  # fmt: skip
    add(
        "--batch-size", type=counting_number, default=4, metavar="N",
        help="windows separated at a time, for models that hear windows (default: 4)",
    )  # fmt: skip
    add("--replace", action="store_true", help="replace files that were made otherwise")
    add("--device", choices=("cpu", "cuda", "mps"), help="default: cuda where there is one")
    add("--threads", type=counting_number, metavar="N", help="threads on a CPU (default: all cores)")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

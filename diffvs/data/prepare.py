"""python -m diffvs.data.prepare: decode every source once into the cache that training reads.

Sources are KIND=FOLDER; a bundle is a folder with the subfolders eif, chant, notes, synth and estimated.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diffvs.data.cache import Cache, HeldOutError
from diffvs.data.decode import add_recording
from diffvs.data.readers import (
    DataSetError,
    Recording,
    read_eif,
    read_estimated,
    read_folder,
    read_moises,
    read_musdb,
    read_pieces,
)
from diffvs.data.variants import add_variant
from diffvs.data.workers import in_workers

READERS: dict[str, Callable[[Path], list[Recording]]] = {
    "eif": read_eif,
    "notes": partial(read_pieces, kind="notes"),
    "speech": partial(read_pieces, kind="speech"),
    "estimated": read_estimated,
    "synth": partial(read_folder, role="vocals", kind="synth"),
    "chant": partial(read_folder, role="vocals", kind="chant"),
    "vocals": partial(read_folder, role="vocals", kind="vocals"),
    "accompaniment": partial(read_folder, role="accompaniment", kind="accompaniment"),
    "corpus": partial(read_folder, role="accompaniment", kind="corpus"),
    "musdb": read_musdb,
    "moises": read_moises,
}
BUNDLE = ("eif", "notes", "estimated", "synth", "chant")


def find_recordings(sources: list[str]) -> list[Recording]:
    """Recordings of all KIND=FOLDER sources. Raises DataSetError or HeldOutError, naming the source."""
    recordings: list[Recording] = []
    for source in sources:
        kind, equals, folder = source.partition("=")
        if not equals or kind not in {*READERS, "bundle"}:
            raise DataSetError(
                f"{source}: a source is KIND=FOLDER with KIND one of bundle, {', '.join(READERS)}"
            )
        kinds = [k for k in BUNDLE if (Path(folder) / k).is_dir()] if kind == "bundle" else [kind]
        if not kinds:
            raise DataSetError(f"{folder} has none of the subfolders {', '.join(BUNDLE)}")
        for name in kinds:
            found = READERS[name](Path(folder) / name if kind == "bundle" else Path(folder))
            # Long collections in random order, so that a cache still being built already has variety.
            random.Random(0).shuffle(found)
            recordings += found
    taken = Counter((recording.kind, recording.song) for recording in recordings)
    for (kind, song), times in taken.items():
        if times > 1:
            raise DataSetError(
                f"{times} recordings of kind {kind} are called {song}; give the folder above them"
            )
    return recordings


def progress_bar(console: Console) -> Progress:
    """A bar with counts and the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def prepare(root: Path, recordings: list[Recording], workers: int, console: Console) -> Counter[str]:
    """Fill the cache with progress; gives how many recordings were added, there already, or failed."""
    counts: Counter[str] = Counter()
    Cache(root).sweep()
    jobs = [partial(add_recording, root, recording) for recording in recordings]
    with progress_bar(console) as progress:
        task = progress.add_task("decoding", total=len(jobs))
        for outcome in in_workers(jobs, workers):
            counts[outcome.state] += 1
            for notice in outcome.notices:
                console.print(notice, style="yellow" if outcome.state == "failed" else "dim")
            progress.advance(task)
    return counts


def vary(root: Path, variants: int, kinds: set[str], workers: int, console: Console) -> None:
    """Make processed copies of the voices of some kinds, with progress; those already there stay."""
    voices = [
        e for e in Cache(root).entries("train") if e.role == "vocals" and e.variant == 0 and e.kind in kinds
    ]
    jobs = [
        partial(add_variant, root, voice, number) for number in range(1, variants + 1) for voice in voices
    ]
    with progress_bar(console) as progress:
        task = progress.add_task("variants", total=len(jobs))
        for problem in in_workers(jobs, workers):
            if problem:
                console.print(problem, style="yellow")
            progress.advance(task)


def at_least_one(text: str) -> int:
    """An argument that counts processes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} workers; at least 1 is needed")
    return number


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m diffvs.data.prepare", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder of the cache (0.6 GB per hour of stems)"
    )
    parser.add_argument(
        "--source",
        action="append",
        required=True,
        metavar="KIND=FOLDER",
        help=f"bundle, {', '.join(READERS)}; may be repeated",
    )
    parser.add_argument(
        "--variants", type=int, default=4, help="processed copies of scarce voices (default: 4)"
    )
    parser.add_argument(
        "--vary", default="eif,estimated,notes", help="kinds to make them of (default: %(default)s)"
    )
    parser.add_argument("--workers", type=at_least_one, default=2, help="processes (default: 2)")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, soft_wrap=True)
    try:
        recordings = find_recordings(options.source)
    except (DataSetError, HeldOutError) as error:
        console.print(f"error: {error}", style="red")
        return 2
    try:
        counts = prepare(options.cache, recordings, options.workers, console)
        vary(options.cache, options.variants, set(options.vary.split(",")), options.workers, console)
    except OSError as error:
        console.print(f"error: the cache cannot be written: {error}", style="red")
        return 2
    except BrokenProcessPool:
        console.print(
            "error: a worker died, perhaps for want of memory; run again with --workers 1", style="red"
        )
        return 2
    console.print(f"{counts['added']} added, {counts['there']} already there, {counts['failed']} left out")
    return 0 if counts["failed"] < len(recordings) else 3


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""python -m diffvs.corpus: hours of free instrumental music from Debian's game packages.

The list of files and their licences is data/accompaniment_manifest.csv; each was screened for voices. Made
are OUT/music/PACKAGE/... (the files as published), OUT/licences/PACKAGE.copyright, OUT/ATTRIBUTION.md and
OUT/corpus.csv.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.prompt import Confirm

from diffvs.data.debian import LICENCE, Apt, DebianError, unzip, write_atomically

MANIFEST = Path(__file__).parent / "data" / "accompaniment_manifest.csv"


@dataclass(frozen=True)
class Piece:
    """One file of music in a package, perhaps inside an archive (ZIP) of that package."""

    package: str
    archive: str
    path: str
    seconds: float
    licence: str

    def target(self, out: Path) -> Path:
        """Where the file goes, under its name in the package so that equal names do not collide."""
        return out / "music" / self.package / self.path


@dataclass(frozen=True)
class Plan:
    """What is still to be fetched, and what it costs."""

    pieces: list[Piece]  # all of them
    missing: dict[str, list[Piece]]  # package -> pieces not yet there
    sizes: dict[str, int]  # bytes to download for each package of `missing` that apt knows

    @property
    def unknown(self) -> list[str]:
        """Packages that this Debian does not offer."""
        return sorted(set(self.missing) - set(self.sizes))


def read_manifest(path: Path = MANIFEST) -> list[Piece]:
    """The pieces marked use=yes. Raises ValueError when a column is missing."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    needed = {"package", "archive", "path", "seconds", "licence", "use"}
    if not rows or not needed <= set(rows[0]):
        raise ValueError(f"{path} needs the columns {', '.join(sorted(needed))}")
    return [
        Piece(row["package"], row["archive"], row["path"], float(row["seconds"]), row["licence"])
        for row in rows
        if row["use"] == "yes"
    ]


def plan_corpus(pieces: list[Piece], out: Path, apt: Apt) -> Plan:
    """Compare the manifest with what is in OUT and ask apt for sizes; downloads nothing."""
    missing = defaultdict(list)
    for piece in pieces:
        licence = out / "licences" / f"{piece.package}.copyright"
        if not piece.target(out).is_file() or not licence.is_file():
            missing[piece.package].append(piece)
    return Plan(pieces, dict(missing), apt.sizes(sorted(missing)))


def build_package(package: str, pieces: list[Piece], out: Path, apt: Apt) -> list[str]:
    """Fetch one package, keep its music and its licence, delete the rest; gives the paths it did not hold."""
    deb = out / "packages" / f"{package}.deb"
    if not deb.is_file():
        deb = apt.download(package, deb.parent)
    plain = {piece.path: piece for piece in pieces if not piece.archive}
    zipped = {piece.path: piece for piece in pieces if piece.archive}
    archives = {piece.archive for piece in zipped.values()}
    licence = LICENCE.format(package=package)

    def keep(path: str, content: bytes) -> None:
        if path in archives:
            unzip(
                path,
                content,
                set(zipped),
                lambda inner, data: write_atomically(zipped[inner].target(out), data),
            )
        elif path == licence:
            write_atomically(out / "licences" / f"{package}.copyright", content)
        else:
            write_atomically(plain[path].target(out), content)

    try:
        apt.extract(deb, set(plain) | archives | {licence}, keep)
    except DebianError:
        deb.unlink()
        raise
    deb.unlink()
    absent = [piece.path for piece in pieces if not piece.target(out).is_file()]
    if not (out / "licences" / f"{package}.copyright").is_file():
        absent.append(licence)
    return absent


def write_lists(pieces: list[Piece], out: Path) -> None:
    """Write corpus.csv and ATTRIBUTION.md for the pieces that are there."""
    there = [piece for piece in pieces if piece.target(out).is_file()]
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "seconds", "package", "licence"])
    rows.writerows(
        [piece.target(out).relative_to(out).as_posix(), piece.seconds, piece.package, piece.licence]
        for piece in there
    )
    write_atomically(out / "corpus.csv", table.getvalue().encode())
    lines = ["# Music from Debian packages", "", "Authors and full terms: licences/PACKAGE.copyright.", ""]
    lines += ["| file | package | licence |", "|---|---|---|"]
    lines += [f"| {piece.path} | {piece.package} | {piece.licence} |" for piece in there]
    write_atomically(out / "ATTRIBUTION.md", ("\n".join(lines) + "\n").encode())


def announce(plan: Plan, out: Path, console: Console) -> None:
    """Say what is there, what will be downloaded, how much, and where it goes."""
    hours = sum(piece.seconds for piece in plan.pieces) / 3600
    console.print(f"{len(plan.pieces)} files, {hours:.1f} h of music, into {out.absolute()}")
    for package, size in sorted(plan.sizes.items()):
        console.print(f"  {package:32s} {size / 1e6:7.1f} MB  {len(plan.missing[package]):3d} files")
    console.print(f"to download: {len(plan.sizes)} Debian packages, {sum(plan.sizes.values()) / 1e6:.0f} MB")
    if plan.unknown:
        console.print(f"left out, not offered by this system's apt: {', '.join(plan.unknown)}")


def build_corpus(plan: Plan, out: Path, apt: Apt, console: Console) -> int:
    """Fetch what the plan misses; gives the number of pieces that could not be had.

    A package that fails is named and left out; the others go on.
    """
    with Progress(console=console) as progress:
        task = progress.add_task("packages", total=len(plan.sizes))
        for package in plan.sizes:
            progress.update(task, description=package)
            try:
                for path in build_package(package, plan.missing[package], out, apt):
                    console.print(f"{package}: {path} is not in the package")
            except (DebianError, OSError, ValueError) as error:
                console.print(f"{package} left out: {error}")
            write_lists(plan.pieces, out)
            progress.advance(task)
    return sum(not piece.target(out).is_file() for piece in plan.pieces)


def main(arguments: list[str] | None = None, apt: Apt | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m diffvs.corpus", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to build the corpus in (about 1.5 GB)"
    )
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help="another list of files")
    parser.add_argument("--yes", action="store_true", help="do not ask before downloading")
    options = parser.parse_args(arguments)
    console, apt = Console(stderr=True, soft_wrap=True), apt or Apt()
    try:
        apt.check()
        plan = plan_corpus(read_manifest(options.manifest), options.out, apt)
    except (DebianError, ValueError, OSError) as error:
        console.print(f"error: {error}", style="red")
        return 2
    announce(plan, options.out, console)
    if plan.sizes and not options.yes and not Confirm.ask("download?", console=console, default=False):
        return 1
    try:
        absent = build_corpus(plan, options.out, apt, console)
    except OSError as error:
        console.print(f"error: {error}", style="red")
        return 2
    console.print(f"done: {len(plan.pieces) - absent} files in {options.out}, {absent} could not be had")
    return 0 if not absent else 3


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""Methods of separation, measured side by side on songs with known stems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.validation import RAISED_DB, ValidationSong
from diffvs.edm import Denoiser
from diffvs.evaluation import spleeter
from diffvs.evaluation.baselines import BASELINES
from diffvs.evaluation.embedding import Embed, embedding_mse
from diffvs.evaluation.grid import Setting
from diffvs.evaluation.metrics import Seconds, aggregate, bootstrap, framed_together, measure, nanmedian
from diffvs.evaluation.report import ALL, Row
from diffvs.evaluation.songs import count_songs, open_songs
from diffvs.sampling import separate

TARGETS = ("vocals", "accompaniment")
# (song, told of the samples done) -> estimates of TARGETS
Separate = Callable[[ValidationSong, Callable[[int], None]], tuple[Tensor, Tensor]]


@dataclass
class Method:
    """A baseline or a model at one setting, and what was measured of it, by level and target."""

    name: str
    separate: Separate
    setting: Setting | None = None
    found: dict[tuple[float, str], list[tuple[str, Seconds, float]]] = field(default_factory=dict)
    failed: bool = False

    def measure(self, song: ValidationSong, told: Callable[[int], None], embed: Embed | None) -> None:
        """Separate a song and keep what was measured. An estimate that is not finite raises ValueError."""
        estimates = self.separate(song, told)
        references = torch.from_numpy(song.vocals), torch.from_numpy(song.accompaniment)
        mixture = torch.from_numpy(song.mixture)
        measured = [
            measure(estimate.cpu(), reference, mixture, SAMPLE_RATE)
            for estimate, reference in zip(estimates, references, strict=True)
        ]
        for target, seconds, estimate, reference in zip(
            TARGETS, framed_together(measured), estimates, references, strict=True
        ):
            distance = embedding_mse(embed, estimate, reference, SAMPLE_RATE) if embed else math.nan
            key = song.raised_db, target
            self.found.setdefault(key, []).append((song.name, seconds, distance))

    def rows(self, key: tuple[float, str], draws: int, by_song: bool) -> Iterator[Row]:
        """Over all songs, and for each."""
        found = self.found.get(key, [])
        groups = [(ALL, found)] if found else []
        if by_song:
            groups += [(one[0], [one]) for one in found]
        for song, group in groups:
            seconds = [one[1] for one in group]
            yield Row(
                method=self.name,
                song=song,
                raised_db=key[0],
                target=key[1],
                scores=aggregate(seconds),
                interval=bootstrap(seconds, draws),
                embedding=float(nanmedian(torch.tensor([one[2] for one in group]).double().numpy())),
                setting=self.setting,
            )


def baseline_methods() -> list[Method]:
    """The baselines, as methods."""

    def method(name: str) -> Method:
        def run(song: ValidationSong, told: Callable[[int], None]) -> tuple[Tensor, Tensor]:
            mixture, vocals, accompaniment = (torch.from_numpy(samples) for samples in song[2:])
            return BASELINES[name](mixture, vocals, accompaniment, SAMPLE_RATE)

        return Method(name, run)

    return [method(name) for name in BASELINES]


def spleeter_method(run: tuple[spleeter.Network, spleeter.Network], block: int) -> Method:
    """The peer, in blocks of so many frames."""

    def separate_song(song: ValidationSong, told: Callable[[int], None]) -> tuple[Tensor, Tensor]:
        mixture = torch.from_numpy(song.mixture)
        with torch.inference_mode():
            vocals = spleeter.separate(run, mixture, block, told=told)
        return vocals, mixture - vocals

    return Method(f"Spleeter, {1_000 * spleeter.latency(block) / SAMPLE_RATE:.0f} ms", separate_song)


def model_method(denoiser: Denoiser, setting: Setting) -> Method:
    """One model at one setting. Accompaniment is the mixture minus the vocals, as everywhere."""
    device = next(denoiser.parameters()).device

    def run(song: ValidationSong, told: Callable[[int], None]) -> tuple[Tensor, Tensor]:
        mixture = torch.from_numpy(song.mixture)
        vocals = separate(
            denoiser, mixture.to(device), setting.sigmas, told, temperature=setting.temperature
        ).cpu()
        return vocals, mixture - vocals

    return Method(setting.name, run, setting)


def evaluate(
    methods: Sequence[Method],
    data: Path,
    *,
    raised_db: tuple[float, ...] = RAISED_DB,
    seconds: float | None = None,
    embed: Embed | None = None,
    console: Console | None = None,
) -> None:
    """Measure every method on every song at every level; `table` makes rows of what they have found.

    A method that fails on a song says so and is out. Raises ValueError when there is no song.
    """
    console = console or Console(stderr=True, soft_wrap=True)
    total = count_songs(data) * len(raised_db) * len(methods)
    with Progress(console=console, transient=True) as progress:
        whole, part = progress.add_task("all", total=total), progress.add_task("")
        for song in open_songs(data, raised_db, seconds, lambda text: console.print(text, markup=False)):
            samples = song.mixture.shape[1]
            for method in methods:
                what = f"{song.name} {song.raised_db:+g} dB: {method.name}"
                progress.reset(part, total=samples, description=escape(what))
                progress.advance(whole)
                if method.failed:
                    continue
                try:
                    method.measure(song, lambda done: progress.update(part, completed=done), embed)
                except ValueError as error:
                    method.failed = True
                    console.print(f"error: {method.name}, {song.name}: {error}", style="red", markup=False)


def table(methods: Sequence[Method], draws: int = 1_000, by_song: bool = True) -> list[Row]:
    """What was found, in the order level, target, method: over all songs, then of each."""
    keys = dict.fromkeys(key for method in methods for key in method.found)
    able = [method for method in methods if not method.failed]
    return [row for key in keys for method in able for row in method.rows(key, draws, by_song)]

"""Batches of examples from worker processes: a function of (seed, batch number), however many workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.cache import Cache
from diffvs.data.examples import ExampleMaker, Recipe
from diffvs.data.workers import start_worker


class Batch(NamedTuple):
    """mixture and vocals (B, 2, samples) float32; bandwidth_hz (B,): above it the vocals are unknown."""

    mixture: Tensor
    vocals: Tensor
    bandwidth_hz: Tensor

    def loss_bins(self, n_fft: int, bins: int) -> Tensor:
        """How many of the lowest `bins` STFT bins the loss may use, (B,) int64."""
        return (self.bandwidth_hz * (n_fft / SAMPLE_RATE)).long().clamp(0, bins)


class _Batches(Dataset[Batch]):
    """Batch number -> Batch. The maker is built in the worker, so that nothing large is sent to it."""

    def __init__(
        self, cache: Path, recipe: Recipe, seed: int, batch_size: int, rank: int, world_size: int
    ) -> None:
        self.cache, self.recipe, self.seed = cache, recipe, seed
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.maker: ExampleMaker | None = None

    def __getitem__(self, number: int) -> Batch:
        if self.maker is None:
            self.maker = ExampleMaker(Cache(self.cache), self.recipe, self.seed)
        first = (number * self.world_size + self.rank) * self.batch_size
        examples = [self.maker.make(index) for index in range(first, first + self.batch_size)]
        return Batch(
            torch.from_numpy(np.stack([example.mixture for example in examples])),
            torch.from_numpy(np.stack([example.vocals for example in examples])),
            torch.tensor([example.bandwidth_hz for example in examples]),
        )


class _Numbers(Sampler[int]):
    """first, first + 1, ... up to `end`."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.end))

    def __len__(self) -> int:
        return self.end - self.first


def _start_worker(_: int) -> None:
    # Ctrl-C goes to the whole process group: the training loop ends the workers, not they themselves.
    start_worker()


def batches(
    cache: Path,
    recipe: Recipe,
    batch_size: int,
    seed: int = 0,
    first_batch: int = 0,
    end_batch: int = 2**31 - 1,
    workers: int = 1,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Batches number first_batch, first_batch + 1, ...: start at the step reached and a run resumes exactly.

    `batch_size` is per process: process `rank` of `world_size` gets its own part of each global batch. With 0
    workers batches are made in this process. Raises ValueError when the cache lacks voices or music.
    """
    data = _Batches(Path(cache), recipe, seed, batch_size, rank, world_size)
    if workers == 0:
        return (data[number] for number in range(first_batch, end_batch))
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=_Numbers(first_batch, end_batch),
        num_workers=workers,
        worker_init_fn=_start_worker,
        prefetch_factor=4,
        pin_memory=pin_memory,
    )
    return iter(loader)

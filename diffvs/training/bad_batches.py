"""Batches whose loss or gradient is not finite: which examples they are, and a copy to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from diffvs.data.loader import Batch
from diffvs.training.trainer import Step, Trainer

KEPT = 20  # files; what goes wrong more often goes wrong in the same way


class Tried(NamedTuple):
    """Example `number` of the run's seed, (2, samples), and its own loss with the weights of the moment."""

    number: int
    loss: float
    noise_seed: int
    mixture: Tensor
    vocals: Tensor

    @property
    def audio_is_finite(self) -> bool:
        """Whether the data are to blame."""
        return bool(torch.isfinite(self.mixture).all() and torch.isfinite(self.vocals).all())


def tried_examples(trainer: Trainer, batch: Batch) -> list[Tried]:
    """The examples of this process's part of the batch that has just been tried."""
    step, rank, count = trainer.step - 1, trainer.processes.rank, len(batch.mixture)
    seeds = trainer.noise_seeds(step, count)
    losses = trainer.single_losses(batch, seeds)
    first = step * trainer.config.batch_size + rank * count
    return [
        Tried(first + i, losses[i], seeds[i], batch.mixture[i].cpu(), batch.vocals[i].cpu())
        for i in range(count)
    ]


def blamed(examples: Sequence[Tried]) -> list[Tried]:
    """Those whose own loss or audio is not finite; all of them, if it was the gradient alone."""
    return [one for one in examples if not (math.isfinite(one.loss) and one.audio_is_finite)] or list(
        examples
    )


def keep_bad(folder: Path, number: int, step: Step, examples: Sequence[Tried], seed: int) -> None:
    """Write the examples of batch `number` as safetensors and what is known of them as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.glob("*.json"))) >= KEPT:
        return
    known = {
        "batch": number,
        "seed": seed,  # ExampleMaker(cache, recipe, seed).make(example) makes an example again
        "loss": str(step.loss),
        "gradient_norm": str(step.gradient_norm),
        "examples": [
            {
                "example": example.number,
                "loss": str(example.loss),
                "noise_seed": example.noise_seed,
                "audio_is_finite": example.audio_is_finite,
                "peak": str(float(example.mixture.abs().max())),
            }
            for example in examples
        ],
    }
    waveforms = {
        name: torch.stack([getattr(example, name) for example in examples]) for name in ("mixture", "vocals")
    }
    save_file(waveforms, folder / f"batch_{number:08d}.safetensors")
    (folder / f"batch_{number:08d}.json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")

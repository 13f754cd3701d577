"""A rehearsal: a few batches, over and over. A network that cannot learn them by heart will learn nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffvs.data.loader import Batch
from diffvs.edm import Denoiser
from diffvs.spectrum import expand
from diffvs.training.objective import Objective
from diffvs.training.validation import Score


def repeated(kept: Sequence[Batch], first: int) -> Iterator[Batch]:
    """The kept batches for ever, from number `first` on."""
    return (kept[number % len(kept)] for number in itertools.count(first))


@dataclass(frozen=True)
class BatchValidator:
    """Scores a denoiser on the batches that it learns by heart."""

    kept: Sequence[Batch]
    steps: tuple[int, ...]

    def __call__(self, denoiser: Denoiser, examples: Path, check: Callable[[], None]) -> list[Score]:
        """One score per number of steps, over all kept examples together."""
        scores = []
        for steps in self.steps:
            energies = torch.zeros(3, dtype=torch.float64)
            for batch in self.kept:
                check()
                energies += _energies(denoiser, batch, steps)
            vocals, accompaniment, error = energies.tolist()
            scores.append(Score("overfit", steps, _db(vocals, error), _db(accompaniment, error)))
        return scores


@torch.no_grad()
def _energies(denoiser: Denoiser, batch: Batch, steps: int) -> Tensor:
    """Energy of vocals, accompaniment and error, (3,), where the loss looks as well: not above the known
    band. Analysis keeps energy, so these are the energies of the waveforms."""
    config, device = denoiser.config, next(denoiser.parameters()).device
    objective = Objective(denoiser, expanded_weight=0.0)
    condition, target = objective.images(batch.mixture.to(device), batch.vocals.to(device))
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0)).to(device)
    estimate = objective.sample(noise, condition, steps)
    bins = batch.loss_bins(config.spectrum.n_fft, config.spectrum.bins).to(device)
    known = (torch.arange(target.shape[2], device=device) < bins[:, None])[:, None, :, None]
    vocals, mixture, estimate = (
        expand(image, config.spectrum) * known for image in (target, objective.late(condition), estimate)
    )
    parts = (vocals, mixture - vocals, estimate - vocals)
    return torch.stack([part.double().square().sum() for part in parts]).cpu()


def _db(energy: float, error: float) -> float:
    return 10 * math.log10(max(energy, 1e-30) / max(error, 1e-30))

"""A denoiser on its way: one step of learning, and everything a run needs to go on exactly where it was."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from diffvs import checkpoint
from diffvs.config import ModelConfig
from diffvs.data.loader import Batch
from diffvs.edm import Denoiser
from diffvs.training.objective import Objective, SamplerGradient
from diffvs.training.processes import Processes
from diffvs.training.state import STATE, read_state, saving, unreadable

COUNTERS = ("step", "seconds_heard", "seconds_trained", "skipped")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a run learns. Saved beside the checkpoint; `batch_size` counts the examples of all processes."""

    batch_size: int = 4
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    final_share: float = 0.01  # of the learning rate, reached at the end by a half cosine
    steps: int | None = None  # the run ends after so many steps ...
    minutes: float | None = None  # ... or so many minutes, whichever comes first
    clip_norm: float = 2.0
    ema_max: float = 0.998  # the average forgets 1 - ema_max of itself per step
    expanded_weight: float = 3.0
    finetune_sampler: int | None = None  # N: train through the deployed N-step sampler
    sampler_gradient: SamplerGradient = "all"
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "learning_rate", "clip_norm", "steps", "minutes", "finetune_sampler"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be more than 0, got {value}")
        for name in ("warmup_steps", "expanded_weight", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("final_share", "ema_max"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.sampler_gradient not in get_args(SamplerGradient):
            known = ", ".join(get_args(SamplerGradient))
            raise ValueError(f"sampler_gradient must be one of {known}, got {self.sampler_gradient}")

    def learning_rate_at(self, step: int, progress: float) -> float:
        """Linear warm-up, then half a cosine from the full rate to `final_share` of it; progress is 0..1."""
        warm = min((step + 1) / max(self.warmup_steps, 1), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * warm * (self.final_share + (1 - self.final_share) * cosine)


class Step(NamedTuple):
    """What one step did. The losses are means over the global batch; `applied` is False where they or the
    gradient were not finite, and the weights were left alone."""

    loss: float
    denoising: float
    expanded: float
    gradient_norm: float
    learning_rate: float
    applied: bool


class Trainer:
    """Weights, their average, the optimiser and the counters, in one process or one of several (torchrun)."""

    def __init__(self, model: ModelConfig, config: TrainConfig, processes: Processes | None = None) -> None:
        processes = processes or Processes()
        if config.batch_size % processes.world_size:
            raise ValueError(
                f"a batch of {config.batch_size} does not divide among {processes.world_size} processes: "
                "give a --batch-size that is a multiple of their number"
            )
        torch.manual_seed(config.seed)
        self.model, self.config, self.processes = model, config, processes
        self.denoiser = Denoiser(model).to(processes.device).train()
        lay_out(self.denoiser)
        self.average = copy.deepcopy(self.denoiser).eval().requires_grad_(False)
        objective = Objective(
            self.denoiser,
            config.expanded_weight,
            config.bfloat16,
            config.finetune_sampler,
            config.sampler_gradient,
        )
        self.objective: nn.Module = objective
        if processes.world_size > 1:
            self.objective = DistributedDataParallel(objective)
        self.optimiser = torch.optim.AdamW(
            self.denoiser.parameters(), config.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.step = 0
        self.seconds_heard = 0.0
        self.seconds_trained = 0.0  # the loop's business: waiting for data counts, validating does not
        self.skipped = 0
        self.started_from: dict[str, Any] = {}

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the run's steps or minutes are used up; 0 for ever where none are given."""
        done = [0.0]
        if self.config.steps:
            done.append(self.step / self.config.steps)
        if self.config.minutes:
            done.append(self.seconds_trained / (60 * self.config.minutes))
        return max(done)

    def train_step(self, batch: Batch) -> Step:
        """One update from this process's part of the global batch. The weights stay as they are when the
        losses or the gradient are not finite."""
        rate = self.config.learning_rate_at(self.step, self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses = self._losses(self.objective, batch, self.noise_seeds(self.step, len(batch.mixture)))
        self.optimiser.zero_grad()
        losses[0].backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.denoiser.parameters(), self.config.clip_norm))
        sums = self.processes.sums(torch.stack(list(losses)).detach().tolist())
        means = [value / self.processes.world_size for value in sums]
        # Gradients and losses are averaged over the processes, so that all of them decide alike.
        applied = math.isfinite(norm) and all(map(math.isfinite, means))
        if applied:
            self.optimiser.step()
            self._average()
        else:
            self.skipped += 1
        self.step += 1
        examples, _, samples = batch.mixture.shape
        heard = examples * self.processes.world_size * samples
        self.seconds_heard += heard / self.model.spectrum.sample_rate
        return Step(means[0], means[1], means[2], norm, rate, applied)

    def skip_step(self) -> None:
        """Pass over a batch that could not be made."""
        self.step += 1
        self.skipped += 1

    def noise_seeds(self, step: int, examples: int) -> list[int]:
        """Seeds for the noise of this process's part of a batch: an example's noise depends on its place in
        the global batch alone, not on the number of processes."""
        places = range(self.processes.rank * examples, (self.processes.rank + 1) * examples)
        sources = [np.random.SeedSequence((self.config.seed, step, place)) for place in places]
        return [int(source.generate_state(1)[0]) for source in sources]

    def _losses(self, objective: nn.Module, batch: Batch, seeds: Sequence[int]) -> Sequence[Tensor]:
        # Dropout draws from the global generator: seeded by the step, a resumed run draws the same.
        torch.manual_seed(seeds[0])
        spectrum, device = self.model.spectrum, self.processes.device
        bins = batch.loss_bins(spectrum.n_fft, spectrum.bins).to(device)
        mixture, vocals = (part.to(device, non_blocking=True) for part in (batch.mixture, batch.vocals))
        losses: Sequence[Tensor] = objective(mixture, vocals, bins, seeds)
        return losses

    @torch.no_grad()
    def single_losses(self, batch: Batch, seeds: Sequence[int]) -> list[float]:
        """The loss of each example of a batch by itself, with the weights as they are now."""
        objective = self.objective
        if isinstance(objective, DistributedDataParallel):
            objective = objective.module
        alone = [Batch(*(part[i : i + 1] for part in batch)) for i in range(len(seeds))]
        return [
            float(self._losses(objective, one, [seed])[0]) for one, seed in zip(alone, seeds, strict=True)
        ]

    @torch.no_grad()
    def _average(self) -> None:
        # A short memory at first: the weights of the first hundred steps are worth forgetting.
        keep = min(self.config.ema_max, 1 - 1 / (1 + self.step / 5))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.denoiser.parameters()), 1 - keep)

    def counters(self) -> dict[str, Any]:
        """How far the run has come."""
        return {name: getattr(self, name) for name in COUNTERS}

    def save_average(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the averaged weights as a checkpoint, with the facts of the run. Raises SaveError."""
        known = {**self.counters(), "training": dataclasses.asdict(self.config)}
        if self.started_from:
            known["started_from"] = self.started_from
        with saving(folder):
            checkpoint.save(folder, self.model, self.average.state_dict(), {**facts, **known})

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write a checkpoint, and beside it what resuming needs. Raises SaveError; what was there stays."""
        state = {
            "weights": self.denoiser.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "counters": self.counters(),
            "started_from": self.started_from,
        }
        part = folder / (STATE + ".part")
        with saving(folder):
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(state, part)
            self.save_average(folder, facts)
            part.replace(folder / STATE)

    def resume(self, folder: Path) -> None:
        """Continue where `save` left off. Raises ValueError when the file holds no state of this model."""
        path = folder / STATE
        try:
            state = self.processes.share(lambda: read_state(path))
            self.denoiser.load_state_dict(state["weights"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            for name in COUNTERS:
                setattr(self, name, state["counters"].get(name, 0))
            self.started_from = state.get("started_from", {})
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise unreadable(path, error) from error

    def start_from(self, folder: Path) -> None:
        """Take the averaged weights of a checkpoint, with a fresh optimiser and counters at zero."""

        def read() -> tuple[dict[str, Tensor], dict[str, Any]]:
            denoiser, facts = checkpoint.load(folder)
            return denoiser.state_dict(), facts

        weights, self.started_from = self.processes.share(read)
        self.denoiser.load_state_dict(weights)
        self.average.load_state_dict(weights)


def lay_out(module: nn.Module) -> None:
    """Channels-last memory for the convolutions, which then train faster on CPUs and tensor cores alike.

    A 1x1 kernel is left alone: for it both layouts are the same bytes, and PyTorch, which compares strides,
    would warn at every gradient and copy it.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4 and parameter.shape[2:] != (1, 1):
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

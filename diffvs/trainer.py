"""The training loop: one process, or one of several that average their gradients (torchrun)."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from diffvs import checkpoint
from diffvs.config import ModelConfig
from diffvs.data.loader import Batch
from diffvs.edm import Denoiser, draw_sigmas
from diffvs.losses import Losses, training_loss
from diffvs.spectrum import analyse


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a run learns. Saved beside the checkpoint; `batch_size` counts the examples of all processes."""

    batch_size: int = 8
    learning_rate: float = 1e-2  # on weights that are normalised in the forward pass
    warmup_steps: int = 100
    final_share: float = 0.01  # of the learning rate, reached at the end by a half cosine
    steps: int | None = None  # the run ends after so many steps ...
    minutes: float | None = None  # ... or so many minutes, whichever comes first
    clip_norm: float = 2.0
    ema_max: float = 0.998  # the average forgets 1 - ema_max of itself per step
    expanded_weight: float = 1.0
    bfloat16: bool = False
    seed: int = 0

    def learning_rate_at(self, step: int, progress: float) -> float:
        """Linear warm-up, then half a cosine from the full rate to `final_share` of it; progress is 0..1."""
        warm = min((step + 1) / max(self.warmup_steps, 1), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * warm * (self.final_share + (1 - self.final_share) * cosine)


class Trainer:
    """A denoiser on its way: weights, their average, optimiser and counters; saved and resumed as a whole."""

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        torch.manual_seed(config.seed)
        self.model, self.config, self.device = model, config, device
        self.rank, self.world_size = rank, world_size
        self.denoiser = Denoiser(model).to(device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.denoiser).eval().requires_grad_(False)
        self.forward: nn.Module = DistributedDataParallel(self.denoiser) if world_size > 1 else self.denoiser
        self.optimiser = torch.optim.AdamW(
            self.denoiser.parameters(), config.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.step = 0
        self.seconds_heard = 0.0
        self.seconds_trained = 0.0

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the run's steps or minutes are used up."""
        done = [0.0]
        if self.config.steps:
            done.append(self.step / self.config.steps)
        if self.config.minutes:
            done.append(self.seconds_trained / (60 * self.config.minutes))
        return max(done)

    def train_step(self, batch: Batch) -> tuple[Losses, float]:
        """One update from this process's part of the global batch; returns the losses and the gradient norm."""
        started = time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate_at(self.step, self.progress)
        losses = self._losses(batch)
        self.optimiser.zero_grad()
        losses.total.backward()
        norm = nn.utils.clip_grad_norm_(self.denoiser.parameters(), self.config.clip_norm)
        if math.isfinite(norm):
            self.optimiser.step()
            self._average()
        self.step += 1
        examples, _, samples = batch.mixture.shape
        self.seconds_heard += examples * self.world_size * samples / self.model.spectrum.sample_rate
        self.seconds_trained += time.monotonic() - started
        return losses, float(norm)

    def _losses(self, batch: Batch) -> Losses:
        spectrum = self.model.spectrum
        mixture = analyse(batch.mixture.to(self.device), spectrum)
        target = analyse(batch.vocals.to(self.device), spectrum)
        examples = len(target)
        # The noise of an example depends on its place in the global batch only, not on the number of processes.
        generators = [
            torch.Generator().manual_seed(hash((self.config.seed, self.step, self.rank * examples + index)))
            for index in range(examples)
        ]
        sigma = torch.cat([draw_sigmas(1, self.model.edm, generator) for generator in generators])
        noise = torch.stack([torch.randn(target.shape[1:], generator=generator) for generator in generators])
        sigma, noise = sigma.to(self.device), noise.to(self.device)
        noisy = target + sigma[:, None, None, None] * noise
        bins = batch.loss_bins(spectrum.n_fft, spectrum.bins).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            estimate = self.forward(noisy, sigma, mixture)
        return training_loss(estimate, target, mixture, sigma, bins, self.model, self.config.expanded_weight)

    @torch.no_grad()
    def _average(self) -> None:
        # A short memory at first: the weights of the first hundred steps are worth forgetting.
        keep = min(self.config.ema_max, 1 - 1 / (1 + self.step / 5))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.denoiser.parameters()), 1 - keep)

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the averaged weights as a checkpoint, and what resuming needs beside it."""
        counters = {
            "step": self.step,
            "seconds_heard": self.seconds_heard,
            "seconds_trained": self.seconds_trained,
        }
        checkpoint.save(
            folder,
            self.model,
            self.average.state_dict(),
            {**facts, **counters, "training": dataclasses.asdict(self.config)},
        )
        state = {
            "weights": self.denoiser.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "counters": counters,
        }
        torch.save(state, folder / "trainer.pt.part")
        (folder / "trainer.pt.part").replace(folder / "trainer.pt")

    def resume(self, folder: Path) -> None:
        """Continue where `save` left off."""
        state = torch.load(folder / "trainer.pt", weights_only=True, map_location=self.device)
        averaged, _ = checkpoint.load(folder)
        self.average.load_state_dict(averaged.state_dict())
        self.denoiser.load_state_dict(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, value in state["counters"].items():
            setattr(self, name, value)

    def start_from(self, folder: Path) -> None:
        """Take the weights of a checkpoint, with a fresh optimiser and counters at zero."""
        weights = checkpoint.load(folder)[0].state_dict()
        self.denoiser.load_state_dict(weights)
        self.average.load_state_dict(weights)

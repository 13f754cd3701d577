"""Denoisers whose every layer matters, for tests: fresh ones answer with their skips alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from diffvs.config import ModelConfig
from diffvs.edm import Denoiser
from diffvs.layers import Context
from diffvs.presets import PRESETS

ROUNDING = 1e-5
SIGMA = torch.tensor([0.8])


def changed(name: str, **network: Any) -> ModelConfig:
    """A preset with other values in its network."""
    preset = PRESETS[name]
    return dataclasses.replace(preset, network=dataclasses.replace(preset.network, **network))


def awake(config: ModelConfig, seed: int = 0) -> Denoiser:
    """A denoiser in evaluation mode with random gains and offsets where a fresh one has (nearly) zeros."""
    torch.manual_seed(seed)
    denoiser = Denoiser(config).eval()
    with torch.no_grad():
        for parameter in denoiser.parameters():
            if parameter.ndim == 0:
                parameter.fill_(0.7)
            elif parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif parameter.abs().max() < 1e-3:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    return denoiser.requires_grad_(False)


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Equal but for rounding: summed in another order, float32 differs in its last bits."""
    assert actual.shape == expected.shape
    error = float((actual - expected).abs().max() / expected.abs().max())
    assert error <= ROUNDING, f"differs by {error:.1e} of the largest value"


def image(config: ModelConfig, frames: int, seed: int = 0, batch: int = 1) -> Tensor:
    """Unit normal image (batch, 4, bins, frames)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 4, config.spectrum.bins, frames, generator=generator)


def streamed(denoiser: Denoiser, noisy: Tensor, mixture: Tensor, chunks: list[int]) -> Tensor:
    """What the denoiser answers to consecutive chunks, carrying its past from one to the next."""
    state = [torch.zeros(1, *shape) for shape in denoiser.state_shapes()]
    answers: list[Tensor] = []
    start = 0
    for frames in chunks:
        context = Context(state)
        part = slice(start, start := start + frames)
        answers.append(denoiser(noisy[..., part], SIGMA, mixture[..., part], context))
        state = context.next
    assert start == noisy.shape[-1]
    return torch.cat(answers, dim=-1)

"""Learning and offline separation: the Diff-VS denoiser in PyTorch, its data, training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffvs.config import ModelConfig
from diffvs.presets import PRESETS

if TYPE_CHECKING:
    from diffvs.edm import Denoiser

__all__ = ["PRESETS", "ModelConfig", "build"]


def build(config: ModelConfig) -> Denoiser:
    """The denoiser of a preset, with fresh weights: forward(noisy, sigma, mixture, context=None)."""
    from diffvs.edm import Denoiser  # here, because preparing audio needs no torch and should start at once

    return Denoiser(config)

"""What training minimises: the denoising loss of EDM, and an error of the expanded spectrum beside it.

A conditional mean in the compressed domain is too small once expanded (the mean of a square root, squared,
is less than the mean), so where the answer is a conditional mean, at sigma_max, the expanded spectrum is
judged too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from diffvs.config import ModelConfig
from diffvs.edm import loss_weight
from diffvs.spectrum import expand

QUIET_LOUDNESS = 1e-5  # root mean square of an expanded image that is as good as silent


class Losses(NamedTuple):
    """Scalars: what is minimised, and its two parts."""

    total: Tensor
    denoising: Tensor
    expanded: Tensor


def training_loss(
    estimate: Tensor,
    target: Tensor,
    mixture: Tensor,
    sigma: Tensor,
    loss_bins: Tensor,
    config: ModelConfig,
    expanded_weight: float,
) -> Losses:
    """Mean over the batch; images are (b, 4, bins, t), sigma and loss_bins (b,).

    Bins from loss_bins[i] on say nothing about example i: its vocals are band-limited there. Every example's
    loss depends on that example alone, so a batch may be split over processes. An example with loss_bins 0
    counts for nothing.
    """
    bins = torch.arange(target.shape[2], device=target.device)
    known = (bins < loss_bins[:, None])[:, None, :, None]
    estimate, target, mixture = (torch.where(known, image, 0.0) for image in (estimate, target, mixture))
    share = loss_bins.clamp(min=1) / target.shape[2]

    squared = (estimate - target).square().mean((1, 2, 3)) / share
    denoising = (loss_weight(sigma, config.edm.sigma_data) * squared).mean()

    at_max = (sigma >= config.edm.sigma_max).float()
    target, mixture = expand(target, config.spectrum), expand(mixture, config.spectrum)
    error = root_mean_square(expand(estimate, config.spectrum) - target)
    # Relative to the loudness of the example, and not beyond measure where its vocals are silent.
    loudness = 0.5 * (root_mean_square(target) + root_mean_square(mixture)) + QUIET_LOUDNESS
    expanded = (at_max * error / loudness).mean()
    return Losses(denoising + expanded_weight * expanded, denoising, expanded)


def root_mean_square(image: Tensor) -> Tensor:
    """Per example, (b,). A mean modulus instead would ask for a median, which is quieter than the mean."""
    return (image.square().mean((1, 2, 3)) + 1e-12).sqrt()

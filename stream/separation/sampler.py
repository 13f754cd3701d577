"""The few-step sampler and its noise in NumPy; `diffvs.edm` and `diffvs.sampling` are the same in torch.

Karras et al. (2022), https://arxiv.org/abs/2206.00364, equation 5 and algorithm 1 without churn; a test runs
both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.separation.separator import ModelError
from stream.separation.spec import ModelSpec

Image = NDArray[np.float32]  # (1, 4, bins, frames)
Denoise = Callable[[Image, int], Image]  # x and the number of the evaluation, which fixes its sigma


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """Noise levels to visit, steps + 1 of them: from sigma_max down to sigma_min, then 0 (equation 5)."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / max(steps - 1, 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


def model_sigmas(spec: ModelSpec, steps: int | None) -> list[float]:
    """The schedule of a model, with its own number of steps or another. Raises ModelError."""
    if steps is not None and steps < 1:
        raise ModelError(f"the number of steps must be at least 1, got {steps}")
    return karras_sigmas(steps or spec.steps, spec.sigma_min, spec.sigma_max, spec.rho)


def evaluation_sigmas(sigmas: Sequence[float]) -> list[float]:
    """Noise level of each evaluation that `heun` makes, in order: 2 * len(sigmas) - 3 of them."""
    visited = [(sigma, sigma_next) for sigma, sigma_next in pairwise(sigmas)]
    return [sigma for pair in visited for sigma in pair][:-1]


def heun(denoise: Denoise, x: Image, sigmas: Sequence[float]) -> Iterator[Image]:
    """Yields a better and better estimate, one per evaluation; the last is where the ODE ends (algorithm 1).

    `sigmas` falls to 0, where the last Euler step lands exactly on the last estimate. Stopping earlier gives
    the Euler step from the noise level reached so far straight to 0: a valid answer from the first evaluation
    on. An estimate may be overwritten by the next evaluation.
    """
    evaluation = 0
    for sigma, sigma_next in pairwise(sigmas):
        estimate = denoise(x, evaluation)
        yield estimate
        if sigma_next == 0:
            return
        slope = (x - estimate) / np.float32(sigma)
        x_next = x + np.float32(sigma_next - sigma) * slope
        estimate = denoise(x_next, evaluation + 1)
        yield estimate
        slope += (x_next - estimate) / np.float32(sigma_next)
        x = x + np.float32((sigma_next - sigma) / 2) * slope
        evaluation += 2


def frame_noise(first: int, seed: int, sigma: float, out: Image) -> None:
    """Fills (1, 4, bins, frames) with sigma times the unit normal noise of the frames first, first + 1, ...

    A frame's noise depends on its number only (Philox is a counter-based generator): so a restart, a replay
    and any size of block hear the same.
    """
    if sigma == 0:
        out[:] = 0
        return
    _, channels, bins, frames = out.shape
    noise = np.empty((channels, bins), np.float32)
    for index in range(frames):
        bits = np.random.Philox(key=seed, counter=[0, first + index, 0, 0])
        np.random.Generator(bits).standard_normal(out=noise, dtype=np.float32)
        np.multiply(noise, np.float32(sigma), out=out[0, :, :, index])

"""Karras et al. (2022), "Elucidating the Design Space of Diffusion-Based Generative Models", by equation.

https://arxiv.org/abs/2206.00364. The data y are vocals, x = y + n is what the network sees, and the mixture
is a condition: it is concatenated, and the live network's head also multiplies it by a complex mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from diffvs.config import CausalUNetConfig, EdmConfig, ModelConfig, NetworkConfig, PyramidUNetConfig
from diffvs.ddpmpp import DdpmppUNet
from diffvs.layers import Context, StateShapes
from diffvs.pyramid import PyramidUNet
from diffvs.unet import CausalUNet

Denoise = Callable[[Tensor, Tensor], Tensor]


class Denoiser(nn.Module):
    """D(x; sigma, mixture): the expected vocals image, given a noisy one and the mixture's.

    Images are (b, 4, bins, t), sigma is (b,). With look-ahead L, frame t of `noisy` and of the answer belongs
    to frame t - L of `mixture`: the network has heard L frames more than it answers for.

    A causal network answers with a complex mask on the mixture, a residual and, if so configured, gains of
    the noisy image: these can cancel the noise that c_skip lets through, which is too fine for the network's
    channels. It carries its past in a Context. A window network answers with the residual alone and has no
    past: its context stays empty.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.sigma_data = config.edm.sigma_data
        self.lookahead_frames = config.network.lookahead_frames
        self.network = _network(config.spectrum.bins, config.network)

    @property
    def causal(self) -> bool:
        """Whether frames may be fed as they come. If not, a window is answered as a whole."""
        return self.config.causal

    def forward(
        self, noisy: Tensor, sigma: Tensor, mixture: Tensor, context: Context | None = None
    ) -> Tensor:
        context = context or Context()
        sigma = sigma[:, None, None, None]
        c_skip, c_out, c_in, c_noise = preconditioning(sigma, self.sigma_data)
        condition = mixture / self.sigma_data
        image = torch.cat([c_in * noisy, condition], dim=1)
        if isinstance(self.network, CausalUNet | PyramidUNet):
            output = self.network(image, c_noise.flatten(), context).float()
            mask, residual, *gains = output.split(4, dim=1)
            frames = condition.shape[-1]
            condition = context.extend(condition, self.lookahead_frames)[..., :frames]
            answer = complex_product(mask, condition) + residual
            for gain in gains:
                answer = answer + gain * (c_in * noisy)
        else:
            answer = self.network(image, c_noise.flatten()).float()
        denoised: Tensor = c_skip * noisy + c_out * answer
        return denoised

    def state_shapes(self) -> list[tuple[int, int, int]]:
        """Shapes (channels, frequency, frames) of the past that a streaming call carries, in order."""
        if not self.causal:
            return []
        shapes = StateShapes()
        bins = self.config.spectrum.bins
        with torch.no_grad():
            image = torch.zeros(1, 4, bins, 1, device=next(self.parameters()).device)
            self(image, torch.ones(1, device=image.device), image, shapes)
        return shapes.shapes


def _network(bins: int, config: NetworkConfig) -> CausalUNet | PyramidUNet | DdpmppUNet:
    if isinstance(config, CausalUNetConfig):
        return CausalUNet(8, 8, bins, config)
    if isinstance(config, PyramidUNetConfig):
        return PyramidUNet(bins, config)
    return DdpmppUNet(8, 4, bins, config)


def preconditioning(sigma: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in, c_noise (table 1)."""
    total = sigma**2 + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data * total.rsqrt(), total.rsqrt(), sigma.log() / 4


def loss_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """lambda(sigma): makes the raw network's error count alike at every noise level (section 5)."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def draw_sigmas(count: int, config: EdmConfig, generator: torch.Generator) -> Tensor:
    """Noise levels of `count` training examples: log-normal, but `share_at_max` of them at sigma_max."""
    sigma = torch.exp(config.p_mean + config.p_std * torch.randn(count, generator=generator))
    at_max = torch.rand(count, generator=generator) < config.share_at_max
    return torch.where(at_max, config.sigma_max, sigma.clamp(config.sigma_min / 10, config.sigma_max))


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> list[float]:
    """The steps + 1 noise levels to visit, falling from sigma_max to sigma_min and then to 0 (equation 5)."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / max(steps - 1, 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


def heun(denoise: Denoise, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Follow the probability-flow ODE from noise level sigmas[0] down to sigmas[-1] (algorithm 1).

    Calls denoise(x, sigma) 2 * len(sigmas) - 3 times when sigmas ends in 0: the last step is Euler's.
    """
    for sigma, sigma_next in pairwise(sigmas):
        x = _heun_step(denoise, x, sigma, sigma_next)
    return x


def stochastic_heun(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    noises: Iterable[Tensor],
    churn: float,
    churn_min: float = 0.0,
    churn_max: float = math.inf,
    noise_scale: float = 1.0,
) -> Tensor:
    """Like `heun`, but before each step noise is added and its level raised accordingly (algorithm 2).

    `noises` holds one unit normal tensor like x per step. churn, churn_min, churn_max and noise_scale are
    S_churn, S_min, S_max and S_noise of the paper; with churn 0 the answer is that of `heun`.
    """
    for (sigma, sigma_next), noise in zip(pairwise(sigmas), noises, strict=True):
        gamma = min(churn / (len(sigmas) - 1), math.sqrt(2) - 1) if churn_min <= sigma <= churn_max else 0.0
        sigma_hat = sigma * (1 + gamma)
        x_hat = x + math.sqrt(sigma_hat**2 - sigma**2) * noise_scale * noise
        x = _heun_step(denoise, x_hat, sigma_hat, sigma_next)
    return x


def _heun_step(denoise: Denoise, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """From noise level sigma to sigma_next, by the mean of the slopes at both ends."""
    slope = (x - denoise(x, _fill(x, sigma))) / sigma
    x_next = x + (sigma_next - sigma) * slope
    if sigma_next > 0:
        slope_next = (x_next - denoise(x_next, _fill(x, sigma_next))) / sigma_next
        x_next = x + (sigma_next - sigma) * (slope + slope_next) / 2
    return x_next


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Product of two images whose channels are real, imaginary, real, imaginary, ..."""
    a_re, a_im, b_re, b_im = a[:, 0::2], a[:, 1::2], b[:, 0::2], b[:, 1::2]
    return torch.stack([a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re], dim=2).flatten(1, 2)


def _fill(x: Tensor, sigma: float) -> Tensor:
    return x.new_full((x.shape[0],), sigma)

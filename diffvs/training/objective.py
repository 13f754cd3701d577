"""From a batch of waveforms to its losses: the noise, the denoiser or the whole sampler, and the error.

Two stages share this module. The denoising stage asks for D(target + sigma * noise; sigma), and at sigma_max
for D(temperature * sigma * noise; sigma), which is what samplers start from. The sampler stage runs the
deployed few-step sampler from there and judges what comes out, after Lay et al. (2024), "Single and Few-step
Diffusion for Generative Speech Enhancement", https://arxiv.org/abs/2309.09677: that removes what discretising
the ODE costs, and starting without any trace of the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from diffvs.edm import Denoiser, draw_sigmas, heun, karras_sigmas
from diffvs.sampling import start_sigma
from diffvs.spectrum import RunningLevel, analyse, level
from diffvs.training.losses import Losses, training_loss

SamplerGradient = Literal["all", "last", "one"]


class Objective(nn.Module):
    """What training minimises, as one module: its parameters are the denoiser's.

    One call of the module is one training step, however often the sampler calls the denoiser: that is what
    DistributedDataParallel can wrap.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        expanded_weight: float,
        bfloat16: bool = False,
        sampler_steps: int | None = None,  # None: denoising; N: the N-step Heun sampler
        sampler_gradient: SamplerGradient = "all",
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.expanded_weight, self.autocast = expanded_weight, bfloat16
        self.sampler_steps, self.sampler_gradient = sampler_steps, sampler_gradient

    def forward(self, mixture: Tensor, vocals: Tensor, loss_bins: Tensor, seeds: Sequence[int]) -> Losses:
        """Losses of waveforms (b, 2, samples); loss_bins (b,); the noise of example i is that of seeds[i]."""
        model = self.denoiser.config
        condition, target = self.images(mixture, vocals)
        sigma, noise = self._draw(target, seeds)
        if self.sampler_steps is None:
            estimate = self._denoise(self.noisy(target, sigma, noise), sigma, condition)
        else:
            numbers = self._evaluations(sigma, seeds, self.sampler_steps)
            estimate = torch.empty_like(target)
            for number in sorted(set(numbers.tolist())):
                chosen = numbers == number
                estimate[chosen] = self.sample(noise[chosen], condition[chosen], self.sampler_steps, number)
            sigma = torch.full_like(sigma, model.edm.sigma_max)
        heard = self.late(condition)
        return training_loss(estimate, target, heard, sigma, loss_bins, model, self.expanded_weight)

    def images(self, mixture: Tensor, vocals: Tensor) -> tuple[Tensor, Tensor]:
        """What the denoiser is told, and what it should answer, of waveforms (b, 2, samples)."""
        spectrum = self.denoiser.config.spectrum
        loudness = level(mixture, spectrum)
        # A denoiser that looks ahead answers late: frame t of its answer belongs to frame t - lookahead.
        condition, target = (analyse(each / loudness, spectrum) for each in (mixture, vocals))
        level_so_far = RunningLevel(spectrum).follow(condition)
        return condition / level_so_far, self.late(target / level_so_far)

    def noisy(self, target: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """The target at its noise level; at sigma_max what samplers start from, noise alone.

        A trace of the target there, though 20 dB below the noise, is found by a network that sees thousands
        of bins. It then waits for that trace, and answers too quietly where a sampler cannot give it.
        """
        edm = self.denoiser.config.edm
        sigma = sigma[:, None, None, None]
        return torch.where(sigma >= edm.sigma_max, edm.temperature * sigma * noise, target + sigma * noise)

    def late(self, image: Tensor) -> Tensor:
        """An image as much later as the denoiser answers."""
        return F.pad(image, (self.denoiser.lookahead_frames, 0))[..., : image.shape[-1]]

    def _draw(self, target: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A noise level and unit noise for each example, a function of its seed alone."""
        edm = self.denoiser.config.edm
        sigma = [draw_sigmas(1, edm, torch.Generator().manual_seed(2 * seed)) for seed in seeds]
        noise = torch.empty_like(target)
        for image, seed in zip(noise, seeds, strict=True):
            image.normal_(generator=torch.Generator(target.device).manual_seed(2 * seed + 1))
        return torch.cat(sigma).to(target.device), noise

    def _denoise(self, noisy: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        # A context of its own for each evaluation: autocast keeps its copies of the weights until it is left,
        # and copies made without a gradient must not serve the evaluation that needs one.
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=self.autocast):
            estimate: Tensor = self.denoiser(noisy, sigma, condition)
        return estimate

    def _evaluations(self, sigma: Tensor, seeds: Sequence[int], steps: int) -> Tensor:
        """For each example, the number (from 0) of the evaluation whose answer is judged: the sampler's last,
        but with "one" the first for those drawn at sigma_max, and any of the later ones for the others."""
        last = 2 * steps - 2
        if self.sampler_gradient != "one" or last == 0:
            return torch.full(sigma.shape, last, device=sigma.device)
        draws = (torch.Generator().manual_seed(2 * seed) for seed in seeds)
        later = [torch.randint(1, last + 1, (), generator=draw) for draw in draws]
        starts = sigma >= self.denoiser.config.edm.sigma_max
        return torch.where(starts, 0, torch.stack(later).to(sigma.device))

    def sample(self, noise: Tensor, condition: Tensor, steps: int, number: int | None = None) -> Tensor:
        """What evaluation `number` (from 0; None: the last) of the deployed sampler makes of this noise.

        The gradient goes through those before it, or with "last" and "one" stops at its input.
        """
        edm = self.denoiser.config.edm
        sigmas = karras_sigmas(steps, edm.sigma_min, edm.sigma_max, edm.rho)
        number = 2 * steps - 2 if number is None else number
        answers: list[Tensor] = []

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            if len(answers) > number:
                return x  # of no consequence
            learns = self.sampler_gradient == "all" or len(answers) == number
            with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
                answers.append(self._denoise(x, sigma, condition))
            return answers[-1]

        heun(denoise, start_sigma(self.denoiser, sigmas) * noise, sigmas)
        return answers[-1]

"""Vocals of a whole waveform by the few-step sampler, frame by frame equal to the live engine.

With a deterministic sampler, evaluation j of every frame happens at the same noise level. So each evaluation
keeps its own past (one `Context` each), and a song fed in pieces gives exactly what it gives fed whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from diffvs.edm import Denoiser, heun, karras_sigmas
from diffvs.layers import Context
from diffvs.spectrum import analyse, synthesise

NOISE_SEED = 2604_01120


def frame_noise(first: int, frames: int, bins: int, seed: int = NOISE_SEED) -> Tensor:
    """Unit normal noise (1, 4, bins, frames) of frames first, first + 1, ...: a function of their number."""
    noise = np.empty((frames, 4, bins), np.float32)
    for index in range(frames):
        bits = np.random.Philox(key=seed, counter=[0, first + index, 0, 0])
        np.random.Generator(bits).standard_normal(out=noise[index], dtype=np.float32)
    return torch.from_numpy(noise.transpose(1, 2, 0)[None].copy())


class StreamingSampler:
    """Images of consecutive frames in, vocals images out; the past of every evaluation is kept in between."""

    def __init__(self, denoiser: Denoiser, sigmas: Sequence[float]) -> None:
        self.denoiser, self.sigmas = denoiser, list(sigmas)
        self.evaluations = 2 * len(sigmas) - 3
        self.reset()

    def reset(self) -> None:
        """As after construction: silence has come before, and the next frame is frame 0."""
        device = next(self.denoiser.parameters()).device
        zeros = [torch.zeros(1, *shape, device=device) for shape in self.denoiser.state_shapes()]
        self.states = [zeros] * self.evaluations
        self.frame = 0

    @torch.inference_mode()
    def process(self, mixture: Tensor) -> Tensor:
        """Mixture image (1, 4, bins, t) -> vocals image of the same shape, `lookahead_frames` late."""
        noise = frame_noise(self.frame, mixture.shape[-1], mixture.shape[2]).to(mixture.device)
        next_states: list[list[Tensor]] = []

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            context = Context(self.states[len(next_states)])
            estimate: Tensor = self.denoiser(x, sigma, mixture, context)
            next_states.append(context.next)
            return estimate

        vocals = heun(denoise, noise * self.sigmas[0], self.sigmas)
        self.states, self.frame = next_states, self.frame + mixture.shape[-1]
        return vocals


def default_sigmas(denoiser: Denoiser, steps: int | None = None) -> list[float]:
    """The noise levels that the model's own configuration asks for."""
    edm = denoiser.config.edm
    return karras_sigmas(steps or edm.steps, edm.sigma_min, edm.sigma_max, edm.rho)


def separate_causal(
    denoiser: Denoiser,
    waveform: Tensor,
    sigmas: Sequence[float],
    progress: Callable[[int], None] = lambda samples: None,
    piece_frames: int = 512,
) -> Tensor:
    """Vocals (2, samples) of a waveform (2, samples) at the model's rate, aligned to the sample."""
    spectrum, lookahead = denoiser.config.spectrum, denoiser.lookahead_frames
    hop, samples = spectrum.hop_length, waveform.shape[1]
    if samples == 0:
        return waveform.clone()
    frames = -(-(samples + spectrum.latency) // hop) + lookahead
    padded = F.pad(waveform, (0, frames * hop - samples))
    image = analyse(padded[None], spectrum)
    sampler = StreamingSampler(denoiser, sigmas)
    pieces = []
    for start in range(0, frames, piece_frames):
        pieces.append(sampler.process(image[..., start : start + piece_frames]))
        progress(min((start + piece_frames) * hop, samples))
    vocals = torch.cat(pieces, dim=-1)[..., lookahead:]
    return synthesise(vocals, spectrum)[0, :, :samples].clone()

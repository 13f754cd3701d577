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
from diffvs.spectrum import RunningLevel, analyse, level, synthesise

NOISE_SEED = 2604_01120
Progress = Callable[[int], None]  # told how many samples are done


def frame_noise(first: int, frames: int, bins: int, seed: int = NOISE_SEED) -> Tensor:
    """Unit normal noise (1, 4, bins, frames) of frames first, first + 1, ...: a function of their number."""
    noise = np.empty((frames, 4, bins), np.float32)
    for index in range(frames):
        bits = np.random.Philox(key=seed, counter=[0, first + index, 0, 0])
        np.random.Generator(bits).standard_normal(out=noise[index], dtype=np.float32)
    return torch.from_numpy(noise.transpose(1, 2, 0)[None].copy())


def start_image(first: int, frames: int, bins: int, deviation: float) -> Tensor:
    """What samplers start from, (1, 4, bins, frames): noise of this standard deviation, or zeros."""
    return frame_noise(first, frames, bins) * deviation if deviation else torch.zeros(1, 4, bins, frames)


class StreamingSampler:
    """Images of consecutive frames in, vocals images out; the past of every evaluation is kept in between.

    Without a temperature it is the model's own, here and below.
    """

    def __init__(self, denoiser: Denoiser, sigmas: Sequence[float], temperature: float | None = None) -> None:
        self.denoiser, self.sigmas = denoiser, list(sigmas)
        self.start_sigma = start_sigma(denoiser, sigmas, temperature)
        self.evaluations = 2 * len(sigmas) - 3
        self.reset()

    def reset(self) -> None:
        """As after construction: silence has come before, and the next frame is frame 0."""
        device = next(self.denoiser.parameters()).device
        zeros = [torch.zeros(1, *shape, device=device) for shape in self.denoiser.state_shapes()]
        self.states = [zeros] * self.evaluations
        self.level = RunningLevel(self.denoiser.config.spectrum)
        self.unanswered = torch.ones(1, 1, 1, self.denoiser.lookahead_frames, device=device)  # levels
        self.frame = 0

    @torch.inference_mode()
    def process(self, mixture: Tensor) -> Tensor:
        """Mixture image (1, 4, bins, t) -> vocals image of the same shape, `lookahead_frames` late."""
        frames = mixture.shape[-1]
        start = start_image(self.frame, frames, mixture.shape[2], self.start_sigma).to(mixture.device)
        levels = torch.cat([self.unanswered, self.level.follow(mixture)], dim=-1)
        mixture = mixture / levels[..., -frames:]
        next_states: list[list[Tensor]] = []

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            context = Context(self.states[len(next_states)])
            estimate: Tensor = self.denoiser(x, sigma, mixture, context)
            next_states.append(context.next)
            return estimate

        vocals = heun(denoise, start, self.sigmas)
        self.states, self.unanswered = next_states, levels[..., frames:]
        self.frame += frames
        return vocals * levels[..., :frames]


def default_sigmas(denoiser: Denoiser, steps: int | None = None) -> list[float]:
    """The noise levels that the model's own configuration asks for."""
    edm = denoiser.config.edm
    return karras_sigmas(steps or edm.steps, edm.sigma_min, edm.sigma_max, edm.rho)


def start_sigma(denoiser: Denoiser, sigmas: Sequence[float], temperature: float | None = None) -> float:
    """Standard deviation of what a sampler starts from: that of sigmas[0] at temperature 1."""
    return sigmas[0] * (denoiser.config.edm.temperature if temperature is None else temperature)


def separate_causal(
    denoiser: Denoiser,
    waveform: Tensor,
    sigmas: Sequence[float],
    progress: Progress = lambda samples: None,
    piece_frames: int = 128,
    temperature: float | None = None,
) -> Tensor:
    """Vocals (2, samples) of a waveform (2, samples) at the model's rate, aligned to the sample.

    Images and activations are made and forgotten piece by piece; of the song only samples are kept.
    """
    spectrum, lookahead = denoiser.config.spectrum, denoiser.lookahead_frames
    hop, samples = spectrum.hop_length, waveform.shape[1]
    if samples == 0:
        return waveform.clone()
    frames = -(-(samples + spectrum.latency) // hop) + lookahead
    history = (spectrum.n_fft - hop) // hop  # frames before one whose samples it hears as well
    overlap = spectrum.latency // hop  # frames whose synthesis reaches into the ones after them
    sampler = StreamingSampler(denoiser, sigmas, temperature)
    pieces: list[Tensor] = []
    carried: Tensor | None = None  # the last `overlap` frames of vocals: their samples are not whole yet
    for start in range(0, frames, piece_frames):
        stop = min(start + piece_frames, frames)
        before = min(history, start)
        heard = waveform[None, :, (start - before) * hop : stop * hop]
        heard = F.pad(heard, (0, (stop - start + before) * hop - heard.shape[-1]))
        vocals = sampler.process(analyse(heard, spectrum)[..., before:])
        if carried is not None:
            vocals = torch.cat([carried, vocals], dim=-1)
        made = synthesise(vocals, spectrum)[0]
        carried = vocals[..., max(0, vocals.shape[-1] - overlap) :]
        last = stop == frames
        pieces.append(made if last else made[:, : max(0, vocals.shape[-1] - overlap) * hop])
        progress(min(stop * hop, samples))
    return torch.cat(pieces, dim=1)[:, lookahead * hop :][:, :samples].clone()


@torch.inference_mode()
def separate_windows(
    denoiser: Denoiser,
    waveform: Tensor,
    sigmas: Sequence[float],
    progress: Progress = lambda samples: None,
    batch_size: int = 1,
    temperature: float | None = None,
) -> Tensor:
    """The same for a network that sees a window at once: windows overlap by half and are cross-faded.

    The noise of a frame is a function of its number in the song, so that windows share it where they overlap.
    `batch_size` windows are separated at a time.
    """
    spectrum, samples = denoiser.config.spectrum, waveform.shape[1]
    whole = denoiser.config.segment - spectrum.latency  # the rest of a window lacks the frames behind it
    stride = whole // 2 // spectrum.hop_length * spectrum.hop_length
    starts = range(0, max(samples - whole, 0) + stride, stride)
    padded = F.pad(waveform, (0, starts[-1] + denoiser.config.segment - samples))
    fade = torch.hann_window(whole + 2, periodic=False, device=waveform.device)[1:-1]
    vocals, weight = torch.zeros_like(padded), torch.zeros_like(padded[0])
    for first in range(0, len(starts), batch_size):
        together = starts[first : first + batch_size]
        mixtures = torch.stack([padded[:, start : start + denoiser.config.segment] for start in together])
        first_frames = [at // spectrum.hop_length for at in together]
        estimates = _separate_batch(denoiser, mixtures, sigmas, first_frames, temperature)
        for start, estimate in zip(together, estimates, strict=True):
            vocals[:, start : start + whole] += fade * estimate[:, :whole]
            weight[start : start + whole] += fade
            progress(min(start + whole, samples))
    return vocals[:, :samples] / weight[:samples]


def _separate_batch(
    denoiser: Denoiser,
    mixtures: Tensor,
    sigmas: Sequence[float],
    first_frames: Sequence[int],
    temperature: float | None,
) -> Tensor:
    """Vocals (b, 2, segment) of windows (b, 2, segment) whose first frames have these numbers in the song."""
    spectrum = denoiser.config.spectrum
    loudness = level(mixtures, spectrum)
    image = analyse(mixtures / loudness, spectrum)
    deviation = start_sigma(denoiser, sigmas, temperature)
    starts = [start_image(first, image.shape[-1], image.shape[2], deviation) for first in first_frames]
    vocals = heun(lambda x, sigma: denoiser(x, sigma, image), torch.cat(starts).to(image.device), sigmas)
    return synthesise(vocals, spectrum) * loudness


def separate(
    denoiser: Denoiser,
    waveform: Tensor,
    sigmas: Sequence[float],
    progress: Progress = lambda samples: None,
    batch_size: int = 1,
    temperature: float | None = None,
) -> Tensor:
    """Vocals (2, samples) of a waveform (2, samples) at the model's rate, whatever kind of model it is."""
    if denoiser.causal:
        return separate_causal(denoiser, waveform, sigmas, progress, temperature=temperature)
    return separate_windows(denoiser, waveform, sigmas, progress, batch_size, temperature)

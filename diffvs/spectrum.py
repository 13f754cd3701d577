"""Waveform <-> compressed complex spectrogram as real channels. Nothing here is learned.

The amplitude transformation |X| -> scale * |X|^exponent keeps the phase and flattens the energy, as in the
score-based speech enhancement of Richter et al. (2023), https://arxiv.org/abs/2208.05830.

Legend: b batch, c waveform channel (left, right), k bin, t frame; an image is (b, 4, k, t) with the channels
left.re, left.im, right.re, right.im.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (PyTorch's own convention)

from diffvs.config import SpectrumConfig

TINY = 1e-8  # keeps the gradient of |X|^exponent finite at silence; -80 dB below a compressed amplitude of 1
QUIET = 1e-3  # peak or level of a mixture that is as good as silent: -60 dBFS
FORGOTTEN = 1e-12  # sum of power that says nothing any more about the level of what comes next


def windows(config: SpectrumConfig, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis window, (n_fft,) and (synthesis_length,), whose product overlap-adds to 1.

    Analysis rises as a sine over all but the last half of the synthesis, where it falls as a cosine; the
    synthesis turns that into a periodic Hann window. So the resolution is that of n_fft and the delay that of
    synthesis_length: Mauler and Martin (2007), "A low delay, variable resolution, perfect reconstruction
    spectral analysis-synthesis system for speech enhancement". With equal lengths both are square-root Hann.
    """
    n_fft, length = config.n_fft, config.synthesis_length or config.n_fft
    rise, fall = n_fft - length // 2, length // 2
    rising = torch.sin(torch.arange(rise, device=device) * (math.pi / (2 * rise)))
    falling = torch.cos(torch.arange(fall, device=device) * (math.pi / (2 * fall)))
    analysis = torch.cat([rising, falling]) * math.sqrt(2 * config.hop_length / n_fft)
    hann = torch.hann_window(length, device=device) * (2 * config.hop_length / length)
    # Where the analysis begins with 0 so does the Hann window.
    return analysis, hann / analysis[-length:].clamp(min=TINY)


def level(mixture: Tensor, config: SpectrumConfig) -> Tensor:
    """What a mixture (b, 2, samples), and its vocals alike, is divided by before analysis: (b, 1, 1).

    The peak of the mixture where the model asks for it (not less than QUIET, so that silence stays silent),
    else 1.
    """
    if not config.peak_normalise:
        return mixture.new_ones(len(mixture), 1, 1)
    return mixture.abs().amax((1, 2), keepdim=True).clamp(min=QUIET)


class RunningLevel:
    """What a causal model divides each frame of a mixture by, and of its vocals alike: its level so far.

    That is the root of the mean power of the frames heard, in which a frame counts by its own power and by
    its age: exp(-age / level_seconds). So an onset is followed at once, a fall slowly, and a pause changes
    nothing until it is long. At least QUIET. Without level_seconds frames are left as they are.
    """

    def __init__(self, config: SpectrumConfig) -> None:
        self.config = config
        self.keep = math.exp(-config.hop_length / config.sample_rate / (config.level_seconds or math.inf))
        self.sums: Tensor | float = 0.0  # of power and its square, weighted by age: (2, b, 1)

    def follow(self, mixture: Tensor) -> Tensor:
        """The image (b, 4, bins, t) of the next frames -> what divides images there, (b, 1, 1, t)."""
        if not self.config.level_seconds:
            return mixture.new_ones(1, 1, 1, mixture.shape[-1])
        power = expand(mixture, self.config).double().square().sum((1, 2)) / self.config.hop_length
        frame = torch.arange(power.shape[-1], device=power.device)
        weight = (self.keep ** (frame - frame[:, None]).double()).triu()  # of each frame (row) in each level
        sums = torch.stack([power, power.square()]) @ weight + self.keep ** (frame + 1).double() * self.sums
        self.sums = sums[..., -1:]
        level = (sums[1] / (sums[0] + FORGOTTEN)).sqrt().clamp(min=QUIET)
        return (level**self.config.exponent).to(mixture.dtype)[:, None, None]


def analyse(waveform: Tensor, config: SpectrumConfig) -> Tensor:
    """(b, 2, samples) -> image (b, 4, bins, samples // hop_length).

    Frame t ends with sample (t + 1) * hop_length: what a live analysis has seen when that sample arrives.
    """
    batch, channels, samples = waveform.shape
    if channels != 2 or samples % config.hop_length:
        raise ValueError(
            f"waveform must be (batch, 2, a multiple of {config.hop_length}), got {tuple(waveform.shape)}"
        )
    padded = F.pad(waveform.reshape(batch * 2, samples), (config.n_fft - config.hop_length, 0))
    spectrum = torch.stft(
        padded,
        config.n_fft,
        config.hop_length,
        window=windows(config, waveform.device)[0],
        center=False,
        return_complex=True,
    )[:, : config.bins]
    spectrum = torch.view_as_real(spectrum) / config.n_fft**0.5
    spectrum = spectrum.reshape(batch, 2, *spectrum.shape[1:]).permute(0, 1, 4, 2, 3)
    return compress(spectrum.flatten(1, 2), config)


def synthesise(image: Tensor, config: SpectrumConfig) -> Tensor:
    """Image (b, 4, bins, t) -> waveform (b, 2, t * hop_length), aligned with what `analyse` was given.

    The last `config.latency` samples are incomplete: their later frames are not in the image.
    """
    batch, _, bins, frames = image.shape
    spectrum = expand(image, config).reshape(batch, 2, 2, bins, frames).permute(0, 1, 3, 4, 2).contiguous()
    spectrum = torch.view_as_complex(spectrum).flatten(0, 1) * config.n_fft**0.5
    spectrum = F.pad(spectrum, (0, 0, 0, config.n_fft // 2 + 1 - bins))
    window = windows(config, image.device)[1]
    columns = torch.fft.irfft(spectrum, config.n_fft, dim=1)[:, -len(window) :] * window[:, None]
    length = (frames - 1) * config.hop_length + len(window)
    waveform = F.fold(columns, (1, length), (1, len(window)), stride=(1, config.hop_length))
    return waveform.reshape(batch, 2, length)[..., config.latency :]


def compress(image: Tensor, config: SpectrumConfig) -> Tensor:
    """Amplitude transformation of a linear image (b, 4, bins, t)."""
    return image * (config.scale * _amplitude(image) ** (config.exponent - 1))


def expand(image: Tensor, config: SpectrumConfig) -> Tensor:
    """Inverse of `compress`, exact for amplitudes well above TINY."""
    image = image / config.scale
    return image * _amplitude(image) ** (1 / config.exponent - 1)


def modulus(image: Tensor) -> Tensor:
    """|X| of each waveform channel, (b, 2, bins, t)."""
    return (image[:, 0::2].square() + image[:, 1::2].square() + TINY**2).sqrt()


def _amplitude(image: Tensor) -> Tensor:
    """|X| of each waveform channel, repeated for its real and imaginary part: (b, 4, bins, t)."""
    return modulus(image).repeat_interleave(2, dim=1)

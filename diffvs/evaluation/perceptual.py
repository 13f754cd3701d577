"""What the ear weighs: A-weighted multi-resolution STFT distances, and the weighted error in silent passages.

The multi-resolution STFT loss is that of auraloss 0.4 (Steinmetz and Reiss 2020) with the settings of
Bereuter et al. (2025), https://arxiv.org/abs/2507.11427; logWMSE is that of
https://github.com/nomonosound/log-wmse-audio-quality.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from scipy import signal
from torch import Tensor

RESOLUTIONS = (256, 512, 1024, 2048, 4096)  # FFT and window; the hop is a quarter of it
POWER_FLOOR = 1e-8  # under the squared magnitude, so that the logarithm of silence is finite
PIECE = 1 << 17  # samples transformed at a time: a whole song at five resolutions would fill gigabytes

AUDIBLE = 10 ** (-68 / 20)  # errors below, relative to the mixture's weighted RMS, cannot be heard
LOG_WMSE_SCALE, LOG_WMSE_EPSILON = -4.0, 1e-8  # so the best value is 73.7

Array = npt.NDArray[np.float64]


def spectral_sums(estimate: Tensor, reference: Tensor, sample_rate: int) -> Array:
    """(seconds, resolutions, channels, 4): what `spectral_loss` needs for any choice of seconds.

    Both are (channels, samples), at least 2,049 samples. The four are sums of the squared difference of the
    magnitudes, of the squared reference, of the absolute difference of the logarithms, and the number of
    bins. An STFT frame belongs to the second in which its centre lies.
    """
    channels, samples = reference.shape
    taps = a_weighting(sample_rate)
    pair = torch.cat([filtered(estimate, taps), filtered(reference, taps)])
    sums = torch.zeros(-(-samples // sample_rate), len(RESOLUTIONS), channels, 4, dtype=torch.float64)
    for index, n_fft in enumerate(RESOLUTIONS):
        hop, frames = n_fft // 4, 1 + samples // (n_fft // 4)
        padded = torch.nn.functional.pad(pair[None], (n_fft // 2, n_fft // 2), mode="reflect")[0]
        for first in range(0, frames, PIECE // hop):
            count = min(PIECE // hop, frames - first)
            piece = padded[:, first * hop : (first + count - 1) * hop + n_fft]
            centres = (torch.arange(first, first + count) * hop).clamp(max=samples - 1)
            sums[:, index].index_add_(0, centres // sample_rate, _frame_sums(piece, n_fft))
    return sums.numpy()


def _frame_sums(piece: Tensor, n_fft: int) -> Tensor:
    """(2 * channels, samples), estimate first, -> (frames, channels, 4) on the CPU."""
    window = torch.hann_window(n_fft, device=piece.device)
    spectrum = torch.stft(piece, n_fft, n_fft // 4, window=window, center=False, return_complex=True)
    power = (spectrum.real.square() + spectrum.imag.square()).clamp(min=POWER_FLOOR)
    (x, y), (log_x, log_y) = power.sqrt().chunk(2), (0.5 * power.log()).chunk(2)
    bins = torch.full(x.shape[::2], float(x.shape[1]), device=x.device)
    sums = [(y - x).square().sum(1), y.square().sum(1), (log_x - log_y).abs().sum(1), bins]
    return torch.stack(sums, dim=-1).transpose(0, 1).double().cpu()


def spectral_loss(sums: Array) -> Array:
    """(..., resolutions, channels, 4), summed over seconds, -> (...).

    Spectral convergence plus log-magnitude distance of each resolution and channel, averaged over both. NaN
    where the reference is silent.
    """
    difference, reference, logarithms, bins = np.moveaxis(sums, -1, 0)
    # The floor under the magnitudes is all that a silent reference holds.
    silent = (reference <= 1.001 * POWER_FLOOR * bins).all(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):  # the last second may be too short for any frame
        loss = np.sqrt(difference / reference) + logarithms / bins
    return np.where(silent, np.nan, loss.mean(axis=(-2, -1)))


def log_wmse(estimate: Tensor, reference: Tensor, mixture: Tensor, sample_rate: int) -> Array:
    """logWMSE of every whole second, (seconds,); all are (channels, samples). 73.7 is best: no audible error.

    -4 ln(mean(d^2) + 1e-8) per channel, then the mean over channels. d is the error after a filter shaped
    like the sensitivity of hearing, divided by the filtered mixture's RMS in that second; |d| below -68 dB
    counts as 0. Unlike SDR it is defined where the reference is silent, but not where the mixture is. The
    filter runs over the whole song, so that cutting it into seconds adds no edges.
    """
    taps = hearing(sample_rate)
    seconds = reference.shape[-1] // sample_rate
    both = torch.stack([filtered(estimate - reference, taps), filtered(mixture, taps)])
    both = both[..., : seconds * sample_rate].double()
    error, heard = both.reshape(2, len(reference), seconds, sample_rate)
    error = error / heard.square().mean(-1, keepdim=True).sqrt()
    error = torch.where(error.abs() < AUDIBLE, 0.0, error)
    values = LOG_WMSE_SCALE * (error.square().mean(-1) + LOG_WMSE_EPSILON).log()
    result: Array = values.mean(0).cpu().numpy()
    return result


def filtered(samples: Tensor, taps: npt.NDArray[np.float32]) -> Tensor:
    """Convolve (channels, samples) with a filter whose middle tap is its origin; the length stays."""
    convolved = signal.oaconvolve(samples.cpu().numpy(), taps[None], mode="same", axes=-1)
    return torch.from_numpy(convolved.astype(np.float32)).to(samples.device)


@lru_cache
def a_weighting(sample_rate: int) -> npt.NDArray[np.float32]:
    """101 taps: a least-squares fit to the A-weighting curve of IEC 61672, as auraloss makes it."""
    f1, f2, f3, f4 = 2 * np.pi * np.array([20.598997, 107.65265, 737.86223, 12194.217])
    numerator = [f4**2 * 10 ** (1.9997 / 20), 0, 0, 0, 0]
    b, a = signal.bilinear(numerator, np.poly([-f4, -f4, -f1, -f1, -f3, -f2]), fs=sample_rate)
    frequency, response = signal.freqz(b, a, worN=512, fs=sample_rate)
    taps: npt.NDArray[np.float32] = signal.firls(101, frequency, abs(response), fs=sample_rate).astype(
        np.float32
    )
    return taps


@lru_cache
def hearing(sample_rate: int) -> npt.NDArray[np.float32]:
    """4,000 taps without phase: a shelf, a high-pass, a bell and a low-pass, after Fenton and Lee (2017)."""
    n_fft = 8_192
    frequency = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    low_pass = signal.butter(1, 10_000, "low", fs=sample_rate)
    sections = (
        _high_shelf(1_500, 5.0, 2**-0.5, sample_rate),
        signal.butter(2, 120, "high", fs=sample_rate),
        _bell(500, 2.5, 1.5 * 2**-0.5, sample_rate),
        low_pass,
        low_pass,  # forwards and backwards
    )
    response = np.ones(len(frequency))
    for b, a in sections:
        response *= np.abs(signal.freqz(b, a, worN=frequency, fs=sample_rate)[1])
    taps = np.fft.fftshift(np.fft.irfft(response, n_fft))[n_fft // 2 - 1_999 : n_fft // 2 + 2_001]
    return taps.astype(np.float32)


def _bell(frequency: float, gain_db: float, q: float, sample_rate: int) -> tuple[Array, Array]:
    """Peaking equaliser of Bristow-Johnson's "Audio EQ Cookbook"."""
    A, omega = 10 ** (gain_db / 40), 2 * np.pi * frequency / sample_rate
    alpha, cos = np.sin(omega) / (2 * q), np.cos(omega)
    return (
        np.array([1 + alpha * A, -2 * cos, 1 - alpha * A]),
        np.array([1 + alpha / A, -2 * cos, 1 - alpha / A]),
    )


def _high_shelf(frequency: float, gain_db: float, q: float, sample_rate: int) -> tuple[Array, Array]:
    """High shelf of Bristow-Johnson's "Audio EQ Cookbook"."""
    A, omega = 10 ** (gain_db / 40), 2 * np.pi * frequency / sample_rate
    cos, root = np.cos(omega), np.sqrt(A) * np.sin(omega) / q
    b = A * np.array(
        [A + 1 + (A - 1) * cos + root, -2 * (A - 1 + (A + 1) * cos), A + 1 + (A - 1) * cos - root]
    )
    a = np.array([A + 1 - (A - 1) * cos + root, 2 * (A - 1 - (A + 1) * cos), A + 1 - (A - 1) * cos - root])
    return b, a

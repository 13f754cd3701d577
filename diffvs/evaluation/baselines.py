"""What any model must beat, and the best that a mask can do: separation without a network.

Each takes the mixture and the true stems, (channels, samples), and gives vocals and accompaniment.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

N_FFT, HOP = 4_096, 1_024
LOWEST_HZ = 90  # of singing; bass and kick drum stand in the centre too, but below
TINY = 1e-12

Baseline = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def mixture_itself(
    mixture: Tensor, vocals: Tensor, accompaniment: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """Do nothing: the mixture passes for the vocals, and for the accompaniment."""
    return mixture, mixture


def centre_mask(
    mixture: Tensor, vocals: Tensor, accompaniment: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """Keep what both channels share: (1 - |L - R| / (|L| + |R|))^2 on every bin from LOWEST_HZ on.

    Needs no model and no truth; what many players offer as vocal reduction. A mono mixture passes whole.
    """
    spectrum = _stft(mixture)
    left, right = spectrum[0], spectrum[-1]
    mask = (1 - (left - right).abs() / (left.abs() + right.abs() + TINY)).clamp(min=0).square()
    mask[: round(LOWEST_HZ * N_FFT / sample_rate)] = 0
    estimate = _istft(spectrum * mask, mixture)
    return estimate, mixture - estimate


def ideal_ratio_mask(
    mixture: Tensor, vocals: Tensor, accompaniment: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """|V|^2 / (|V|^2 + |A|^2) of the true stems, per channel: about the best that a real mask can do."""
    v, a = _stft(vocals).abs().square(), _stft(accompaniment).abs().square()
    estimate = _istft(_stft(mixture) * (v / (v + a + TINY)), mixture)
    return estimate, mixture - estimate


BASELINES: dict[str, Baseline] = {
    "mixture": mixture_itself,
    "centre mask": centre_mask,
    "ideal ratio mask": ideal_ratio_mask,
}


def _stft(samples: Tensor) -> Tensor:
    window = torch.hann_window(N_FFT, device=samples.device)
    # Zeros, not reflections: a file may be shorter than half a window.
    spectrum: Tensor = torch.stft(
        samples, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True
    )
    return spectrum


def _istft(spectrum: Tensor, like: Tensor) -> Tensor:
    window = torch.hann_window(N_FFT, device=like.device)
    samples: Tensor = torch.istft(spectrum, N_FFT, HOP, window=window, length=like.shape[-1])
    return samples

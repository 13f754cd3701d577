"""One way to draw what was heard, for every picture."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from diffvs.data.audio import Audio

N_FFT = 1_024


def draw(axes: Axes, samples: Audio, rate: int) -> AxesImage:
    """The spectrogram of (2, samples), in dB of full scale."""
    window = torch.hann_window(N_FFT)
    mono = torch.from_numpy(samples.mean(axis=0))
    levels = torch.stft(mono, N_FFT, window=window, return_complex=True).abs() / (N_FFT / 4)
    return axes.imshow(
        20 * torch.log10(levels + 1e-6).numpy(),
        origin="lower",
        aspect="auto",
        extent=(0.0, samples.shape[1] / rate, 0.0, rate / 2_000),
        vmin=-90,
        vmax=-10,
    )

"""Audio <-> the image that a network sees; `diffvs.spectrum` is the same in torch, and a test compares them.

An image is (1, 4, bins, frames) with the channels left.re, left.im, right.re, right.im. The amplitude
transformation |X| -> scale * |X|^exponent is that of Richter et al. (2023), https://arxiv.org/abs/2208.05830.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import cpp_ext
from stream.separation.sampler import Image
from stream.separation.separator import windows
from stream.separation.spec import ModelSpec

TINY = 1e-8  # keeps |X| ** negative finite
QUIET = 1e-3  # peak or level of a mixture that is as good as silent: -60 dBFS

Spectra = NDArray[np.complex64]  # (frames, channels, n_bins)


def transforms(spec: ModelSpec) -> tuple[cpp_ext.StftAnalysis, cpp_ext.StftSynthesis]:
    """Analysis and synthesis at the scale that the model was trained with."""
    analysis, synthesis = windows(spec.n_fft, spec.hop_length, spec.synthesis_length)
    analysis /= np.float32(spec.n_fft**0.5)  # as spectra are; the synthesis undoes any scale of the analysis
    sizes = spec.n_fft, spec.hop_length, spec.channels
    return cpp_ext.StftAnalysis(*sizes, analysis), cpp_ext.StftSynthesis(*sizes, analysis, synthesis)


def make_spectra(spec: ModelSpec, frames: int) -> Spectra:
    """Silence; above the bins of the model it stays so."""
    return np.zeros((frames, spec.channels, spec.n_fft // 2 + 1), np.complex64)


def compress(spectra: Spectra, spec: ModelSpec, image: Image) -> None:
    """Spectra (frames, 2, n_bins) -> the network's image (1, 4, bins, frames), amplitudes compressed."""
    parts = spectra.view(np.float32).reshape(*spectra.shape, 2)[:, :, : spec.bins]  # real, imaginary
    power = parts[..., 0] ** 2 + parts[..., 1] ** 2 + TINY**2
    gain = spec.scale * power ** ((spec.exponent - 1) / 2)
    out = image.reshape(2, 2, spec.bins, -1)  # channel, part, bin, frame
    np.multiply(parts.transpose(1, 3, 2, 0), gain.transpose(1, 2, 0)[:, np.newaxis], out=out)


def expand(image: Image, spec: ModelSpec, spectra: Spectra) -> None:
    """Inverse of `compress`; bins that the network does not see are left as they are."""
    real, imag = image.reshape(2, 2, spec.bins, -1).transpose(1, 3, 0, 2)  # frame, channel, bin
    power = real**2 + imag**2 + (TINY * spec.scale) ** 2
    gain = spec.scale ** (-1 / spec.exponent) * power ** ((1 / spec.exponent - 1) / 2)
    np.multiply(real, gain, out=spectra.real[:, :, : spec.bins])
    np.multiply(imag, gain, out=spectra.imag[:, :, : spec.bins])

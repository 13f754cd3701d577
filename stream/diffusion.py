"""DiffusionSeparator: transform, a few steps of the sampler, transform back.

With a deterministic sampler, evaluation j of every frame happens at the same noise level. So each evaluation
has its own state, and frames may come in pieces of any size: the stream equals the whole song at once
(`diffvs.sampling` says the same in torch; a test compares).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cpp_ext
from stream.model import Image, OnnxModel
from stream.sampler import evaluation_sigmas, frame_noise, heun, karras_sigmas
from stream.separator import Audio, ModelError, sqrt_hann
from stream.spec import ModelSpec

MAX_FRAMES = 8  # per run of the network: more gains little speed and costs memory
TINY = 1e-8  # as in diffvs.spectrum: keeps |X| ** negative finite

Spectra = NDArray[np.complex64]  # (frames, channels, n_bins)


class DiffusionSeparator:
    """A Separator around an exported causal model."""

    def __init__(self, model: OnnxModel, *, steps: int | None = None):
        spec = model.spec
        if spec.kind != "causal":
            raise ModelError(f"the model {spec.name} is of kind {spec.kind}, which cannot be run live yet")
        if steps is not None and steps < 1:
            raise ModelError(f"the number of steps must be at least 1, got {steps}")
        self.model = model
        self.sample_rate = spec.sample_rate
        self.channels = spec.channels
        self.hop_length = spec.hop_length
        self.lookahead = spec.lookahead_frames * spec.hop_length
        self.latency = spec.latency
        self._spec = spec
        self._sigmas = karras_sigmas(steps or spec.steps, spec.sigma_min, spec.sigma_max, spec.rho)
        # Scaled as in training, where analysis and synthesis share what makes them add up to 1.
        window = sqrt_hann(spec.n_fft) * np.float32((2 * spec.hop_length / spec.n_fft) ** 0.5)
        sizes = spec.n_fft, spec.hop_length, spec.channels
        self._analysis = cpp_ext.StftAnalysis(*sizes, window)
        self._synthesis = cpp_ext.StftSynthesis(*sizes, window, window)

    def prepare(self, max_hops: int) -> None:
        spec, frames = self._spec, min(max_hops, MAX_FRAMES)
        self._spectra = np.zeros((frames, spec.channels, spec.n_fft // 2 + 1), np.complex64)
        self._noise = np.empty(4 * spec.bins * frames, np.float32)
        self._vocals = np.empty((max_hops * spec.hop_length, spec.channels), np.float32)
        self.model.prepare(frames, evaluation_sigmas(self._sigmas))
        self.reset()

    def process(self, mixture: Audio) -> Audio:
        vocals = self._vocals[: len(mixture)]
        piece = MAX_FRAMES * self.hop_length
        for start in range(0, len(mixture), piece):
            self._separate(mixture[start : start + piece], vocals[start : start + piece])
        return vocals

    def reset(self) -> None:
        self._analysis.reset()
        self._synthesis.reset()
        self.model.reset()
        self._frame = 0

    def _separate(self, mixture: Audio, vocals: Audio) -> None:
        """One run of the network's worth of hops."""
        frames = len(mixture) // self.hop_length
        spectra = self._spectra[:frames]
        self._analysis.process(mixture, spectra)
        compress(spectra, self._spec, self.model.mixture(frames))
        estimate = self._estimate(frames)
        expand(estimate, self._spec, spectra)
        self._synthesis.process(spectra, vocals)

    def _estimate(self, frames: int) -> Image:
        shape = (1, 4, self._spec.bins, frames)
        x = self._noise[: np.prod(shape)].reshape(shape)
        frame_noise(self._frame, self._spec.noise_seed, x)
        x *= np.float32(self._sigmas[0])
        self._frame += frames
        for estimate in heun(self.model.evaluate, x, self._sigmas):  # noqa: B007
            pass
        return estimate


def load(
    path: Path, *, provider: str = "auto", steps: int | None = None, threads: int = 1
) -> DiffusionSeparator:
    """The separator of an .onnx file. Raises ModelError."""
    return DiffusionSeparator(OnnxModel(path, provider=provider, threads=threads), steps=steps)


def compress(spectra: Spectra, spec: ModelSpec, image: Image) -> None:
    """Spectra (frames, 2, n_bins) -> the network's image (1, 4, bins, frames), amplitudes compressed."""
    kept = spectra[:, :, : spec.bins] / np.float32(spec.n_fft**0.5)
    amplitude = np.sqrt(kept.real**2 + kept.imag**2 + np.float32(TINY**2))
    kept *= np.float32(spec.scale) * amplitude ** np.float32(spec.exponent - 1)
    parts = kept.view(np.float32).reshape(len(kept), 2, spec.bins, 2)  # real, imaginary
    image.reshape(2, 2, spec.bins, -1)[...] = parts.transpose(1, 3, 2, 0)


def expand(image: Image, spec: ModelSpec, spectra: Spectra) -> None:
    """Inverse of `compress`; the bins that the network does not see become silent."""
    real, imag = image.reshape(2, 2, spec.bins, -1).transpose(1, 3, 0, 2) / np.float32(spec.scale)
    amplitude = np.sqrt(real**2 + imag**2 + np.float32(TINY**2))
    gain = np.float32(spec.n_fft**0.5) * amplitude ** np.float32(1 / spec.exponent - 1)
    spectra[:, :, spec.bins :] = 0
    spectra.real[:, :, : spec.bins] = real * gain
    spectra.imag[:, :, : spec.bins] = imag * gain

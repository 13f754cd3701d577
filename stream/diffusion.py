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
from stream.anytime import Anytime
from stream.model import Image, OnnxModel
from stream.sampler import evaluation_sigmas, frame_noise, heun, karras_sigmas
from stream.separator import Audio, ModelError, sqrt_hann
from stream.spec import ModelSpec

MAX_FRAMES = 8  # per run of the network: more gains little speed and costs memory
TINY = 1e-8  # as in diffvs.spectrum: keeps |X| ** negative finite

Spectra = NDArray[np.complex64]  # (frames, channels, n_bins)


class DiffusionSeparator:
    """A Separator around an exported causal model.

    With `anytime` it makes fewer evaluations when time is short; then what comes out depends on the load.
    """

    def __init__(self, model: OnnxModel, *, steps: int | None = None, anytime: Anytime | None = None):
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
        self._anytime = anytime
        self._sigmas = karras_sigmas(steps or spec.steps, spec.sigma_min, spec.sigma_max, spec.rho)
        # As in training, the window has half of what makes analysis and synthesis add up to 1, and spectra
        # are divided by sqrt(n_fft). The synthesis undoes any scale of the analysis.
        scale = (2 * spec.hop_length) ** 0.5 / spec.n_fft
        window = sqrt_hann(spec.n_fft) * np.float32(scale)
        sizes = spec.n_fft, spec.hop_length, spec.channels
        self._analysis = cpp_ext.StftAnalysis(*sizes, window)
        self._synthesis = cpp_ext.StftSynthesis(*sizes, window, window)

    @property
    def status(self) -> str:
        evaluations = 2 * len(self._sigmas) - 3
        quality = f"{evaluations} evaluation{'s' if evaluations > 1 else ''}"
        if self._anytime:
            quality = f"{self._anytime.ceiling} of {quality}"
        return f"{self._spec.name} on {self.model.provider}, {quality}"

    def prepare(self, max_hops: int) -> None:
        spec, frames = self._spec, min(max_hops, MAX_FRAMES)
        shape = (frames, spec.channels, spec.n_fft // 2 + 1)
        self._mixture_spectra = np.empty(shape, np.complex64)
        self._vocals_spectra = np.zeros(shape, np.complex64)  # above the bins of the model it stays so
        self._noise = np.empty(4 * spec.bins * frames, np.float32)
        self._vocals = np.empty((max_hops * spec.hop_length, spec.channels), np.float32)
        levels = evaluation_sigmas(self._sigmas)
        self._heard = [0] * len(levels)  # frames in the state of each evaluation
        self.model.prepare(frames, levels)
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
        self._heard = [self._spec.context_frames] * len(self._heard)  # silence is a past like any other
        self._frame = 0

    def _separate(self, mixture: Audio, vocals: Audio) -> None:
        """One run of the network's worth of hops."""
        frames = len(mixture) // self.hop_length
        if self._anytime:
            self._anytime.begin(frames)
        heard, separated = self._mixture_spectra[:frames], self._vocals_spectra[:frames]
        self._analysis.process(mixture, heard)
        compress(heard, self._spec, self.model.mixture(frames))
        expand(self._estimate(frames), self._spec, separated)
        self._synthesis.process(separated, vocals)
        if self._anytime:
            self._anytime.end(self._done)

    def _estimate(self, frames: int) -> Image:
        shape = (1, 4, self._spec.bins, frames)
        x = self._noise[: np.prod(shape)].reshape(shape)
        frame_noise(self._frame, self._spec.noise_seed, self._sigmas[0], x)
        self._frame += frames
        done = 0
        for _ in heun(self._denoise, x, self._sigmas):
            done += 1
            if self._anytime and not self._anytime.allows(done):
                break
        self._done = done
        for evaluation in range(done, len(self._heard)):
            self._heard[evaluation] = 0
        return self.model.denoised(frames)

    def _denoise(self, x: Image, evaluation: int) -> Image:
        """One evaluation. Where it missed frames, it starts again from silence and is faded in.

        The fade is as long as the network's context: when it ends, the state is what it would have been.
        """
        frames, context = x.shape[-1], self._spec.context_frames
        heard = self._heard[evaluation]
        self._heard[evaluation] = heard + frames
        if heard >= context:
            return self.model.evaluate(x, evaluation)
        if heard == 0:
            self.model.forget(evaluation)
        before = self.model.denoised(frames).copy()
        estimate = self.model.evaluate(x, evaluation)
        share = np.minimum(np.arange(heard + 1, heard + frames + 1, dtype=np.float32) / context, 1)
        estimate -= before
        estimate *= share
        estimate += before
        return estimate


def load(
    path: Path, *, provider: str = "auto", steps: int | None = None, threads: int = 1, live_share: float = 0.0
) -> DiffusionSeparator:
    """The separator of an .onnx file. Raises ModelError.

    Without `steps` it makes the model's own number of them; with a `live_share` of real time to spend, fewer
    when time is short.
    """
    model = OnnxModel(path, provider=provider, threads=threads)
    spec, anytime = model.spec, None
    if live_share and steps is None and spec.steps > 1:
        anytime = Anytime(2 * spec.steps - 1, hop_s=spec.hop_length / spec.sample_rate, share=live_share)
    return DiffusionSeparator(model, steps=steps, anytime=anytime)


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

"""The same inputs through torch and ONNX Runtime, tensor by tensor and song by song; refuses what differs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from diffvs.edm import Denoiser, heun
from diffvs.layers import Context
from diffvs.sampling import frame_noise, separate_causal
from diffvs.spectrum import analyse, compress, expand, level, synthesise
from export.convert import ExportError
from stream.separation.model import OnnxModel
from stream.separation.proof import relative, run_stream
from stream.separation.sampler import model_sigmas
from stream.separation.spec import ModelSpec

Audio = NDArray[np.float32]  # (samples, 2)

CHUNKS = (3, 1, 4, 2, 8)  # frames, of causal models; the state goes from one to the next
# Of the root mean square of what torch computes. The ranges of int8 are learned from music: it is compared on
# audio only, not on random images.
TOLERANCE = {
    "fp32": {"denoiser": 1e-4, "audio": 1e-4},
    "fp16": {"denoiser": 2e-2, "audio": 2e-2},
    "int8": {"audio": 0.1},
}
GOLDEN_HOPS = 24  # of causal models
GOLDEN_STRIDES = 3  # of window models, with one step: they are heavy
GOLDEN_SEED = 1


def verify(denoiser: Denoiser, path: Path) -> dict[str, float]:
    """Measured differences by name. Raises ExportError when one is over what the precision allows."""
    model = OnnxModel(path, provider="cpu")
    spec = model.spec
    edm, tolerances = denoiser.config.edm, TOLERANCE[spec.precision]
    differences = {}
    if "denoiser" in tolerances:
        sigmas = [edm.sigma_max, (edm.sigma_max * edm.sigma_min) ** 0.5, edm.sigma_min]
        differences["denoiser"] = compare_tensors(denoiser, model, sigmas)
    mixture, vocals, steps = golden_pair(denoiser, spec)
    differences["audio"] = relative(run_stream(model, mixture, steps), vocals)
    for name, difference in differences.items():
        if not difference <= tolerances[name]:  # a NaN is refused as well
            raise ExportError(
                f"the exported model differs from PyTorch by {difference:.2g} ({name}), "
                f"{spec.precision} allows {tolerances[name]:g}: it was not written"
            )
    return differences


def compare_tensors(denoiser: Denoiser, model: OnnxModel, sigmas: Sequence[float]) -> float:
    """Greatest relative difference of D at the sigmas, over chunks that hand their state on."""
    bins = model.spec.bins
    chunks = (model.spec.window_frames,) if model.spec.window_frames else CHUNKS
    model.prepare(chunks, sigmas)
    worst = 0.0
    for evaluation, sigma in enumerate(sigmas):
        states = [torch.zeros(1, *shape) for shape in denoiser.state_shapes()]
        first = 0
        for frames in chunks:
            mixture = frame_noise(first, frames, bins, seed=2)
            noisy = frame_noise(first, frames, bins, seed=3) * sigma
            context = Context(states)
            with torch.inference_mode():
                expected = denoiser(noisy, torch.full((1,), sigma), mixture, context)
            states, first = context.next, first + frames
            np.copyto(model.mixture(frames), mixture.numpy())
            worst = max(worst, relative(model.evaluate(noisy.numpy(), evaluation), expected.numpy()))
    return worst


def golden_pair(denoiser: Denoiser, spec: ModelSpec) -> tuple[Audio, Audio, int]:
    """Mixture and vocals (samples, 2) by torch, and the steps: what any runtime must come to anywhere."""
    hops = GOLDEN_HOPS if denoiser.causal else GOLDEN_STRIDES * spec.stride_frames
    steps = spec.steps if denoiser.causal else 1
    mixture = _excerpt(hops * spec.hop_length, spec.sample_rate)
    waveform, sigmas = torch.from_numpy(mixture.T.copy()), model_sigmas(spec, steps)
    if denoiser.causal:
        vocals = separate_causal(denoiser, waveform, sigmas)
    else:
        vocals = separate_sliding(denoiser, waveform, sigmas, spec)
    return mixture, np.ascontiguousarray(vocals.numpy().T), steps


@torch.inference_mode()
def separate_sliding(
    denoiser: Denoiser, waveform: Tensor, sigmas: Sequence[float], spec: ModelSpec
) -> Tensor:
    """What `stream.separation.window` does, in torch and at once: vocals (2, samples) of a waveform."""
    spectrum, hop, samples = denoiser.config.spectrum, spec.hop_length, waveform.shape[1]
    window, stride, lookahead = spec.window_frames, spec.stride_frames, spec.lookahead_frames
    runs = -(-(samples + spec.latency) // (stride * hop))
    padded = pad(waveform, (window * hop, runs * stride * hop - samples))
    fade = torch.arange(1, min(stride, lookahead) + 1) / (min(stride, lookahead) + 1)
    image = torch.zeros(1, 4, spec.bins, padded.shape[1] // hop)  # linear
    for end in range(window + stride, image.shape[-1] + 1, stride):
        heard = padded[None, :, (end - window) * hop : end * hop]
        loudness = level(heard, spectrum)
        mixture = analyse(padded[None] / loudness, spectrum)[..., end - window : end]
        start = frame_noise(end - window, window, spec.bins, spec.noise_seed)
        start *= spec.temperature * sigmas[0]
        estimate = heun(partial(_denoise, denoiser, mixture), start, sigmas)
        newest = (expand(estimate, spectrum) * loudness[..., None])[..., -stride - lookahead :]
        begin = end - stride - lookahead
        before = image[..., begin : begin + len(fade)]
        newest[..., : len(fade)] = before + fade * (newest[..., : len(fade)] - before)
        image[..., begin:end] = newest
    vocals = synthesise(compress(image[..., window:], spectrum), spectrum)
    return vocals[0, :, :samples].clone()


def _denoise(denoiser: Denoiser, mixture: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    estimate: Tensor = denoiser(x, sigma, mixture)
    return estimate


def _excerpt(samples: int, sample_rate: int) -> NDArray[np.float32]:
    """A voice-like glide in the middle over a noise that is different on each side."""
    seconds = np.arange(samples) / sample_rate
    phase = 2 * np.pi * (220 * seconds + 8 * np.sin(2 * np.pi * 3 * seconds))
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    noise = np.random.Generator(np.random.Philox(GOLDEN_SEED)).standard_normal((samples, 2))
    excerpt: NDArray[np.float32] = (0.1 * voice[:, None] + 0.03 * noise).astype(np.float32)
    return excerpt

"""The same inputs through torch and ONNX Runtime, tensor by tensor and song by song; refuses what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffvs.edm import Denoiser
from diffvs.layers import Context
from diffvs.sampling import frame_noise, separate_causal
from export.convert import ExportError
from stream.diffusion import DiffusionSeparator
from stream.model import OnnxModel
from stream.sampler import karras_sigmas

CHUNKS = (3, 1, 4, 2, 8)  # frames; the state goes from one to the next
# Of the root mean square of what torch computes. The ranges of int8 are learned from music: it is compared on
# audio only, not on random images.
TOLERANCE = {
    "fp32": {"denoiser": 1e-4, "audio": 1e-4},
    "fp16": {"denoiser": 2e-2, "audio": 2e-2},
    "int8": {"audio": 0.1},
}
GOLDEN_HOPS = 24
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
    mixture, vocals = golden_pair(denoiser, spec.steps)
    differences["audio"] = relative(run_stream(model, mixture, spec.steps), vocals)
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
    model.prepare(max(CHUNKS), sigmas)
    worst = 0.0
    for evaluation, sigma in enumerate(sigmas):
        states = [torch.zeros(1, *shape) for shape in denoiser.state_shapes()]
        first = 0
        for frames in CHUNKS:
            mixture = frame_noise(first, frames, bins, seed=2)
            noisy = frame_noise(first, frames, bins, seed=3) * sigma
            context = Context(states)
            with torch.inference_mode():
                expected = denoiser(noisy, torch.full((1,), sigma), mixture, context)
            states, first = context.next, first + frames
            np.copyto(model.mixture(frames), mixture.numpy())
            worst = max(worst, relative(model.evaluate(noisy.numpy(), evaluation), expected.numpy()))
    return worst


def golden_pair(denoiser: Denoiser, steps: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mixture and vocals (samples, 2) by torch: what any runtime must come to on any machine."""
    config = denoiser.config
    samples = GOLDEN_HOPS * config.spectrum.hop_length
    mixture = _excerpt(samples, config.spectrum.sample_rate)
    sigmas = karras_sigmas(steps, config.edm.sigma_min, config.edm.sigma_max, config.edm.rho)
    with torch.inference_mode():
        vocals = separate_causal(denoiser, torch.from_numpy(mixture.T.copy()), sigmas)
    return mixture, np.ascontiguousarray(vocals.numpy().T)


def run_stream(model: OnnxModel, mixture: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """The vocals by the live path, as long as the mixture and aligned with it."""
    separator = DiffusionSeparator(model, steps=steps)
    separator.prepare(max_hops=4)
    padded = np.pad(mixture, ((0, separator.latency + 4 * separator.hop_length), (0, 0)))
    block = 4 * separator.hop_length
    blocks = [padded[start : start + block] for start in range(0, len(padded) - block + 1, block)]
    vocals = np.concatenate([separator.process(np.ascontiguousarray(piece)).copy() for piece in blocks])
    return vocals[separator.latency :][: len(mixture)]


def relative(computed: NDArray[np.float32] | Tensor, expected: NDArray[np.float32] | Tensor) -> float:
    """Root mean square of the difference, of that of the expected."""
    computed, expected = np.asarray(computed, np.float64), np.asarray(expected, np.float64)
    return float(np.sqrt(np.mean((computed - expected) ** 2) / np.mean(expected**2)))


def _excerpt(samples: int, sample_rate: int) -> NDArray[np.float32]:
    """A voice-like glide in the middle over a noise that is different on each side."""
    seconds = np.arange(samples) / sample_rate
    phase = 2 * np.pi * (220 * seconds + 8 * np.sin(2 * np.pi * 3 * seconds))
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    noise = np.random.Generator(np.random.Philox(GOLDEN_SEED)).standard_normal((samples, 2))
    excerpt: NDArray[np.float32] = (0.1 * voice[:, None] + 0.03 * noise).astype(np.float32)
    return excerpt

"""A model proves that it computes here what it computed where it was exported.

Beside MODEL.onnx lies MODEL.golden.npz: a mixture, what PyTorch made of it, and in how many steps. Whatever
is not the CPU (other drivers, other compilers) has to come to the same before it is let near a stage.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from stream.separation.kinds import make_separator
from stream.separation.model import OnnxModel
from stream.separation.separator import Audio, ModelError

GOLDEN = ".golden.npz"
TOLERANCE = 0.05  # of the root mean square: graphics processors round to 10 or 11 bits
BLOCK_HOPS = 4


def golden_path(model: Path) -> Path:
    return model.with_suffix(GOLDEN)


def prove(model: OnnxModel, path: Path) -> None:
    """Raises ModelError when the model at `path`, as loaded, differs from its golden pair; none, no proof."""
    if not golden_path(path).is_file():
        return
    try:
        with np.load(golden_path(path), allow_pickle=False) as golden:
            mixture, vocals, steps = golden["mixture"], golden["vocals"], int(golden["steps"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ModelError(f"{golden_path(path)} is damaged ({error}): export the model again") from error
    difference = relative(run_stream(model, mixture, steps), vocals)
    if not difference <= TOLERANCE:  # a NaN is refused as well
        raise ModelError(
            f"on {model.provider} the model {path} computes something else than it should (it differs by "
            f"{difference:.2g}, {TOLERANCE:g} is allowed): give --provider cpu"
        )


def run_stream(model: OnnxModel, mixture: Audio, steps: int) -> Audio:
    """The vocals by the live path, as long as the mixture (samples, 2) and aligned with it."""
    separator = make_separator(model, steps=steps)
    separator.prepare(BLOCK_HOPS)
    block = BLOCK_HOPS * separator.hop_length
    padded = np.pad(mixture, ((0, separator.latency + block), (0, 0)))
    blocks = [padded[start : start + block] for start in range(0, len(padded) - block + 1, block)]
    vocals = np.concatenate([separator.process(np.ascontiguousarray(piece)).copy() for piece in blocks])
    return vocals[separator.latency :][: len(mixture)]


def relative(computed: Audio, expected: Audio) -> float:
    """Root mean square of the difference, of that of the expected."""
    error, whole = computed.astype(np.float64) - expected, expected.astype(np.float64)
    return float(np.sqrt(np.mean(error**2) / np.mean(whole**2)))

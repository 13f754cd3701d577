"""Distance in the embedding of MERT-v1-95M: of the measures tried, the nearest to what listeners say.

After Bereuter et al. (2025), https://arxiv.org/abs/2507.11427: mono, 24 kHz, 16 bits, hidden state 12 of 12,
mean squared difference over all entries. Their excerpts are short; whole songs are embedded in windows of 10
seconds. The weights are not part of this project (docs/evaluation.md says how to get them), and nothing is
downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

RATE, LAYER = 24_000, 12
WINDOW = 10 * RATE
SHORTEST = RATE  # samples of the last window, below which it is left out

Embed = Callable[[Tensor], Tensor]


def embedding_mse(embed: Embed, estimate: Tensor, reference: Tensor, sample_rate: int) -> float:
    """Mean over all entries of the squared difference; estimate and reference are (channels, samples).

    `embed` takes (samples,) at RATE and gives (frames, width). Raises ValueError for less than a second.
    """
    total, entries = 0.0, 0
    for one, other in zip(_windows(estimate, sample_rate), _windows(reference, sample_rate), strict=True):
        # Kept in half precision, as the authors keep them.
        difference = embed(one).half().double() - embed(other).half().double()
        total, entries = total + float(difference.square().sum()), entries + difference.numel()
    if not entries:
        raise ValueError("at least one second is needed for the embedding")
    return total / entries


def _windows(samples: Tensor, sample_rate: int) -> list[Tensor]:
    mono = soxr.resample(samples.mean(0).cpu().numpy(), sample_rate, RATE)
    mono = np.rint(np.clip(mono, -1, 1) * 32_767).astype(np.float32) / 32_768
    windows = torch.from_numpy(mono).split(WINDOW)  # type: ignore[no-untyped-call]
    return [window for window in windows if len(window) >= SHORTEST]


def load_mert(folder: Path, device: torch.device) -> Embed:
    """The embedding, from a folder with the files of m-a-p/MERT-v1-95M; runs the authors' code in it.

    Raises ValueError when the folder or the package transformers is missing, or when they do not fit.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} does not hold MERT: no config.json; docs/evaluation.md says more")
    try:
        transformers = importlib.import_module("transformers")  # heavy, and needed here alone
    except ImportError as error:
        raise ValueError(
            f"MERT needs the package transformers: pip install transformers ({error})"
        ) from error
    try:
        model = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
        extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ValueError(f"MERT in {folder} cannot be loaded: {error}") from error
    model = model.to(device).eval()

    @torch.inference_mode()
    def embed(samples: Tensor) -> Tensor:
        prepared = extractor(samples.numpy(), sampling_rate=RATE, return_tensors="pt").to(device)
        hidden: Tensor = model(**prepared, output_hidden_states=True).hidden_states[LAYER][0].cpu()
        return hidden

    return embed

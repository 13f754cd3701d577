"""From an .onnx file to a separator that is ready to be prepared."""

from __future__ import annotations

from pathlib import Path

from stream.separation.anytime import Anytime
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.kinds import make_separator
from stream.separation.model import OnnxModel
from stream.separation.proof import prove
from stream.separation.window import WindowSeparator

TRUSTED = ("cpu",)  # providers that need no proof: the model was exported on one


def load(
    path: Path,
    *,
    provider: str = "auto",
    steps: int | None = None,
    threads: int = 1,
    live_share: float = 0.0,
    most_steps: int = 0,
) -> DiffusionSeparator | WindowSeparator:
    """Raises ModelError.

    Without `steps` it makes the model's own number of them; with a `live_share` of real time to spend, fewer
    when time is short. Up to `most_steps` can be chosen later.
    """
    model = OnnxModel(path, provider=provider, threads=threads)
    if model.provider not in TRUSTED:
        prove(model, path)
    spec, anytime = model.spec, None
    if live_share and steps is None and spec.steps > 1:
        anytime = Anytime(2 * spec.steps - 1, hop_s=spec.hop_length / spec.sample_rate, share=live_share)
    return make_separator(model, steps=steps, anytime=anytime, most_steps=most_steps)

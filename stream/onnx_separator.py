"""The separator of an .onnx file, whichever kind of model it holds."""

from __future__ import annotations

from pathlib import Path

from stream.anytime import Anytime
from stream.diffusion import DiffusionSeparator
from stream.model import OnnxModel
from stream.window import WindowSeparator


def make_separator(
    model: OnnxModel, *, steps: int | None = None, anytime: Anytime | None = None
) -> DiffusionSeparator | WindowSeparator:
    """Raises ModelError."""
    kind = WindowSeparator if model.spec.kind == "window" else DiffusionSeparator
    return kind(model, steps=steps, anytime=anytime)


def load(
    path: Path, *, provider: str = "auto", steps: int | None = None, threads: int = 1, live_share: float = 0.0
) -> DiffusionSeparator | WindowSeparator:
    """Raises ModelError.

    Without `steps` it makes the model's own number of them; with a `live_share` of real time to spend, fewer
    when time is short.
    """
    model = OnnxModel(path, provider=provider, threads=threads)
    spec, anytime = model.spec, None
    if live_share and steps is None and spec.steps > 1:
        anytime = Anytime(2 * spec.steps - 1, hop_s=spec.hop_length / spec.sample_rate, share=live_share)
    return make_separator(model, steps=steps, anytime=anytime)

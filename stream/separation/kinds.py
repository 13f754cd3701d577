"""The separator for a model, whichever kind it is."""

from __future__ import annotations

from stream.separation.anytime import Anytime
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.window import WindowSeparator


def make_separator(
    model: OnnxModel, *, steps: int | None = None, anytime: Anytime | None = None, most_steps: int = 0
) -> DiffusionSeparator | WindowSeparator:
    """Raises ModelError."""
    kind = WindowSeparator if model.spec.kind == "window" else DiffusionSeparator
    return kind(model, steps=steps, anytime=anytime, most_steps=most_steps)

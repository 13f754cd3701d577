"""The separator for a model, whichever kind it is."""

from __future__ import annotations

from stream.anytime import Anytime
from stream.diffusion import DiffusionSeparator
from stream.model import OnnxModel
from stream.window import WindowSeparator


def make_separator(
    model: OnnxModel, *, steps: int | None = None, anytime: Anytime | None = None, most_steps: int = 0
) -> DiffusionSeparator | WindowSeparator:
    """Raises ModelError."""
    kind = WindowSeparator if model.spec.kind == "window" else DiffusionSeparator
    return kind(model, steps=steps, anytime=anytime, most_steps=most_steps)

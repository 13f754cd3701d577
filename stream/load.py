"""Chooses the separator of a session: the model asked for, the bundled one, or the identity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stream.channels import for_channels
from stream.resampling import ResampledSeparator
from stream.separator import BUNDLED_MODEL, IdentitySeparator, ModelError, Separator

IDENTITY = "identity"  # the name of no model
NO_MODEL = f"there is no {BUNDLED_MODEL.name}: nothing is separated, everything counts as vocals"


def load_separator(
    model: str | None, *, sample_rate: int | None = None, channels: int = 2, quality: str = "HQ"
) -> tuple[Separator, str]:
    """A separator for `channels` channels at `sample_rate` (its own when None), and its name.

    `model` is a path or "identity"; None is the bundled model, or the identity where that is missing.
    `quality` is soxr's, used where the rates differ. Raises ModelError.
    """
    if model is None:
        model = str(BUNDLED_MODEL) if BUNDLED_MODEL.is_file() else IDENTITY
    separator = for_channels(_maker(model, sample_rate), channels)
    if sample_rate is not None and sample_rate != separator.sample_rate:
        separator = ResampledSeparator(separator, sample_rate, quality)
    return separator, Path(model).stem


def _maker(model: str, sample_rate: int | None) -> Callable[[], Separator]:
    if model == IDENTITY:
        return lambda: IdentitySeparator(sample_rate=sample_rate or 44_100)  # any rate is its own
    if not Path(model).is_file():
        raise ModelError(f"there is no model file {model}: give the path of an .onnx file")
    raise ModelError(f"cannot run {model}: this version has no ONNX support yet, give --model {IDENTITY}")

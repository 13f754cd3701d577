"""Chooses the separator of a session: the model asked for, the bundled one, or the identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream.separation.channels import for_channels
from stream.separation.resampling import ResampledSeparator
from stream.separation.separator import BUNDLED_MODEL, IdentitySeparator, ModelError, Separator

IDENTITY = "identity"  # the name of no model
NO_MODEL = f"there is no {BUNDLED_MODEL.name}: nothing is separated, everything counts as vocals"
NO_RUNTIME = (
    "ONNX Runtime, which runs the models, cannot be loaded: pip install -e '.[cpu]' or, never both, '.[gpu]'"
)


LIVE_SHARE = 0.8  # of real time that a model may spend live; the rest is for the engine and the system


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model is run; of no meaning to the identity."""

    provider: str = "auto"
    steps: int | None = None  # of the sampler; None is the model's own number
    threads: int = 1
    live_hops: float = 0.0  # a hop is late after so many; above 0, fewer steps are made when time is short
    most_steps: int = 0  # can be chosen while it runs

    def __post_init__(self) -> None:
        for name in ("steps", "threads"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ModelError(f"--{name} is {number}; it must be at least 1")


AS_IT_IS = RunOptions()


def load_separator(
    model: str | None,
    *,
    sample_rate: int | None = None,
    channels: int = 2,
    quality: str = "HQ",
    run: RunOptions = AS_IT_IS,
) -> tuple[Separator, str]:
    """A separator for `channels` channels at `sample_rate` (its own when None), and its name.

    `model` is a path or "identity"; None is the bundled model, or the identity where that is missing.
    `quality` is soxr's, used where the rates differ. Raises ModelError.
    """
    if model is None:
        model = str(BUNDLED_MODEL) if BUNDLED_MODEL.is_file() else IDENTITY
    separator = for_channels(_maker(model, sample_rate, channels, run), channels)
    if sample_rate is not None and sample_rate != separator.sample_rate:
        separator = ResampledSeparator(separator, sample_rate, quality)
    return separator, Path(model).stem


def _maker(model: str, sample_rate: int | None, channels: int, run: RunOptions) -> Callable[[], Separator]:
    if model == IDENTITY:
        return lambda: IdentitySeparator(sample_rate=sample_rate or 44_100)  # any rate is its own
    if not Path(model).is_file():
        raise ModelError(f"there is no model file {model}: give the path of an .onnx file")
    try:
        from stream.separation.model_file import load  # only here: the identity needs no ONNX Runtime
    except ImportError as error:
        raise ModelError(f"{NO_RUNTIME} ({error})") from error
    pairs = (channels + 1) // 2  # separated in turn
    share = LIVE_SHARE * min(run.live_hops, 1.0) / pairs
    return lambda: load(
        Path(model),
        provider=run.provider,
        steps=run.steps,
        threads=run.threads,
        live_share=share,
        most_steps=run.most_steps,
    )

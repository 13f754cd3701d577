"""ModelSpec: everything that the live engine must know about a model, carried in the ONNX file as JSON.

It is written by `export` and read here, once, with every value checked. Lengths are in samples at
`sample_rate` Hz unless a name says otherwise. docs/models.md explains each field.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.separation.separator import ModelError

SCHEMA = 4  # raised when a reader of the old number would misunderstand the new
METADATA_KEY = "diffvs.spec"
KINDS = ("causal", "window")
PRECISIONS = ("fp32", "fp16", "int8")

StateShapes = dict[str, tuple[int, int, int]]  # name -> (channels, frames, frequencies), in the graph's order


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One exported model, complete; the names of `diffvs.config` where both have a field."""

    name: str
    sample_rate: int
    n_fft: int
    hop_length: int
    bins: int  # the lowest ones; the estimate is silent above
    exponent: float  # amplitudes are compressed to scale * |X / sqrt(n_fft)| ** exponent
    scale: float
    sigma_data: float
    sigma_min: float
    sigma_max: float
    rho: float
    steps: int  # Heun steps when nobody asks for another number
    noise_seed: int
    context_frames: int  # past frames that can reach an output frame of a causal model
    states: StateShapes  # without the batch axis; empty for a window model
    temperature: float = 1.0  # of the noise that the sampler starts from; new in schema 2
    schema: int = SCHEMA
    kind: str = "causal"
    precision: str = "fp32"
    channels: int = 2
    window: str = "sqrt-hann"  # periodic, both ways, scaled so that the two overlap-add to 1
    synthesis_length: int = 0  # samples at a frame's end that become sound; 0: n_fft; new in schema 4
    lookahead_frames: int = 0
    window_frames: int = 0  # that a window model sees at once; 0 for a causal one
    stride_frames: int = 1  # by which its window moves from run to run
    peak_normalise: bool = False  # divide the window by its peak first
    level_seconds: float = 0.0  # divide each frame by the level of so much of the past; new in schema 3
    macs_per_frame: int = 0  # multiplications with addition, of one evaluation; 0 where nobody counted
    licence: str = ""
    attribution: str = ""
    training: dict[str, Any] = field(
        default_factory=dict
    )  # what training did; for people, not for the engine

    def __post_init__(self) -> None:
        for name, fine, need in self._requirements():
            if not fine:
                raise ModelError(
                    f"the model's description has {name} = {getattr(self, name)!r}, it must be {need}"
                )

    @property
    def latency(self) -> int:
        """Samples between a sample of the mixture and the same one of the vocals."""
        return (self.synthesis_length or self.n_fft) - self.hop_length + self.lookahead

    @property
    def lookahead(self) -> int:
        """Samples of future that the model waits for: those that it hears, and those that fill a stride."""
        return (self.lookahead_frames + self.stride_frames - 1) * self.hop_length

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Inverse of `to_json`; unknown fields are passed over. Raises ModelError with what is wrong."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(
                f"the model's description is damaged ({error}): export the model again"
            ) from error
        if not isinstance(values, dict):
            raise ModelError("the model's description is damaged (no JSON object): export the model again")
        schema = values.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise ModelError(
                f"the model's description has schema {schema} and this version reads up to {SCHEMA}: "
                "update this program"
            )
        return cls(**_checked(values))

    @property
    def _used(self) -> int:
        """Frames at the end of a window that are made or waited for."""
        return self.lookahead_frames + self.stride_frames

    def _requirements(self) -> Iterator[tuple[str, bool, str]]:
        """Field, whether it is fine, and what it must be. The later ones count on those that are above 0."""
        positive = (
            "sample_rate",
            "n_fft",
            "hop_length",
            "bins",
            "steps",
            "scale",
            "sigma_data",
            "sigma_min",
            "rho",
        )
        for name in positive:
            yield name, getattr(self, name) > 0, "above 0"
        yield from [
            ("schema", 1 <= self.schema <= SCHEMA, f"in 1..{SCHEMA}"),
            ("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            ("window", self.window == "sqrt-hann", "sqrt-hann"),
            ("channels", self.channels == 2, "2"),
            (
                "n_fft",
                self.n_fft % self.hop_length == 0 and self.n_fft > self.hop_length,
                "a multiple of hop_length",
            ),
            (
                "synthesis_length",
                self.synthesis_length == 0
                or (
                    self.synthesis_length % self.hop_length == 0
                    and 2 * self.hop_length <= self.synthesis_length <= self.n_fft
                ),
                "0, or a multiple of hop_length from 2 * hop_length to n_fft",
            ),
            ("bins", self.bins <= self.n_fft // 2 + 1, "at most n_fft // 2 + 1"),
            ("exponent", 0 < self.exponent <= 1, "above 0 and at most 1"),
            ("sigma_max", self.sigma_max > self.sigma_min, "above sigma_min"),
            ("lookahead_frames", self.lookahead_frames >= 0, "at least 0"),
            ("stride_frames", self.stride_frames == 1 or self.kind == "window", "1 for a causal model"),
            ("stride_frames", self.stride_frames > 0, "above 0"),
            (
                "window_frames",
                (self.window_frames > 0) == (self.kind == "window"),
                "above 0 for windows only",
            ),
            (
                "window_frames",
                self.kind == "causal" or self._used <= self.window_frames,
                "above what is used",
            ),
            ("peak_normalise", self.kind == "window" or not self.peak_normalise, "false for a causal model"),
            ("level_seconds", self.level_seconds >= 0, "at least 0"),
            ("level_seconds", self.kind == "causal" or not self.level_seconds, "0 for a window model"),
            ("context_frames", self.context_frames >= 0, "at least 0"),
            ("temperature", self.temperature >= 0, "at least 0"),
            ("noise_seed", 0 <= self.noise_seed < 2**64, "an unsigned 64-bit number"),
            ("states", all(size > 0 for shape in self.states.values() for size in shape), "of sizes above 0"),
        ]


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields, each of its declared type. Raises ModelError."""
    known: dict[str, Any] = {}
    for spec_field in dataclasses.fields(ModelSpec):
        if spec_field.name in values:
            known[spec_field.name] = _of_type(spec_field.name, str(spec_field.type), values[spec_field.name])
        elif spec_field.default is dataclasses.MISSING and spec_field.default_factory is dataclasses.MISSING:
            raise ModelError(f"the model's description lacks {spec_field.name}: export the model again")
    return known


def _of_type(name: str, kind: str, value: Any) -> Any:
    """The value as the dataclass wants it: JSON knows no tuples and writes 2.0 as it likes."""
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if (
        kind == "float"
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return float(value)
    if kind in ("str", "bool") and type(value).__name__ == kind:
        return value
    if kind == "StateShapes" and isinstance(value, dict) and all(map(_is_shape, value.values())):
        return {str(state): tuple(shape) for state, shape in value.items()}
    if kind.startswith("dict") and isinstance(value, dict):
        return value
    raise ModelError(
        f"the model's description has {name} = {value!r}, which is no {kind}: export the model again"
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(type(size) is int for size in value)

"""The description inside a model file: complete, typed, checked; every fault is one sentence."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from stream.separation.separator import ModelError
from stream.separation.spec import SCHEMA, ModelSpec

SPEC = ModelSpec(
    name="tiny",
    sample_rate=44_100,
    n_fft=256,
    hop_length=128,
    bins=128,
    exponent=0.5,
    scale=7.0,
    sigma_data=0.5,
    sigma_min=0.05,
    sigma_max=5.0,
    rho=7.0,
    steps=2,
    noise_seed=1,
    context_frames=12,
    lookahead_frames=3,
    states={"state_0": (8, 32, 2), "state_1": (16, 16, 4)},
    licence="CC0",
    attribution="nobody",
    training={"step": 7, "preset": {"name": "tiny"}},
)


def changed(**values: Any) -> str:
    """SPEC as JSON with other values; None leaves the field out."""
    fields = {**dataclasses.asdict(SPEC), **values}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def test_what_is_written_is_read() -> None:
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


def test_latency_is_the_transforms_and_the_lookaheads() -> None:
    assert SPEC.latency == 256 - 128 + 3 * 128


def test_latency_is_that_of_the_synthesis_where_it_is_shorter() -> None:
    spec = dataclasses.replace(SPEC, n_fft=1_024, synthesis_length=384)
    assert spec.latency == 384 - 128 + 3 * 128
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_whole_numbers_serve_as_real_ones() -> None:
    assert ModelSpec.from_json(changed(scale=7)) == SPEC


def test_fields_of_later_versions_are_passed_over() -> None:
    assert ModelSpec.from_json(changed(colour="blue")) == SPEC


def test_the_first_schema_knew_no_temperature_but_1() -> None:
    assert ModelSpec.from_json(changed(schema=1, temperature=None)).temperature == 1


def test_the_first_two_schemas_took_the_mixture_as_loud_as_it_came() -> None:
    assert ModelSpec.from_json(changed(schema=2, level_seconds=None)).level_seconds == 0


def test_the_first_three_schemas_made_vocals_of_whole_frames() -> None:
    spec = ModelSpec.from_json(changed(schema=3, synthesis_length=None))
    assert (spec.synthesis_length, spec.latency) == (0, SPEC.latency)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        (changed(schema=SCHEMA + 1), f"schema {SCHEMA + 1} and this version reads up to {SCHEMA}: update"),
        (changed(schema=0), f"schema = 0, it must be in 1..{SCHEMA}"),
        (changed(steps=None), "lacks steps"),
        (changed(steps=2.5), "steps = 2.5, which is no int"),
        (changed(steps=True), "steps = True, which is no int"),
        (changed(scale="7"), "scale = '7', which is no float"),
        (changed(scale=float("nan")), "scale = nan, which is no float"),
        (changed(states={"a": [1, 2]}), "states"),
        (changed(states={"a": [1, 2, 0]}), "states"),
        (changed(sample_rate=0), "sample_rate = 0, it must be above 0"),
        (changed(hop_length=0), "hop_length = 0, it must be above 0"),
        (changed(hop_length=100), "n_fft = 256, it must be a multiple of hop_length"),
        (
            changed(synthesis_length=-256),
            "synthesis_length = -256, it must be 0, or a multiple of hop_length",
        ),
        (changed(synthesis_length=128), "synthesis_length = 128, it must be 0, or"),
        (changed(n_fft=512, synthesis_length=320), "synthesis_length = 320, it must be 0, or"),
        (changed(synthesis_length=384), "from 2 * hop_length to n_fft"),
        (changed(synthesis_length=256.5), "synthesis_length = 256.5, which is no int"),
        (changed(bins=130), "bins = 130, it must be at most n_fft"),
        (changed(exponent=0.0), "exponent = 0.0"),
        (changed(sigma_max=0.01), "sigma_max = 0.01, it must be above sigma_min"),
        (changed(kind="magic"), "kind = 'magic', it must be one of causal, window"),
        (changed(window="kaiser"), "window = 'kaiser', it must be sqrt-hann"),
        (changed(channels=1), "channels = 1, it must be 2"),
        (changed(lookahead_frames=-1), "lookahead_frames = -1"),
        (changed(noise_seed=-1), "noise_seed = -1"),
        (changed(temperature=-0.5), "temperature = -0.5, it must be at least 0"),
        (changed(level_seconds=-1.0), "level_seconds = -1.0, it must be at least 0"),
        (
            changed(kind="window", window_frames=9, level_seconds=1.0),
            "level_seconds = 1.0, it must be 0 for a window model",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(ModelError) as caught:
        ModelSpec.from_json(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)

"""Denoiser -> ONNX with the ModelSpec in its metadata."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from diffvs.config import CAUSAL, ModelConfig
from diffvs.cost import cost
from diffvs.edm import Denoiser
from diffvs.sampling import NOISE_SEED
from export.fold import fold
from export.graph import input_names, output_names, runtime_graph
from stream.separation.spec import METADATA_KEY, ModelSpec

OPSET = 17
WINDOW_PART = 8  # frames by which a live window moves, and that it hears after those that it answers for


class ExportError(Exception):
    """A model that cannot be exported, or whose export computes something else; the text has the numbers."""


def convert(denoiser: Denoiser, spec: ModelSpec, path: Path) -> None:
    """Writes the graph, folded, with the spec as metadata."""
    graph = runtime_graph(denoiser)
    frames = spec.window_frames or 3  # any number: the axis stays open where the network is causal
    image = torch.zeros(1, 4, spec.bins, frames)
    states = [torch.zeros(1, *shape) for shape in graph.states.values()]
    with warnings.catch_warnings():
        # The exporter by tracing is called deprecated, yet the new one takes thirty times as long for the
        # same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (image, image.clone(), torch.ones(1), *states),
            str(path),
            input_names=input_names(graph),
            output_names=output_names(graph),
            dynamic_axes={name: {3: "frames"} for name in ("mixture", "noisy", "denoised") if graph.states},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.save(fold(path), path)
    describe(path, spec)


def describe(path: Path, spec: ModelSpec) -> None:
    """Writes the spec into the file, in place of any other metadata."""
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json(), "license": spec.licence})
    onnx.save(model, path)


def make_spec(
    denoiser: Denoiser,
    facts: Mapping[str, Any],
    *,
    licence: str,
    attribution: str,
    stride: int | None = None,
    lookahead: int | None = None,
) -> ModelSpec:
    """What the engine must know of a checkpoint; stride and lookahead, in frames, are a window model's."""
    config = denoiser.config
    spectrum, edm = config.spectrum, config.edm
    if spectrum.peak_normalise and denoiser.causal:
        raise ExportError(
            f"the model {config.name} needs the peak of the whole song, which a live stream has not"
        )
    return ModelSpec(
        name=config.name,
        kind="causal" if denoiser.causal else "window",
        sample_rate=spectrum.sample_rate,
        n_fft=spectrum.n_fft,
        hop_length=spectrum.hop_length,
        synthesis_length=spectrum.synthesis_length,
        bins=spectrum.bins,
        exponent=spectrum.exponent,
        scale=spectrum.scale,
        sigma_data=edm.sigma_data,
        sigma_min=edm.sigma_min,
        sigma_max=edm.sigma_max,
        rho=edm.rho,
        steps=edm.steps,
        temperature=edm.temperature,
        noise_seed=NOISE_SEED,
        peak_normalise=spectrum.peak_normalise,
        level_seconds=spectrum.level_seconds,
        macs_per_frame=round(cost(config).macs_per_second / spectrum.frame_rate),
        states=runtime_graph(denoiser).states,
        licence=licence,
        attribution=attribution,
        training={**facts, "preset": dataclasses.asdict(config)},
        **_timing(config, stride, lookahead),
    )


def _timing(config: ModelConfig, stride: int | None, lookahead: int | None) -> dict[str, Any]:
    """Which frames the network sees for an answer."""
    network = config.network
    if isinstance(network, CAUSAL):
        if stride is not None or lookahead is not None:
            raise ExportError(
                f"the model {config.name} is causal: stride and look-ahead are a window model's"
            )
        return {"lookahead_frames": network.lookahead_frames, "context_frames": network.context_frames}
    part = min(WINDOW_PART, config.segment_frames // 4)
    return {
        "lookahead_frames": part if lookahead is None else lookahead,
        "stride_frames": part if stride is None else stride,
        "window_frames": config.segment_frames,
        "context_frames": 0,
    }

"""Denoiser -> ONNX with the ModelSpec in its metadata."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from diffvs.config import CausalUNetConfig
from diffvs.cost import cost
from diffvs.edm import Denoiser
from diffvs.sampling import NOISE_SEED
from export.fold import fold
from export.graph import input_names, output_names, runtime_graph
from stream.spec import METADATA_KEY, ModelSpec

OPSET = 17


class ExportError(Exception):
    """A model that cannot be exported, or whose export computes something else; the text has the numbers."""


def convert(denoiser: Denoiser, spec: ModelSpec, path: Path) -> None:
    """Writes the graph, folded, with the spec as metadata."""
    graph = runtime_graph(denoiser)
    frames = 3  # any number: the axis stays open
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
            dynamic_axes={name: {3: "frames"} for name in ("mixture", "noisy", "denoised")},
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


def make_spec(denoiser: Denoiser, facts: Mapping[str, Any], *, licence: str, attribution: str) -> ModelSpec:
    """What the engine must know of a checkpoint."""
    config = denoiser.config
    spectrum, edm, network = config.spectrum, config.edm, config.network
    if not isinstance(network, CausalUNetConfig):
        raise ExportError(f"the model {config.name} is of kind {network.kind}, which cannot be exported yet")
    if spectrum.peak_normalise:
        raise ExportError(
            f"the model {config.name} needs the peak of the whole song, which a live stream has not"
        )
    return ModelSpec(
        name=config.name,
        kind=network.kind,
        sample_rate=spectrum.sample_rate,
        n_fft=spectrum.n_fft,
        hop_length=spectrum.hop_length,
        bins=spectrum.bins,
        exponent=spectrum.exponent,
        scale=spectrum.scale,
        sigma_data=edm.sigma_data,
        sigma_min=edm.sigma_min,
        sigma_max=edm.sigma_max,
        rho=edm.rho,
        steps=edm.steps,
        noise_seed=NOISE_SEED,
        lookahead_frames=network.lookahead_frames,
        context_frames=network.context_frames,
        macs_per_frame=round(cost(config).macs_per_second / spectrum.frame_rate),
        states=runtime_graph(denoiser).states,
        licence=licence,
        attribution=attribution,
        training={**facts, "preset": dataclasses.asdict(config)},
    )

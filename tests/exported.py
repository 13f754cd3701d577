"""Tiny models, exported once per test session; and models doctored to go wrong."""

from __future__ import annotations

import atexit
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import soundfile
from denoisers import awake, changed
from onnx import helper, numpy_helper
from signals import noise

from diffvs import checkpoint
from diffvs.config import ModelConfig
from diffvs.edm import Denoiser
from diffvs.presets import PRESETS
from export.__main__ import main
from export.convert import convert, make_spec
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.spec import METADATA_KEY

RATE = 44_100
_FOLDER = tempfile.TemporaryDirectory()
atexit.register(_FOLDER.cleanup)


@lru_cache
def tiny(**network: Any) -> tuple[Denoiser, Path]:
    """A causal denoiser whose every layer matters, with other values in its network, and its ONNX file."""
    return exported(changed("tiny", **network))


@lru_cache
def exported(config: ModelConfig) -> tuple[Denoiser, Path]:
    denoiser = awake(config)
    path = Path(_FOLDER.name) / f"{len(list(Path(_FOLDER.name).iterdir()))}.onnx"
    convert(denoiser, make_spec(denoiser, {"step": 7}, licence="CC0", attribution="nobody"), path)
    return denoiser, path


def checkpoint_folder(folder: Path) -> Path:
    """A checkpoint in it, and beside it what one sings and plays for the validation of its export."""
    denoiser = awake(PRESETS["tiny"])
    checkpoint.save(folder / "checkpoint", denoiser.config, denoiser.state_dict(), {"step": 7})
    vocals = noise(RATE // 4)
    soundfile.write(folder / "vocals.wav", vocals, RATE, subtype="FLOAT")
    soundfile.write(folder / "mixture.wav", vocals + noise(RATE // 4, seed=1), RATE, subtype="FLOAT")
    return folder


def export(folder: Path, output: Path, *options: str) -> int:
    """python -m export for such a folder."""
    audio = ["--validation", str(folder / "mixture.wav"), str(folder / "vocals.wav")]
    return main([str(folder / "checkpoint"), "--output", str(output), *audio, *options])


def separator(path: Path, steps: int = 1, max_hops: int = 8) -> DiffusionSeparator:
    """Ready to process."""
    result = DiffusionSeparator(OnnxModel(path, provider="cpu"), steps=steps)
    result.prepare(max_hops)
    return result


def with_metadata(path: Path, text: str | None, output: Path) -> Path:
    """A copy with another description, or with none."""
    model = onnx.load(path)
    del model.metadata_props[:]
    if text is not None:
        helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, output)
    return output


def sick_when_loud(path: Path, output: Path, limit: float = 20.0) -> Path:
    """A copy that answers NaN, and keeps it in its state, when the mixture has a value above limit."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name in ("denoised", "next_state_0"):
                node.output[index] = f"{name}_healthy"
    graph.initializer.append(numpy_helper.from_array(np.array(limit, np.float32), "limit"))
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["mixture"], ["loudest"], keepdims=0),
            helper.make_node("Sub", ["limit", "loudest"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["nan_without_room"]),
            helper.make_node("Sub", ["nan_without_room", "nan_without_room"], ["poison"]),
            *(
                helper.make_node("Add", [f"{name}_healthy", "poison"], [name])
                for name in ("denoised", "next_state_0")
            ),
        ]
    )
    onnx.save(model, output)
    return output

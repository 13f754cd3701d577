"""Weights and configuration, written and read together, without pickle.

A checkpoint is a folder: weights.safetensors, config.json (the ModelConfig) and facts.json (what training
did). The optimiser's state lives beside it in trainer.pt: needed to resume a run, never to use a model.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffvs.config import (
    CausalUNetConfig,
    DdpmppConfig,
    EdmConfig,
    ModelConfig,
    NetworkConfig,
    PyramidUNetConfig,
    SpectrumConfig,
)
from diffvs.edm import Denoiser

WEIGHTS, CONFIG, FACTS = "weights.safetensors", "config.json", "facts.json"
NETWORKS: dict[str, type[NetworkConfig]] = {
    "causal": CausalUNetConfig,
    "pyramid": PyramidUNetConfig,
    "window": DdpmppConfig,
}


def save(folder: Path, config: ModelConfig, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint; each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in weights.items()}
    save_file(tensors, folder / (WEIGHTS + ".part"))
    (folder / (CONFIG + ".part")).write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
    (folder / (FACTS + ".part")).write_text(json.dumps(dict(facts), indent=2) + "\n")
    for name in (CONFIG, FACTS, WEIGHTS):
        os.replace(folder / (name + ".part"), folder / name)


def load(folder: Path) -> tuple[Denoiser, dict[str, Any]]:
    """The denoiser of a checkpoint folder, in evaluation mode, and the facts of its training.

    Raises ValueError with the reason when the folder is not a checkpoint or its parts do not fit.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is not a checkpoint: it has no {name}")
    try:
        config = config_from_json((folder / CONFIG).read_text(encoding="utf-8"))
        denoiser = Denoiser(config)
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8")) if (folder / FACTS).is_file() else {}
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError, OSError) as error:
        raise ValueError(
            f"the checkpoint {folder} does not describe a model of this version "
            f"({type(error).__name__}: {error})"
        ) from error
    try:
        denoiser.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder / WEIGHTS} does not hold the weights of {config.name}: {reason}"
        ) from error
    return denoiser.eval(), facts


def config_from_json(text: str) -> ModelConfig:
    """Inverse of json.dumps(dataclasses.asdict(config))."""
    values = json.loads(text)
    network: dict[str, Any] = values.pop("network")
    network = {key: _tuples(value) for key, value in network.items()}
    return ModelConfig(
        network=NETWORKS[str(network["kind"])](**network),
        spectrum=SpectrumConfig(**values.pop("spectrum")),
        edm=EdmConfig(**values.pop("edm")),
        **values,
    )


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

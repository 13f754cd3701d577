"""What a training run is going to do: its configuration, what a second of audio costs, how much there is."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path

from diffvs.config import ModelConfig
from diffvs.cost import cost
from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.cache import Cache
from diffvs.data.examples import Recipe
from diffvs.data.library import Library
from diffvs.training.trainer import TrainConfig

# Split and role, then collection; in hours.
Hours = dict[str, dict[str, float]]

WRITTEN = {
    "weights.safetensors, config.json, facts.json": "the averaged weights: a checkpoint",
    "trainer.pt": "what the same command needs to go on",
    "best/": "the checkpoint with the best validation",
    "log.csv, validation.csv, tensorboard/": "how it went",
    "examples/": "what it sounded like at each validation",
    "bad_batches/": "batches whose loss or gradient is not finite",
}


def data_hours(cache: Path, samples: int) -> Hours:
    """Hours of decoded stems for training and validation; processed copies apart.

    Raises ValueError when there is nothing to train on excerpts of so many samples.
    """
    advice = f"make it with python -m diffvs.data.prepare --cache {cache}"
    if not cache.is_dir():
        raise ValueError(f"there is no folder {cache}: {advice}")
    found: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for split in ("train", "valid"):
        for entry in Cache(cache).entries(split):
            what = f"{split} {entry.role}" + (", processed copies" if entry.variant else "")
            found[what][entry.kind] += entry.samples / SAMPLE_RATE / 3600
    if not found:
        raise ValueError(f"{cache} holds no prepared audio: {advice}")
    recipe = Recipe(samples=samples)
    Library(Cache(cache), samples, dict(recipe.voice_weights), dict(recipe.music_weights))
    return {what: dict(kinds) for what, kinds in found.items()}


def describe(model: ModelConfig, config: TrainConfig, hours: Hours, out: Path, resumed: bool) -> str:
    """The plan in words, for --dry-run."""
    costs, seconds = cost(model), model.segment / model.spectrum.sample_rate
    text = [
        f"model: {json.dumps(dataclasses.asdict(model), indent=2)}",
        f"training: {json.dumps(dataclasses.asdict(config), indent=2)}",
        f"cost: {costs.parameters / 1e6:.3f} million parameters, {costs.macs_per_second / 1e9:.2f} GMAC per "
        f"second of audio and evaluation; a step hears {config.batch_size} x {seconds:.2f} s",
        "data:",
    ]
    for what, kinds in hours.items():
        parts = ", ".join(f"{kind} {amount:.2f}" for kind, amount in sorted(kinds.items()))
        text.append(f"  {what}: {sum(kinds.values()):.2f} h ({parts})")
    text.append(f"{'the run there would go on' if resumed else 'would be written'} in {out}:")
    text += [f"  {names}: {what}" for names, what in WRITTEN.items()]
    return "\n".join(text)

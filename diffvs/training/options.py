"""The command line of training, and the configurations that it asks for."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from diffvs.checkpoint import CONFIG, WEIGHTS, config_from_json, load
from diffvs.config import EdmConfig, ModelConfig
from diffvs.presets import PRESETS
from diffvs.training.objective import SamplerGradient
from diffvs.training.run import Rhythm
from diffvs.training.state import STATE
from diffvs.training.trainer import TrainConfig

EDM_OPTIONS = {
    "share_at_max": "share of the examples at sigma_max, where samplers start; 1 trains one evaluation only",
    "sigma_min": "lowest noise level of the sampler",
    "sigma_max": "highest noise level",
    "rho": "bend of the sampler's noise levels",
    "temperature": "of the noise that samplers start from, and examples at sigma_max; 0: zeros instead",
    "p_mean": "mean of ln sigma of the other examples",
    "p_std": "deviation of ln sigma of the other examples",
}
TRAIN_OPTIONS = {
    "batch_size": "examples per step, of all processes together",
    "learning_rate": "highest learning rate",
    "warmup_steps": "steps in which the learning rate rises from 0",
    "final_share": "share of the learning rate that is left at the end",
    "clip_norm": "longest gradient; longer ones are shortened",
    "ema_max": "what the average of the weights keeps of itself per step",
    "expanded_weight": "weight of the loss on the expanded spectrum beside the denoising loss",
    "seed": "of weights, examples and noise",
}
RHYTHM_OPTIONS = {
    "save_minutes": "minutes between two checkpoints",
    "validate_minutes": "minutes between two validations",
    "log_every": "steps that become one row of log.csv",
}


def parser() -> argparse.ArgumentParser:
    """The options of python -m diffvs.train; those that are not given are None."""
    result = argparse.ArgumentParser(
        prog="python -m diffvs.train",
        description="Train a denoiser on a cache made by python -m diffvs.data.prepare. The same command, "
        "given again, goes on where the run was saved. Stages are options: see docs/training.md.",
    )
    add = result.add_argument
    add("--data", type=Path, required=True, metavar="CACHE", help="prepared audio")
    add("--out", type=Path, required=True, metavar="RUN", help="folder for checkpoints, logs and examples")
    add(
        "--preset",
        metavar="NAME",
        help=f"model: {', '.join(PRESETS)} (default: that of RUN or CHECKPOINT, or live)",
    )
    add("--start-from", type=Path, metavar="CHECKPOINT", help="begin with these weights")
    add("--steps", type=int, metavar="N", help="end after so many steps ...")
    add(
        "--minutes",
        type=float,
        metavar="X",
        help="... or minutes of training; with neither, train until stopped",
    )
    add("--dry-run", action="store_true", help="say what would be done, and stop")
    add("--overfit", type=int, metavar="N", help="rehearse: learn so many batches by heart")
    add("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    add(
        "--workers",
        type=int,
        metavar="N",
        default=1,
        help="processes that make examples, per training process (default: 1)",
    )
    learning = result.add_argument_group("learning")
    _add_fields(learning, TrainConfig, TRAIN_OPTIONS, {"learning_rate": "--lr"})
    learning.add_argument(
        "--bfloat16",
        action=argparse.BooleanOptionalAction,
        help="calculate in bfloat16 (default: where the hardware does)",
    )
    stage = result.add_argument_group("stages")
    _add_fields(stage, EdmConfig, EDM_OPTIONS)
    stage.add_argument(
        "--segment-frames", metavar="N", type=int, help="STFT frames of an excerpt (default: the model's own)"
    )
    stage.add_argument(
        "--finetune-sampler",
        type=int,
        metavar="N",
        help="train through the deployed sampler of N Heun steps (2 N - 1 evaluations)",
    )
    stage.add_argument(
        "--sampler-gradient",
        choices=get_args(SamplerGradient),
        help="its last answer is judged, and the gradient goes through all evaluations or the last; or one "
        "answer of each example is, the first with probability --share-at-max (default: all)",
    )
    rhythm = result.add_argument_group("saving and validating")
    _add_fields(rhythm, Rhythm, RHYTHM_OPTIONS)
    rhythm.add_argument(
        "--validate-steps",
        type=_numbers,
        default=(1, 2),
        metavar="N,N",
        help="Heun steps to validate (default: 1,2)",
    )
    rhythm.add_argument(
        "--validate-seconds",
        metavar="X",
        type=float,
        help="of the middle of each validation song (default: all of it)",
    )
    rhythm.add_argument(
        "--example-seconds",
        metavar="X",
        type=float,
        default=12.0,
        help="of the excerpts to hear; 0: none (default: 12)",
    )
    return result


def _add_fields(
    group: argparse._ArgumentGroup, config: type, helps: dict[str, str], short: dict[str, str] | None = None
) -> None:
    """An option for each field that has a help text; its type and default are those of the field."""
    for field in dataclasses.fields(config):
        if field.name in helps:
            names = [f"--{field.name.replace('_', '-')}"]
            names += [short[field.name]] if short and field.name in short else []
            default: Any = field.default
            own = config is EdmConfig or field.name == "learning_rate"
            shown = "the model's own" if own else default
            group.add_argument(
                *names,
                type=type(default),
                metavar="X" if isinstance(default, float) else "N",
                help=f"{helps[field.name]} (default: {shown})",
            )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list of numbers like 1,2") from None
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a sampler has at least 1 step")
    return numbers


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The options among `names` that were given."""
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


class Configurations(NamedTuple):
    """Everything that the options say about a run; `resumed` tells whether it goes on."""

    model: ModelConfig
    training: TrainConfig
    rhythm: Rhythm
    resumed: bool


def configurations(arguments: argparse.Namespace, device: torch.device) -> Configurations:
    """Read the options, and the folders that they name. Raises ValueError when they cannot be met."""
    for name in ("overfit", "finetune_sampler", "workers", "validate_seconds", "example_seconds"):
        value = getattr(arguments, name)
        least = 1 if name in ("overfit", "finetune_sampler") else 0
        if value is not None and value < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    rhythm = Rhythm(**given(arguments, RHYTHM_OPTIONS))
    resumed = resumable(arguments.out) is not None
    model = model_config(arguments)
    return Configurations(model, train_config(arguments, device, model), rhythm, resumed)


def train_config(arguments: argparse.Namespace, device: torch.device, model: ModelConfig) -> TrainConfig:
    """How to learn. Raises ValueError naming a value that makes no sense."""
    more = ("steps", "minutes", "finetune_sampler", "sampler_gradient")
    bfloat16 = has_bfloat16(device) if arguments.bfloat16 is None else arguments.bfloat16
    values = {"learning_rate": model.network.learning_rate, **given(arguments, TRAIN_OPTIONS)}
    return TrainConfig(**values, **given(arguments, more), bfloat16=bfloat16)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device calculates in bfloat16 itself: where it is emulated, it is several times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, test, bool)() for test in tests)


def model_config(arguments: argparse.Namespace) -> ModelConfig:
    """What to train: the named preset, or the model of the run that goes on or of the weights to start from,
    with the stage's changes. Raises ValueError when these do not fit together."""
    resumed = resumable(arguments.out)
    started = load(arguments.start_from)[0].config if arguments.start_from else None
    model = resumed or started or PRESETS["live"]
    if arguments.preset is not None:
        if arguments.preset not in PRESETS:
            raise ValueError(f"there is no preset {arguments.preset}; there are {', '.join(PRESETS)}")
        model = PRESETS[arguments.preset]
    for folder, other in ((arguments.out, resumed), (arguments.start_from, started)):
        if other and (other.network, other.spectrum) != (model.network, model.spectrum):
            raise ValueError(
                f"{folder} holds a model {other.name} that does not fit the preset {model.name}: "
                f"name another folder, or leave --preset out"
            )
    edm = given(arguments, EDM_OPTIONS)
    if arguments.finetune_sampler is not None:
        edm["steps"] = arguments.finetune_sampler
    frames = model.segment_frames if arguments.segment_frames is None else arguments.segment_frames
    return dataclasses.replace(model, edm=dataclasses.replace(model.edm, **edm), segment_frames=frames)


def resumable(out: Path) -> ModelConfig | None:
    """The model of the run in a folder, None where no run has been saved yet.

    Raises ValueError for a folder that would be overwritten: a checkpoint without the state of a run.
    """
    if (out / STATE).is_file():
        try:
            return config_from_json((out / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{out / CONFIG} cannot be read ({error}); name another --out") from error
    if (out / WEIGHTS).is_file():
        raise ValueError(
            f"{out} holds a checkpoint but no {STATE} to resume it: use --start-from {out} with another --out"
        )
    return None

"""python -m diffvs.train: learn a denoiser from prepared audio."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

from diffvs.checkpoint import FACTS
from diffvs.data.cache import HeldOutError
from diffvs.data.examples import Recipe
from diffvs.data.loader import batches
from diffvs.machine import provenance
from diffvs.training.feed import Feed
from diffvs.training.options import configurations, parser
from diffvs.training.overfit import BatchValidator, repeated
from diffvs.training.plan import Hours, data_hours, describe
from diffvs.training.processes import Processes, ToldError, join
from diffvs.training.run import Run, TrainingError, Validate
from diffvs.training.screen import Screen
from diffvs.training.state import SaveError
from diffvs.training.stop import Stop
from diffvs.training.trainer import TrainConfig, Trainer
from diffvs.training.validation import SongValidator

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    options = parser().parse_args(arguments)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    log_to(console)
    try:
        processes = join(options.device)
    except ValueError as error:
        return refuse(console, error)
    try:
        return train(options, processes, console)
    finally:
        processes.close()


def train(options: argparse.Namespace, processes: Processes, console: Console) -> int:
    """One run, from its options to its last checkpoint; gives the exit code."""
    stop = Stop()
    try:
        run = set_up(options, processes, console, stop)
    except (ValueError, HeldOutError) as error:
        told = isinstance(error, ToldError) and not processes.first
        return 2 if told else refuse(console, error)
    if run is None:
        return 0
    try:
        with stop:
            finished = run.run()
    except (SaveError, TrainingError) as error:
        return refuse(console, error)
    if processes.first:
        trainer, end = run.trainer, "finished" if finished else "stopped; the same command goes on"
        heard = f"{trainer.seconds_heard / 3600:.2f} h heard"
        console.print(f"{end}: step {trainer.step}, {heard}, saved in {options.out}", markup=False)
    return 0


def refuse(console: Console, error: Exception) -> int:
    """Say in one sentence what is wrong; gives the exit code."""
    console.print(f"error: {error}", style="red", markup=False)
    return 2


def set_up(options: argparse.Namespace, processes: Processes, console: Console, stop: Stop) -> Run | None:
    """The run that the options ask for; None when they ask for the plan alone, which is printed.

    Raises ValueError or HeldOutError when they cannot be met.
    """
    model, config, rhythm, resumed = processes.share(lambda: configurations(options, processes.device))
    hours = data_hours(options.data, model.segment)
    if options.dry_run:
        if processes.first:
            print(describe(model, config, hours, options.out, resumed))
        return None
    trainer = Trainer(model, config, processes)
    if resumed:
        trainer.resume(options.out)
    elif options.start_from:
        trainer.start_from(options.start_from)
    screen = Screen(trainer, console)
    if processes.first:
        greet(screen, options.out, hours, resumed)
    feed, validate = sources(options, trainer, hours)
    return Run(trainer, feed, options.out, rhythm, validate, stop, screen, facts_of(processes, hours))


def sources(options: argparse.Namespace, trainer: Trainer, hours: Hours) -> tuple[Feed, Validate | None]:
    """Where the batches come from, and what the denoiser is measured on."""
    processes, config = trainer.processes, trainer.config
    source = partial(
        batches,
        options.data,
        Recipe(samples=trainer.model.segment),
        config.batch_size // processes.world_size,
        config.seed,
        rank=processes.rank,
        world_size=processes.world_size,
        pin_memory=processes.device.type == "cuda",
    )
    steps = tuple(sorted({*options.validate_steps, trainer.model.edm.steps}))
    if options.overfit is not None:
        kept = list(itertools.islice(source(workers=0), options.overfit))
        return Feed(partial(repeated, kept)), BatchValidator(kept, steps)
    feed = Feed(lambda number: source(first_batch=number, workers=options.workers))
    if not {"valid vocals", "valid accompaniment"} <= hours.keys():
        if processes.first:
            logger.warning("%s holds no validation song: this run will not be validated", options.data)
        return feed, None
    return feed, SongValidator(options.data, steps, options.validate_seconds, options.example_seconds)


def greet(screen: Screen, out: Path, hours: Hours, resumed: bool) -> None:
    """Say what begins here, and what differs from the last time. [first process]"""
    trainer = screen.trainer
    config, processes = trainer.config, trainer.processes
    parameters = sum(parameter.numel() for parameter in trainer.denoiser.parameters())
    vocals, music = (sum(hours.get(f"train {role}", {}).values()) for role in ("vocals", "accompaniment"))
    screen.say(
        f"{trainer.model.name}: {parameters / 1e6:.2f} million parameters, {processes.world_size} x "
        f"{processes.device.type}, {'bfloat16' if config.bfloat16 else 'float32'}; {vocals:.1f} h of vocals, "
        f"{music:.1f} h of accompaniment"
    )
    if resumed:
        screen.say(f"goes on at step {trainer.step}")
        for name, (before, now) in changes(out / FACTS, config).items():
            screen.say(f"{name} was {before}, is now {now}")
    if config.steps is None and config.minutes is None:
        screen.say("no --steps and no --minutes: trains at the full learning rate until it is stopped")


def changes(facts: Path, config: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Settings that are not those of the last save."""
    try:
        before = json.loads(facts.read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError):
        return {}
    now = dataclasses.asdict(config)
    return {name: (before[name], now[name]) for name in now if name in before and before[name] != now[name]}


def facts_of(processes: Processes, hours: Hours) -> dict[str, Any]:
    """What facts.json says beside the counters."""
    rounded = {what: {kind: round(h, 2) for kind, h in kinds.items()} for what, kinds in hours.items()}
    return {**provenance(processes.device), "processes": processes.world_size, "data_hours": rounded}


def log_to(console: Console) -> None:
    """Warnings go above the bar on a terminal, and are plain lines elsewhere."""
    plain = logging.StreamHandler(sys.stderr)
    handler = RichHandler(console=console, show_time=False, show_path=False) if console.is_terminal else plain
    logging.basicConfig(
        format="%(message)s" if console.is_terminal else "warning: %(message)s", handlers=[handler]
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

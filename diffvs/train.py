"""python -m diffvs.train: learn a denoiser from prepared audio."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
import time
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from diffvs.config import PRESETS
from diffvs.data.cache import Cache
from diffvs.data.examples import Recipe
from diffvs.data.loader import batches
from diffvs.data.validation import validation_songs
from diffvs.edm import Denoiser, karras_sigmas
from diffvs.sampling import separate_causal
from diffvs.trainer import TrainConfig, Trainer

COLUMNS = (
    "step",
    "minutes",
    "hours_heard",
    "learning_rate",
    "loss",
    "denoising",
    "expanded",
    "gradient_norm",
    "sdr",
)


def main() -> int:
    arguments = parser().parse_args()
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world_size > 1:
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    device = (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )
    config = TrainConfig(
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        steps=arguments.steps,
        minutes=arguments.minutes,
        bfloat16=device.type == "cuda",
        seed=arguments.seed,
    )
    trainer = Trainer(PRESETS[arguments.preset], config, device, rank, world_size)
    out: Path = arguments.out
    if (out / "trainer.pt").is_file():
        trainer.resume(out)
    elif arguments.start_from:
        trainer.start_from(arguments.start_from)
    stop: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stop.append(number))
    out.mkdir(parents=True, exist_ok=True)
    source = batches(
        arguments.data,
        Recipe(samples=trainer.model.segment),
        config.batch_size // world_size,
        config.seed,
        first_batch=trainer.step,
        workers=arguments.workers,
        rank=rank,
        world_size=world_size,
    )
    log_path = out / "log.csv"
    new = not log_path.exists()
    saved = validated = time.monotonic()
    with log_path.open("a", newline="") as file:
        log = csv.writer(file)
        if new and rank == 0:
            log.writerow(COLUMNS)
        while trainer.progress < 1:
            losses, norm = trainer.train_step(next(source))
            halt = bool(stop)
            if world_size > 1:
                flag = torch.tensor(float(halt))
                torch.distributed.all_reduce(flag)
                halt = bool(flag)
            if rank == 0:
                sdr = ""
                now = time.monotonic()
                if now - validated > 60 * arguments.validate_minutes or trainer.progress >= 1:
                    validated = now
                    sdr = f"{validate(trainer.average, arguments.data, arguments.validate_seconds):.3f}"
                row = (
                    trainer.step,
                    f"{trainer.seconds_trained / 60:.2f}",
                    f"{trainer.seconds_heard / 3600:.3f}",
                    f"{trainer.optimiser.param_groups[0]['lr']:.2e}",
                    *(f"{float(v):.4f}" for v in losses),
                    f"{norm:.3f}",
                    sdr,
                )
                log.writerow(row)
                file.flush()
                if sdr or trainer.step % 20 == 0:
                    print(*row, flush=True)
                if now - saved > 60 * arguments.save_minutes or trainer.progress >= 1 or halt:
                    saved = now
                    trainer.save(out, {})
            if halt:
                break
    return 0


def validate(denoiser: Denoiser, data: Path, seconds: float) -> float:
    edm = denoiser.config.edm
    song = next(validation_songs(Cache(data), (0.0,)))
    length = min(song.mixture.shape[1], int(seconds * 44_100))
    estimate = separate_causal(
        denoiser, torch.from_numpy(song.mixture[:, :length]), karras_sigmas(1, edm.sigma_min, edm.sigma_max)
    )
    reference = torch.from_numpy(song.vocals[:, :length])
    return float(10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum()))


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m diffvs.train", description=__doc__)
    result.add_argument("--preset", choices=sorted(PRESETS), default="live")
    result.add_argument("--data", type=Path, required=True)
    result.add_argument("--out", type=Path, required=True)
    result.add_argument("--batch-size", type=int, default=8)
    result.add_argument("--learning-rate", type=float, default=1e-2)
    result.add_argument("--steps", type=int)
    result.add_argument("--minutes", type=float)
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--workers", type=int, default=1)
    result.add_argument("--start-from", type=Path)
    result.add_argument("--save-minutes", type=float, default=5)
    result.add_argument("--validate-minutes", type=float, default=10)
    result.add_argument("--validate-seconds", type=float, default=1e9)
    return result


if __name__ == "__main__":
    sys.exit(main())

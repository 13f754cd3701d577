"""python -m diffvs.candidates: sizes for the live network, compared after equal training time.

Each candidate changes the live preset in one respect. It is trained from scratch by `diffvs.train` on one
thread, for as many steps as take as long as those of the preset, and judged on the validation songs. How long
a step takes is measured in turns, so that other work on the machine favours none. Finished candidates are not
trained again: an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from diffvs import checkpoint
from diffvs.config import CausalUNetConfig, ModelConfig
from diffvs.curves import HEADINGS, History, read_history
from diffvs.data.loader import Batch
from diffvs.device import counting_number
from diffvs.edm import Denoiser
from diffvs.evaluation import report
from diffvs.presets import PRESETS
from diffvs.training.log import SCORES, read_rows
from diffvs.training.trainer import TrainConfig, Trainer

BEGIN, END = "<!-- candidates: begin -->", "<!-- candidates: end -->"
COLUMNS = (
    "steps",
    "minutes",
    "hours heard",
    "parameters (M)",
    "GMAC/s",
    "vocals SDR (dB)",
    "accompaniment SDR (dB)",
)
ROUNDS = 5  # of one step of each candidate; the quickest counts
STOP_S = 60.0  # patience with a training that was asked to save and stop


def candidates() -> dict[str, tuple[str, ModelConfig]]:
    """By name: what differs from the preset live-scratch, and the model."""
    live = PRESETS["live-scratch"]
    network = live.network
    assert isinstance(network, CausalUNetConfig)

    def with_network(**changes: object) -> ModelConfig:
        return replace(live, network=replace(network, **changes))  # type: ignore[arg-type]

    deep = with_network(widths=(*network.widths, 224), dilations=(1, *network.dilations))
    half_hop = replace(live, spectrum=replace(live.spectrum, hop_length=512), segment_frames=256)
    # Each scale gives vocals the standard deviation that they have in the preset.
    stronger, weaker = (
        replace(live, spectrum=replace(live.spectrum, exponent=exponent, scale=scale))
        for exponent, scale in ((1 / 3, 1.7), (2 / 3, 1.6))
    )
    models = {
        "live-scratch": ("the preset as it is", live),
        "plain head": ("the head does not weigh the noisy image", with_network(noisy_gain=False)),
        "long context": (
            "dilations twice as long: 5 s of the past instead of 2.5, learned from 6-s excerpts",
            replace(with_network(dilations=(2, 4, 8, 16), middle_dilations=(32, 16)), segment_frames=256),
        ),
        "narrow": ("widths 64, 96, 128, 160", with_network(widths=(64, 96, 128, 160))),
        "deep": ("a fifth level of width 224", deep),
        "exponent 2/3": ("weaker compression of amplitudes", weaker),
        "hop 512": ("hop 512: frames twice as often, 12 ms more latency", half_hop),
        "look-ahead": ("2 frames of the future: 46 ms more latency", with_network(lookahead_frames=2)),
        "exponent 1/3": ("stronger compression of amplitudes", stronger),
        "no mixer": ("without the frequency mixers", with_network(frequency_bottleneck=0)),
    }
    return {name: (what, replace(model, name=name)) for name, (what, model) in models.items()}


def folder_of(out: Path, name: str) -> Path:
    """Where a candidate is trained."""
    return out / name.replace(" ", "-").replace("/", "-")


def is_finished(out: Path, name: str) -> bool:
    """Whether a candidate was validated, which is the last thing that its training does."""
    return bool(read_rows(folder_of(out, name) / SCORES))


def step_seconds(models: dict[str, ModelConfig], config: TrainConfig) -> dict[str, float]:
    """How long one step of each takes on this thread when nothing disturbs it: the least of some turns."""
    trainers = {name: Trainer(model, config) for name, model in models.items()}
    least = dict.fromkeys(models, float("inf"))
    for name in itertools.chain.from_iterable([models] * (ROUNDS + 1)):  # the first is for warming up
        trainer, samples = trainers[name], models[name].segment
        noise: Tensor = torch.randn(2, config.batch_size, 2, samples) / 10
        batch = Batch(noise[0] + noise[1], noise[1], torch.full((config.batch_size,), 22_050.0))
        began_s = time.perf_counter()
        trainer.train_step(batch)
        if trainer.step > 1:
            least[name] = min(least[name], time.perf_counter() - began_s)
    return least


def steps_of(options: argparse.Namespace) -> dict[str, int]:
    """Steps for each candidate; measured once, then kept beside the runs."""
    kept = options.out / "steps.json"
    if kept.is_file():
        found: dict[str, int] = json.loads(kept.read_text(encoding="utf-8"))
        if candidates().keys() <= found.keys():
            return found
    torch.set_num_threads(options.threads)
    seconds = step_seconds({name: model for name, (_, model) in candidates().items()}, TrainConfig())
    reference = next(iter(seconds.values()))
    steps = {name: max(1, round(options.steps * reference / one)) for name, one in seconds.items()}
    report.write(kept, json.dumps(steps, indent=2) + "\n")
    return steps


def start(name: str, model: ModelConfig, steps: int, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Train a candidate, from random weights that are the same each time, in a process of its own."""
    run, begin = folder_of(options.out, name), folder_of(options.out, name) / "start"
    if not (begin / checkpoint.WEIGHTS).is_file():
        torch.manual_seed(0)
        checkpoint.save(begin, model, Denoiser(model).state_dict(), {})
    command = [sys.executable, "-m", "diffvs.train", "--data", str(options.data), "--out", str(run)]
    command += ["--start-from", str(begin), "--steps", str(steps), "--validate-steps", "1"]
    command += ["--validate-minutes", "1e6", "--example-seconds", "0"]
    with (run / "training.log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": str(options.threads)}
        )


def train(options: argparse.Namespace) -> bool:
    """Train what is not trained yet, some at once; False when one failed, which says so."""
    waiting = [
        (name, model) for name, (_, model) in candidates().items() if not is_finished(options.out, name)
    ]
    steps = steps_of(options) if waiting else {}
    running: dict[str, subprocess.Popen[bytes]] = {}
    well = True
    try:
        while waiting or running:
            while waiting and len(running) < options.at_once:
                name, model = waiting.pop(0)
                running[name] = start(name, model, steps[name], options)
                print(f"{name}: training for {steps[name]} steps", flush=True)
            time.sleep(1)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                well = well and code == 0
                log = folder_of(options.out, name) / "training.log"
                print(f"{name}: {'done' if code == 0 else f'failed with {code}, see {log}'}", flush=True)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(STOP_S)
    return well


def markdown(out: Path) -> str:
    """The table of the finished candidates, the best first."""
    found = [
        (what, read_history(folder_of(out, name)))
        for name, (what, _) in candidates().items()
        if is_finished(out, name)
    ]
    if not found:
        raise ValueError(f"no candidate in {out} is trained: see the training.log in each folder")

    def sdr(history: History) -> float:
        return float(history.scores[1][-1, 1])

    rows = [
        (history.preset, what, *(cells[HEADINGS.index(column)] for column in COLUMNS))
        for what, history in sorted(found, key=lambda pair: -sdr(pair[1]))
        for cells in history.rows()
    ]
    lines = itertools.chain([("candidate", "what differs", *COLUMNS), ("---",) * (2 + len(COLUMNS))], rows)
    facts = max((history.facts for _, history in found), key=lambda facts: facts["date"])
    end = ("", f"{facts['machine']}, one thread each; the last on {facts['date']}.")
    return "\n".join([*("| " + " | ".join(cells) + " |" for cells in lines), *end])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no training is left behind
    try:
        well = options.steps is None or train(options)
        table = markdown(options.out)
        print(table)
        if options.write:
            text = options.write.read_text(encoding="utf-8")
            report.write(options.write, report.replace_block(text, table, BEGIN, END))
    except (ValueError, OSError) as error:
        print(f"diffvs.candidates: {error}", file=sys.stderr)
        return 2
    return 0 if well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffvs.candidates",
        description="Train variants of the live network for equally long, and compare them on the "
        "validation songs. Finished ones are kept.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="CACHE", help="prepared audio")
    add("--out", type=Path, required=True, metavar="FOLDER", help="one run per candidate")
    add(
        "--steps", type=counting_number, metavar="N",
        help="train: the live preset so many steps, the others as long (default: only make the table)",
    )  # fmt: skip
    add("--at-once", type=int, default=1, metavar="N", help="candidates trained side by side (default: 1)")
    add("--threads", type=int, default=1, metavar="N", help="for each (default: 1)")
    add("--write", type=Path, metavar="FILE.md", help="put the table between this page's candidate markers")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""python -m diffvs.curves: what runs learned, as a table and a picture made from their logs."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from diffvs.checkpoint import CONFIG, FACTS, config_from_json
from diffvs.cost import cost
from diffvs.evaluation import report
from diffvs.training.log import COLUMNS, LOG, SCORE_COLUMNS, SCORES, read_rows

BEGIN, END = "<!-- runs: begin -->", "<!-- runs: end -->"
POINTS = 20  # of a curve: more of them would show the luck of batches
STYLES = {1: "-", 2: "--"}  # of numbers of steps; more are dotted
Series = npt.NDArray[np.float64]
HEADINGS = (
    "run",
    "preset",
    "stage",
    "parameters (M)",
    "GMAC/s",
    "steps",
    "minutes",
    "hours heard",
    "s of audio/s",
    "loss at the end",
    "validated",
    "vocals SDR (dB)",
    "accompaniment SDR (dB)",
    "machine",
    "commit, date",
)


@dataclass
class History:
    """The logs of one run. `loss` and each of `scores` are (points, 2+): hours heard first."""

    name: str
    facts: dict[str, Any]
    preset: str
    parameters: int
    macs_per_second: float
    loss: Series  # hours heard, loss
    scores: dict[int, Series] = field(default_factory=dict)  # steps -> hours heard, vocals, accompaniment

    def rows(self) -> list[tuple[str, ...]]:
        """Cells under HEADINGS: one row per number of Heun steps validated, at its best."""
        training, facts = self.facts.get("training", {}), self.facts
        minutes, heard = facts["seconds_trained"] / 60, facts["seconds_heard"]
        tail = self.loss[-max(1, len(self.loss) // 20) :, 1]
        common = (
            self.name,
            self.preset,
            stage(training),
            f"{self.parameters / 1e6:.2f}",
            f"{self.macs_per_second / 1e9:.2f}",
            str(facts["step"]),
            f"{minutes:.0f}",
            f"{heard / 3600:.1f}",
            f"{heard / max(facts['seconds_trained'], 1e-9):.1f}",
            f"{np.nanmean(tail):.3f}" if len(tail) else "",
        )
        end = (
            str(facts.get("machine", "")),
            f"{facts.get('commit', '')}, {facts.get('date', '')}".strip(", "),
        )
        rows: list[tuple[str, ...]] = []
        for steps, series in sorted(self.scores.items()):
            best = series[np.nanargmax(series[:, 1])]
            name = f"{steps} step{'s' if steps > 1 else ''}"
            rows.append(
                (*common, name, *("" if np.isnan(value) else f"{value:.2f}" for value in best[1:]), *end)
            )
        return rows or [(*common, "", "", "", *end)]


def stage(training: dict[str, Any]) -> str:
    """What a run learned, in two words."""
    steps = training.get("finetune_sampler")
    return "denoising" if steps is None else f"sampler of {steps}"


def read_history(run: Path) -> History:
    """The history of a run's folder. Raises ValueError when it has no checkpoint or log."""
    try:
        model = config_from_json((run / CONFIG).read_text(encoding="utf-8"))
        facts = json.loads((run / FACTS).read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"{run} is not the folder of a run: {error}") from error
    costs = cost(model)
    loss = series(run / LOG, COLUMNS, ("hours_heard", "loss"))
    if not len(loss):
        raise ValueError(f"{run / LOG} holds no step: the run has not begun, or the file is not its log")
    history = History(run.name, facts, model.name, costs.parameters, costs.macs_per_second, loss)
    wanted = ("steps", "step", "hours_heard", "vocals_sdr", "accompaniment_sdr")
    scores = series(run / SCORES, SCORE_COLUMNS, wanted)
    for steps in np.unique(scores[:, 0]):
        mine = scores[scores[:, 0] == steps]
        # Several songs of one validation are one point.
        points = [mine[mine[:, 1] == step, 2:].mean(axis=0) for step in np.unique(mine[:, 1])]
        history.scores[int(steps)] = np.array(points)
    if not len(scores):  # a run of before there was a validation.csv
        scores = series(run / LOG, COLUMNS, ("hours_heard", "sdr", "sdr"))
        scores = scores[~np.isnan(scores[:, 1])]
        scores[:, 2] = np.nan
        history.scores.update({model.edm.steps: scores} if len(scores) else {})
    return history


def series(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> Series:
    """The wanted columns of a log, (rows, len(wanted)); nan where a cell is empty."""
    places = [columns.index(name) for name in wanted]
    rows = [row for row in read_rows(path) if len(row) > max(places)]
    return np.array([[float(row[i] or "nan") for i in places] for row in rows]).reshape(-1, len(wanted))


def smooth(points: Series) -> Series:
    """At most POINTS points, each the mean of its neighbours."""
    parts = np.array_split(points, min(POINTS, len(points)))
    return np.array([np.nanmean(part, axis=0) for part in parts])


def picture(histories: Sequence[History]) -> Figure:
    """Loss and SDR of the vocals against the hours heard."""
    height = max(4, 0.22 * len(histories))  # inches: the names of all runs stand in one column
    figure = Figure(figsize=(12, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, len(histories)))
    for history, colour in zip(histories, colours, strict=True):
        left.plot(*smooth(history.loss).T, color=colour, label=history.name, linewidth=1)
        for steps, points in sorted(history.scores.items()):
            right.plot(points[:, 0], points[:, 1], STYLES.get(steps, ":"), color=colour, marker=".")
    left.set(xlabel="hours heard", ylabel="loss", yscale="log", title="training loss")
    right.set(xlabel="hours heard", ylabel="dB (1 step solid, 2 dashed, more dotted)")
    right.set_title("vocals SDR on the validation songs")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return figure


def markdown(histories: Sequence[History], command: str, image: str) -> str:
    """The block between the markers."""
    rows = [row for history in histories for row in history.rows()]
    rule = ["---"] * 3 + ["---:"] * 7 + ["---"] + ["---:"] * 2 + ["---"] * 2
    table = "\n".join(f"| {' | '.join(row)} |" for row in (HEADINGS, rule, *rows))
    return f"Written by `{command}`; edit nothing here.\n\n{table}\n\n![Loss and SDR]({image})"


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m diffvs.curves", description=__doc__.partition(": ")[2])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the table between this file's markers"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="default: beside FILE.md, as PNG")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(words)
    image = options.picture or (options.write or Path("curves")).with_suffix(".png")
    command = f"python -m diffvs.curves {shlex.join(words)}"
    try:
        histories = [read_history(run) for run in options.runs]
        block = markdown(histories, command, image.name)
        if options.write:
            text = options.write.read_text(encoding="utf-8")
            page = report.replace_block(text, block, BEGIN, END)
        report.write(image, picture(histories))
        if options.write:
            report.write(options.write, page)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written: {options.write}, {image}" if options.write else block)
    return 0


if __name__ == "__main__":
    sys.exit(main())

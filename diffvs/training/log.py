"""What a run leaves to be read: log.csv, validation.csv, and the same for TensorBoard."""

from __future__ import annotations

import csv
import logging
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from diffvs.training.trainer import Step, Trainer
from diffvs.training.validation import Score

logger = logging.getLogger(__name__)

LOG, SCORES = "log.csv", "validation.csv"
# docs/training.md says what each means.
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
    "audio_per_second",
    "skipped",
)
SCORE_COLUMNS = ("step", "minutes", "hours_heard", "song", "steps", "vocals_sdr", "accompaniment_sdr")


class Table:
    """A CSV file whose rows begin with the step. What a resumed run will do again is dropped."""

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        self.path = path
        kept = [row for row in read_rows(path) if int(row[0]) <= step]
        part = path.with_name(path.name + ".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            # Files of older runs have fewer columns.
            writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in kept)
        os.replace(part, path)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)

    def add(self, row: Iterable[object]) -> None:
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a log without its header, by rising steps: what was done again after a resume counts."""
    if not path.is_file():
        return []
    rows: list[list[str]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            if row and row[0].isdigit():
                while rows and int(rows[-1][0]) > int(row[0]):
                    rows.pop()
                rows.append(row)
    return rows


class RunLog:
    """Log of the first process. A log that cannot be written is said once; the run goes on."""

    def __init__(self, out: Path, trainer: Trainer, every: int) -> None:
        self.trainer, self.every = trainer, every
        self._steps = Table(out / LOG, COLUMNS, trainer.step)
        self._scores = Table(out / SCORES, SCORE_COLUMNS, trainer.step)
        self._board = _tensorboard(out / "tensorboard", trainer.step)
        self._since: list[Step] = []
        self._mark = (trainer.seconds_heard, trainer.seconds_trained)
        self._failed = False

    def step(self, step: Step, sdr: float | None = None, last: bool = False) -> dict[str, float] | None:
        """Note a step. The means of every so many become a row, and those before an SDR or the end."""
        self._since.append(step)
        if self.trainer.step % self.every and sdr is None and not last:
            return None
        values = self._means()
        self._since.clear()
        self._try(lambda: self._write(values, sdr))
        return values

    def scores(self, scores: Sequence[Score]) -> None:
        """Note what a validation found."""

        def write() -> None:
            for score in scores:
                self._scores.add([*self._when(), *score[:2], *(f"{value:.3f}" for value in score[2:])])
                for name, value in zip(("vocals", "accompaniment"), score[2:], strict=True):
                    self._draw(f"sdr/{score.song}/{name}, {score.steps} steps", value)

        self._try(write)

    def close(self) -> None:
        self._try(self._steps.close)
        self._try(self._scores.close)
        if self._board is not None:
            self._try(self._board.close)

    def _means(self) -> dict[str, float]:
        applied = [step for step in self._since if step.applied]
        names = ("loss", "denoising", "expanded", "gradient_norm")
        values = {
            name: sum(getattr(step, name) for step in applied) / len(applied) if applied else math.nan
            for name in names
        }
        heard, trained = self.trainer.seconds_heard, self.trainer.seconds_trained
        # A step's time is known when the next one begins; the first row has none.
        elapsed = trained - self._mark[1]
        speed = (heard - self._mark[0]) / elapsed if elapsed > 0 else math.nan
        self._mark = heard, trained
        return {"learning_rate": self._since[-1].learning_rate, **values, "audio_per_second": speed}

    def _write(self, values: dict[str, float], sdr: float | None) -> None:
        self._steps.add(
            [
                *self._when(),
                f"{values['learning_rate']:.3e}",
                *(f"{values[name]:.6g}" for name in ("loss", "denoising", "expanded", "gradient_norm")),
                "" if sdr is None else f"{sdr:.3f}",
                f"{values['audio_per_second']:.4g}",
                self.trainer.skipped,
            ]
        )
        for name, value in values.items():
            self._draw(f"training/{name}", value)

    def _when(self) -> tuple[int, str, str]:
        trainer = self.trainer
        return trainer.step, f"{trainer.seconds_trained / 60:.3f}", f"{trainer.seconds_heard / 3600:.4f}"

    def _draw(self, name: str, value: float) -> None:
        if self._board is not None:
            self._board.add_scalar(name, value, self.trainer.step)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not self._failed:
                logger.warning("the log cannot be written: %s", error)
            self._failed = True


def _tensorboard(folder: Path, step: int) -> Any:
    """A writer for TensorBoard, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning("TensorBoard is not installed: log.csv is all there will be (pip install tensorboard)")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)

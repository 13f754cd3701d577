"""A run for human eyes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from diffvs.training.trainer import Trainer

PLAIN_LINES_S = 30.0  # between two lines where there is no terminal to draw a bar in


class Screen:
    """Progress for a human: a bar on a terminal, otherwise a line every half minute."""

    def __init__(self, trainer: Trainer, console: Console | None = None) -> None:
        self.trainer = trainer
        self.console = console or Console(stderr=True, soft_wrap=True, highlight=False)
        self._began = (time.monotonic(), trainer.progress)
        self._spoke = -math.inf
        self._bar = Progress(BarColumn(12), TextColumn("{task.description}"), console=self.console)
        self._task = self._bar.add_task("starting", total=1.0)

    def open(self) -> None:
        """The run begins."""
        self._began = (time.monotonic(), self.trainer.progress)
        if self.console.is_terminal:
            self._bar.start()

    def say(self, words: str) -> None:
        self.console.print(words, markup=False)

    def show(self, values: dict[str, float]) -> None:
        """Where the run is, after a row of the log."""
        line = self.line(values)
        if self.console.is_terminal:
            self._bar.update(self._task, description=line, completed=self.trainer.progress)
        elif time.monotonic() - self._spoke > PLAIN_LINES_S:
            self._spoke = time.monotonic()
            self.say(line)

    def line(self, values: dict[str, float]) -> str:
        trainer = self.trainer
        words = [
            f"step {trainer.step}",
            f"{trainer.seconds_heard / 3600:.2f} h heard",
            f"{values['audio_per_second']:.1f} s of audio/s",
            f"loss {values['loss']:.4f}",
            f"lr {values['learning_rate']:.2e}",
        ]
        return ", ".join([*words, *self._eta()])

    def _eta(self) -> list[str]:
        done = self.trainer.progress - self._began[1]
        if done <= 0:
            return []
        left = (time.monotonic() - self._began[0]) * (1 - self.trainer.progress) / done
        return [f"{self.trainer.progress:.0%}, {duration(left)} left"]

    def close(self) -> None:
        if self.console.is_terminal:
            self._bar.stop()


def duration(seconds: float) -> str:
    """A length of time in the two units that matter: 3 h 05 min, 4 min 10 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"

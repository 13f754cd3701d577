"""A run: step after step until its time is up, saving and validating on the way, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from diffvs.checkpoint import FACTS
from diffvs.data.loader import Batch
from diffvs.edm import Denoiser
from diffvs.training.bad_batches import blamed, keep_bad, tried_examples
from diffvs.training.feed import Feed
from diffvs.training.log import RunLog
from diffvs.training.processes import is_lost_peer
from diffvs.training.screen import Screen
from diffvs.training.state import SaveError, first_line
from diffvs.training.stop import Stop, StoppedError
from diffvs.training.trainer import Step, Trainer
from diffvs.training.validation import Score

logger = logging.getLogger(__name__)

Validate = Callable[[Denoiser, Path, Callable[[], None]], list[Score]]

BEST, EXAMPLES, BAD = "best", "examples", "bad_batches"
BAD_IN_A_ROW = 20  # so many say that the run is lost, not the batch


class TrainingError(Exception):
    """The run cannot go on; says why, and where it stands."""


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """When a run saves, validates and writes to its log."""

    save_minutes: float = 5.0
    validate_minutes: float = 10.0
    log_every: int = 10  # steps

    def __post_init__(self) -> None:
        for name in ("save_minutes", "validate_minutes", "log_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")


class Run:
    """A trainer, its batches and the folder it writes to. Only the first process writes and validates.

    Raises ValueError when the folder cannot be written.
    """

    def __init__(
        self,
        trainer: Trainer,
        feed: Feed,
        out: Path,
        rhythm: Rhythm,
        validate: Validate | None,
        stop: Stop,
        screen: Screen,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.trainer, self.feed, self.out, self.rhythm = trainer, feed, out, rhythm
        self.validate, self.stop, self.screen, self.facts = validate, stop, screen, dict(facts or {})
        self.processes = trainer.processes
        self.best = best_sdr(out, trainer.step)
        self.bad_in_a_row = 0
        if self.processes.first:
            try:
                out.mkdir(parents=True, exist_ok=True)
                self.log = RunLog(out, trainer, rhythm.log_every)
            except OSError as error:
                raise ValueError(f"{out} cannot be written ({error}): name another --out") from error

    def run(self) -> bool:
        """Train until the steps or minutes are used up (True) or a signal comes (False); saved either way.

        Raises TrainingError when nothing can be learned any more, SaveError when the end cannot be saved.
        """
        if self.processes.first:
            self.screen.open()
        try:
            finished = self._steps()
            if self.processes.first:
                self.trainer.save(self.out, self.facts)
        except RuntimeError as error:
            if self.processes.world_size == 1 or not is_lost_peer(error):
                raise
            self._part(error)
        finally:
            if self.processes.first:
                self.log.close()
                self.screen.close()
        return finished

    def _steps(self) -> bool:
        trainer, processes = self.trainer, self.processes
        self._mark = self._saved_at = self._validated_at = time.monotonic()
        while trainer.progress < 1:
            batch = self.feed.take(trainer.step)
            wishes = [self.stop.wanted, batch is None, self._elapsed() if processes.first else 0.0]
            stopping, missing, elapsed = processes.sums(wishes)
            # The first process's clock is everyone's: learning rate and end must be the same for all.
            trainer.seconds_trained += elapsed
            if stopping:
                return False
            if batch is None or missing:
                trainer.skip_step()
                self._count_missing()
                continue
            step = trainer.train_step(batch)
            if step.applied:
                self.bad_in_a_row = 0
            else:
                self._count_bad(batch, step)
            if processes.first:
                self._write(step)
        return True

    def _elapsed(self) -> float:
        """Seconds since the last call; `_write` leaves its pauses out."""
        now = time.monotonic()
        elapsed, self._mark = now - self._mark, now
        return elapsed

    def _write(self, step: Step) -> None:
        """Log a step, and validate and save when it is time, which is no training time. [first process]"""
        began, sdr = time.monotonic(), None
        last = self.trainer.progress >= 1
        if last or began - self._validated_at > 60 * self.rhythm.validate_minutes:
            sdr = self._validated()
            self._validated_at = time.monotonic()
        values = self.log.step(step, sdr, last)
        if values:
            self.screen.show(values)
        if not last and began - self._saved_at > 60 * self.rhythm.save_minutes:
            try:
                self.trainer.save(self.out, self.facts)
            except SaveError as error:
                logger.warning("%s; the run goes on and tries again", error)
            self._saved_at = time.monotonic()
        self._mark += time.monotonic() - began

    def _validated(self) -> float | None:
        """SDR of the vocals by the deployed sampler, mean over the songs; None when it is not known."""
        if self.validate is None:
            return None
        folder = self.out / EXAMPLES / f"step_{self.trainer.step:08d}"
        try:
            scores = self.validate(self.trainer.average, folder, self.stop.check)
        except StoppedError:
            return None
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # a song on a bad disk, a GPU without room for it
            logger.warning("validation at step %d failed: %s", self.trainer.step, first_line(error))
            return None
        self.log.scores(scores)
        for score in scores:
            self.screen.say(
                f"step {self.trainer.step}, {score.song}, {plural(score.steps, 'step')}: "
                f"SDR vocals {score.vocals_sdr:.2f} dB, accompaniment {score.accompaniment_sdr:.2f} dB"
            )
        deployed = [score.vocals_sdr for score in scores if score.steps == self.trainer.model.edm.steps]
        sdr = sum(deployed) / len(deployed)
        self.facts["validation"] = [score._asdict() for score in scores]
        if sdr > self.best:
            self.best = sdr
            try:
                self.trainer.save_average(self.out / BEST, {**self.facts, "validated_sdr": sdr})
            except SaveError as error:
                logger.warning("%s", error)
        return sdr

    def _count_missing(self) -> None:
        self.bad_in_a_row += 1
        if self.bad_in_a_row < BAD_IN_A_ROW:
            return
        reasons = {str(error) for error in self.processes.gather(self.feed.error and str(self.feed.error))}
        if self.processes.first:
            self.trainer.save(self.out, self.facts)
        raise TrainingError(
            f"{BAD_IN_A_ROW} batches in a row could not be made ({'; '.join(sorted(reasons - {'None'}))}); "
            f"step {self.trainer.step} is saved in {self.out}: mend the data and run the same command again"
        )

    def _count_bad(self, batch: Batch, step: Step) -> None:
        """Name and keep a batch whose loss or gradient is not finite. Raises TrainingError after too many."""
        number = self.trainer.step - 1
        tried = self.processes.gather(tried_examples(self.trainer, batch))
        found = blamed([example for part in tried for example in part])
        if self.processes.first:
            names = ", ".join(str(bad.number) for bad in found)
            logger.warning(
                "batch %d is skipped: loss %g, gradient norm %g; examples %s of seed %d",
                *(number, step.loss, step.gradient_norm, names, self.trainer.config.seed),
            )
            try:
                keep_bad(self.out / BAD, number, step, found, self.trainer.config.seed)
            except (OSError, SafetensorError) as error:
                logger.warning("the bad batch could not be kept: %s", error)
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= BAD_IN_A_ROW:
            raise TrainingError(
                f"{BAD_IN_A_ROW} batches in a row gave a loss or gradient that is not finite; they are in "
                f"{self.out / BAD}, the last checkpoint is untouched: run again with a lower --lr"
            )

    def _part(self, error: RuntimeError) -> None:
        # The weights are those of the last whole step: a step changes them after all processes have spoken.
        if self.processes.first:
            self.trainer.save(self.out, self.facts)
        raise TrainingError(
            f"another process of this run is gone ({first_line(error)}); step {self.trainer.step} is saved "
            f"in {self.out}: run the same command again"
        ) from error


def best_sdr(out: Path, step: int) -> float:
    """What the best checkpoint of this run scored; minus infinity without one."""
    path = out / BEST / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return float(facts["validated_sdr"]) if facts["step"] <= step else -math.inf
    except (OSError, ValueError, KeyError):
        return -math.inf


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

"""Batches by number, whatever happens to the workers that make them."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator

from diffvs.data.loader import Batch

logger = logging.getLogger(__name__)


class Feed:
    """Takes batches from `make(first)`, an iterator over the batches number first, first + 1, ...

    A batch that cannot be made (a worker was killed for memory, a disk went away) is None, and the workers
    are started anew at the next number: a run of many hours must not end for it.
    """

    def __init__(self, make: Callable[[int], Iterator[Batch]]) -> None:
        self._make = make
        self._batches: Iterator[Batch] | None = None
        self.error: Exception | None = None  # why the last batch was None

    def take(self, number: int) -> Batch | None:
        """Batch `number`; numbers must follow each other."""
        try:
            if self._batches is None:
                self._batches = self._make(number)
                _leave_dead_workers_to_the_loader()
            batch = next(self._batches)
        except Exception as error:  # whatever a worker raised arrives here
            logger.warning("batch %d could not be made (%s: %s)", number, type(error).__name__, error)
            self._batches, self.error = None, error
            return None
        self.error = None
        return batch


def _leave_dead_workers_to_the_loader() -> None:
    # PyTorch's handler raises in the middle of whatever runs when a worker dies, a step or a save included.
    # The loader finds out by itself within seconds of waiting for that worker.
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

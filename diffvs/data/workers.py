"""Jobs in worker processes that keep out of the way."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")


def in_workers(jobs: Sequence[Callable[[], T]], workers: int) -> Iterator[T]:
    """Results of jobs done in worker processes, in any order."""
    pool = ProcessPoolExecutor(workers, initializer=start_worker)
    try:
        for done in as_completed([pool.submit(job) for job in jobs]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and take the lowest priority where the system has priorities."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError, OSError):
        os.nice(19)

"""Keeps C libraries off stderr: what matters comes back as an error, and the user gets one sentence."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0  # calls of quiet_stderr under way, in any thread
_kept: int | None = None  # stderr as it was before the first of them


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """For the whole process, so for short calls only: file descriptor 2 leads nowhere meanwhile.

    Several threads may be inside at once: the first silences, the last restores.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _kept
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        sys.stderr.flush()
        with contextlib.suppress(OSError):  # no stderr to keep, as under pythonw
            _kept = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)


def _leave() -> None:
    global _inside, _kept
    with _lock:
        _inside -= 1
        if _inside == 0 and _kept is not None:
            os.dup2(_kept, 2)
            os.close(_kept)
            _kept = None

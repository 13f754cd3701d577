"""Keeps C libraries off stderr: what matters comes back as an error, and the user gets one sentence."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """For the whole process, so for short calls only: file descriptor 2 leads nowhere meanwhile."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr to keep, as under pythonw
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

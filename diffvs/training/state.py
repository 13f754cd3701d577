"""What a run needs to go on, beside its checkpoint: written whole or not at all, and read with a reason."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from diffvs import checkpoint

STATE = "trainer.pt"


class SaveError(Exception):
    """A checkpoint could not be written; the one before it is whole."""


def read_state(path: Path) -> dict[str, Any]:
    """The contents of a trainer.pt, on the CPU. Raises ValueError when it cannot be read."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if "average" not in state:  # a file of before the average was kept in it
            state["average"] = checkpoint.load(path.parent)[0].state_dict()
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise unreadable(path, error) from error
    return state


def unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} cannot be read, so the run cannot go on ({type(error).__name__}: {first_line(error)}); "
        f"to begin anew with its averaged weights, use --start-from {path.parent} with another --out"
    )


@contextlib.contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while writing (a full disk shows in many ways) into one SaveError, and tidy up."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError, SaveError) as error:
        for part in folder.glob("*.part"):
            with contextlib.suppress(OSError):
                part.unlink()
        if isinstance(error, SaveError):
            raise
        raise SaveError(
            f"{folder} could not be written, what it held is whole: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says; PyTorch's go on for a page."""
    return str(error).strip().partition("\n")[0]

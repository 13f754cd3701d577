"""What the commands share: the device a model runs on, and numbers on the command line."""

from __future__ import annotations

import math

import torch


def choose_device(name: str | None) -> torch.device:
    """cpu, cuda or mps; without a name cuda where there is one. Raises ValueError when it is not there."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    missing = {"cuda": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}
    if missing.get(name):
        raise ValueError(f"PyTorch finds no device {name} on this machine; use --device cpu")
    return torch.device(name)


def positive_number(text: str) -> float:
    """An option's type; argparse turns a ValueError into a sentence with this function's name."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def counting_number(text: str) -> int:
    """1, 2, 3, ... as an option's type."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value

"""The options of the ways in, and the companions that they ask for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

from stream.control.companion import Companion


@dataclass(frozen=True, kw_only=True)
class ControlOptions:
    """What the user asked for. Raises ValueError."""


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """One group of options for each way in."""


def control_options(given: dict[str, object]) -> ControlOptions:
    """Takes its own out of the parsed options; the rest stays."""
    return ControlOptions(**{field.name: given.pop(field.name) for field in fields(ControlOptions)})


def companions(options: ControlOptions) -> list[Companion]:
    """In the order in which they start. Raises ControlError for what cannot be had."""
    return []

"""The options of the ways in, and the companions that they ask for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stream.control.companion import Companion
from stream.control.memory import Memory
from stream.control.osc import Osc
from stream.control.settings import PATH_VARIABLE, Settings


@dataclass(frozen=True, kw_only=True)
class ControlOptions:
    """What the user asked for. Raises ValueError."""

    config: Path | None
    preset: str | None
    osc: str | None


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """One group of options for each way in."""
    settings = parser.add_argument_group("presets and memory")
    settings.add_argument(
        "--preset", metavar="NAME", help="begin with this one (default: where the controls were last time)"
    )
    settings.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the settings (default: ${PATH_VARIABLE}, or settings.toml in your folder for such)",
    )
    osc = parser.add_argument_group("OSC")
    osc.add_argument(
        "--osc",
        metavar="[HOST:]PORT",
        help="listen there, by UDP, to /diffvs/PARAMETER value (HOST: 127.0.0.1)",
    )


def control_options(given: dict[str, Any]) -> ControlOptions:
    """Takes its own out of the parsed options; the rest stays."""
    return ControlOptions(**{field.name: given.pop(field.name) for field in fields(ControlOptions)})


def companions(options: ControlOptions, settings: Settings) -> list[Companion]:
    """In the order in which they start. Raises ControlError for what cannot be had."""
    beside: list[Companion] = [Memory(settings)]
    if options.osc is not None:
        beside.append(Osc(options.osc, settings))
    return beside

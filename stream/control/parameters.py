"""The named parameters of a live session: what can be moved, and how far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Value = float | bool | str  # of a level or decibels, of a switch, of a choice
MODES = {"karaoke": (0.0, 1.0), "acapella": (1.0, 0.0), "mix": (1.0, 1.0)}  # vocals, accompaniment
CUSTOM = "custom"  # the mode of any other two levels
AUTO = "auto"  # as many steps as the model says and time allows
LEAST_GAIN_DB, MOST_GAIN_DB = -60.0, 12.0


class ControlError(ValueError):
    """A parameter that does not exist, or a value that it cannot take; the text says what it can."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One thing to move. `trigger` has no value of its own: setting it to True does something once."""

    name: str
    kind: Literal["level", "decibels", "switch", "choice", "trigger"]
    help: str
    default: Value
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()

    def checked(self, value: object) -> Value:
        """The value as this parameter keeps it. Raises ControlError."""
        if self.kind == "choice":
            if str(value) in self.choices:
                return str(value)
            raise ControlError(f"{self.name} is {value!r}; it must be one of {', '.join(self.choices)}")
        if self.kind in ("switch", "trigger"):
            if value in (True, False):  # 0 and 1 too
                return bool(value)
            raise ControlError(f"{self.name} is {value!r}; it must be on (true, 1) or off (false, 0)")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number) and self.low <= number <= self.high:
                return number
        raise ControlError(f"{self.name} is {value!r}; it must be from {self.low:g} to {self.high:g}")

    def at(self, share: float) -> Value:
        """The value at a share 0 to 1 of the way, as a knob's position means it."""
        share = min(max(share, 0.0), 1.0)
        if self.kind == "choice":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.kind in ("switch", "trigger"):
            return share >= 0.5
        return self.low + share * (self.high - self.low)

    def share(self, value: Value) -> float:
        """Inverse of `at`: where a knob stands for this value."""
        if self.kind == "choice":
            return self.choices.index(str(value)) / max(1, len(self.choices) - 1)
        return (float(value) - self.low) / (self.high - self.low)


_ALL = (
    Parameter(name="vocals", kind="level", default=0.0, help="level of the vocals"),
    Parameter(name="accompaniment", kind="level", default=1.0, help="level of everything else"),
    Parameter(name="mute", kind="switch", default=False, help="no vocals while on: for a pad that is held"),
    Parameter(name="bypass", kind="switch", default=False, help="the original, at the same delay"),
    Parameter(
        name="mode",
        kind="choice",
        default="karaoke",
        choices=(*MODES, CUSTOM),
        help="both levels at once; custom is any other pair",
    ),
    Parameter(
        name="gain",
        kind="decibels",
        default=0.0,
        low=LEAST_GAIN_DB,
        high=MOST_GAIN_DB,
        help="of the output, in dB; the lowest is silence",
    ),
    Parameter(
        name="steps",
        kind="choice",
        default=AUTO,
        choices=(AUTO, "1", "2", "3", "4"),
        help="of the sampler; auto makes fewer when time is short",
    ),
    Parameter(name="record", kind="switch", default=False, help="vocals and accompaniment into files"),
    Parameter(name="split", kind="trigger", default=False, help="go on recording in new files"),
)
PARAMETERS: dict[str, Parameter] = {parameter.name: parameter for parameter in _ALL}


def parameter(name: str) -> Parameter:
    """Raises ControlError."""
    if name not in PARAMETERS:
        raise ControlError(f"there is no parameter {name!r}; there are {', '.join(PARAMETERS)}")
    return PARAMETERS[name]

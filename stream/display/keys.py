"""What each key does: the parameters under one hand, without Enter."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stream.control.controls import Controls
from stream.control.parameters import PARAMETERS, ControlError, Value
from stream.control.presets import Presets

LEVEL_STEP = 0.05
GAIN_STEP_DB = 1.0
MESSAGE_S = 4.0  # that one is shown
SURE_S = 3.0  # for the second q
SOURCE = "keys"

HELP = (
    ("up down", "vocals"),
    ("left right", "accompaniment"),
    ("+ -", "gain"),
    ("m", "mute"),
    ("b", "bypass"),
    ("r", "record"),
    ("s", "split"),
    ("1-9", "preset"),
    ("w 1-9", "keep as preset"),
    ("?", "keys"),
    ("q q", "end"),
)
MOVES = {
    "up": ("vocals", LEVEL_STEP),
    "down": ("vocals", -LEVEL_STEP),
    "right": ("accompaniment", LEVEL_STEP),
    "left": ("accompaniment", -LEVEL_STEP),
    "+": ("gain", GAIN_STEP_DB),
    "=": ("gain", GAIN_STEP_DB),  # the same key without Shift
    "-": ("gain", -GAIN_STEP_DB),
}
SWITCHES = {"m": "mute", "b": "bypass", "r": "record"}

logger = logging.getLogger(__name__)


class Keys:
    """[keys] presses; [any] reads what there is to say about it."""

    def __init__(self, controls: Controls, presets: Presets, end: Callable[[], None]):
        self.presets = presets
        self.help = False  # whether the list of keys is shown
        self._controls = controls
        self._end = end
        self._message, self._until_s = "", 0.0
        self._before = ""  # the key before, where it changes what the next one means
        self._before_s = 0.0

    @property
    def message(self) -> str:
        """About the last keys; empty after a while."""
        return self._message if time.monotonic() < self._until_s else ""

    def press(self, key: str) -> None:
        """Does it, or says why not."""
        before = self._before if time.monotonic() - self._before_s < SURE_S else ""
        self._before = ""
        try:
            self._press(key, before)
        except ControlError as error:
            self._say(str(error))

    def _press(self, key: str, before: str) -> None:
        if key in MOVES:
            self._move(*MOVES[key])
        elif key.lower() in SWITCHES:
            self._controls.toggle(SWITCHES[key.lower()], SOURCE)
        elif key in "sS":
            self._controls.set("split", True, SOURCE)
        elif key in "123456789":
            self._preset(int(key) - 1, keep=before == "w")
        elif key == "?":
            self.help = not self.help
        elif key in "wW":
            self._wait_for_more("w", "keep what plays now as preset 1 to 9?")
        elif key in "qQ" and before == "q":
            self._end()
        elif key in "qQ":
            self._wait_for_more("q", "q once more ends the music")

    def _move(self, name: str, step: float) -> None:
        one = PARAMETERS[name]
        value: Value = min(max(float(self._controls[name]) + step, one.low), one.high)
        self._controls.set(name, round(float(value), 3), SOURCE)

    def _preset(self, number: int, keep: bool) -> None:
        names = self.presets.names()
        if not keep:
            self._say(f"preset {self.presets.recall(number, SOURCE)}")
            return
        # A number behind the last makes a new one, right behind the last.
        name = names[number] if number < len(names) else f"preset {len(names) + 1}"
        kept = self.presets.save(name)
        where = "" if kept else ", for this session only: the file of settings cannot be written"
        self._say(f"kept as preset {min(number, len(names)) + 1}, {name}{where}")

    def _wait_for_more(self, key: str, words: str) -> None:
        self._before, self._before_s = key, time.monotonic()
        self._say(words)

    def _say(self, words: str) -> None:
        self._message, self._until_s = words, time.monotonic() + MESSAGE_S


def help_lines() -> str:
    """Two lines for 80 columns."""
    words = [f"{keys} {words}" for keys, words in HELP]
    return "\n".join("   ".join(part) for part in (words[:5], words[5:]))

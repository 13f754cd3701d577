"""Controls: the one place that owns the values of the parameters.

Any thread may set, toggle or read. Listeners are called on the thread that set, one change at a time and in
order: the engine's takes effect within the callback's next block. A listener must not wait: what takes long
goes to a queue of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from stream.control.parameters import CUSTOM, LEAST_GAIN_DB, MODES, PARAMETERS, ControlError, Value, parameter

Listener = Callable[[str, Value, str], None]  # name, value, and who set it

logger = logging.getLogger(__name__)


class Controls:
    """The values, by name; `vocals`, `accompaniment` and `mode` always agree."""

    def __init__(self, values: Mapping[str, object] | None = None):
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._values: dict[str, Value] = {name: one.default for name, one in PARAMETERS.items()}
        self.apply(values or {}, "start")

    def __getitem__(self, name: str) -> Value:
        parameter(name)
        with self._lock:
            return self._values[name]

    def snapshot(self) -> dict[str, Value]:
        """All values at one moment, by name."""
        with self._lock:
            return dict(self._values)

    def set(self, name: str, value: object, source: str = "") -> None:
        """Raises ControlError, and then nothing has changed. `source` tells listeners who it was."""
        self.apply({name: value}, source)

    def toggle(self, name: str, source: str = "") -> None:
        """Turns a switch over. Raises ControlError for what is not a switch."""
        if parameter(name).kind != "switch":
            raise ControlError(f"{name} is not a switch")
        with self._lock:
            self.set(name, not self._values[name], source)

    def apply(self, values: Mapping[str, object], source: str = "") -> None:
        """Sets several, all or none. A mode goes before single levels. Raises ControlError."""
        checked = {name: parameter(name).checked(value) for name, value in values.items()}
        mode = str(checked.pop("mode", CUSTOM))
        if mode != CUSTOM:
            vocals, accompaniment = MODES[mode]
            checked = {"vocals": vocals, "accompaniment": accompaniment, **checked}
        with self._lock:
            changed = [name for name, value in checked.items() if self._change(name, value)]
            if self._change("mode", self._mode()):
                changed.append("mode")
            for name in changed:
                self._tell(name, checked.get(name, self._values[name]), source)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` at every change from now on; gives what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def levels(self) -> tuple[float, float]:
        """The levels of vocals and accompaniment that all of this comes to; 1 is as it came."""
        with self._lock:
            values = self._values
            gain_db = float(values["gain"])
            gain = 0.0 if gain_db <= LEAST_GAIN_DB else 10 ** (gain_db / 20)
            if values["bypass"]:
                return gain, gain
            vocals = 0.0 if values["mute"] else float(values["vocals"])
            return gain * vocals, gain * float(values["accompaniment"])

    def _change(self, name: str, value: Value) -> bool:
        """Whether that is news. A trigger always is, and leaves no value behind."""
        if PARAMETERS[name].kind == "trigger":
            return bool(value)
        before, self._values[name] = self._values[name], value
        return before != value

    def _mode(self) -> str:
        levels = (self._values["vocals"], self._values["accompaniment"])
        return next((name for name, pair in MODES.items() if pair == levels), CUSTOM)

    def _tell(self, name: str, value: Value, source: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(name, value, source)
            except Exception:  # noqa: PERF203 - one that fails must not silence the others
                logger.exception("a listener failed at %s", name)

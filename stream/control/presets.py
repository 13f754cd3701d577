"""Named presets: levels, gain and steps that are recalled together."""

from __future__ import annotations

from typing import Any

from stream.control.controls import Controls
from stream.control.parameters import PARAMETERS, ControlError, Value, parameter
from stream.control.settings import Settings

SECTION = "presets"
KEPT = ("vocals", "accompaniment", "gain", "steps")  # what a preset, and the memory of a session, holds
MOST_PRESETS = 128  # as many as MIDI programmes
LONGEST_NAME = 40
BUILT_IN: dict[str, dict[str, Any]] = {  # until there are the user's own
    "karaoke": {"vocals": 0.0, "accompaniment": 1.0},
    "guide": {"vocals": 0.3, "accompaniment": 1.0},
    "acapella": {"vocals": 1.0, "accompaniment": 0.0},
    "mix": {"vocals": 1.0, "accompaniment": 1.0},
}


class Presets:
    """[any] By name, or by number from 0 in the order of the file. What is saved waits for the disk."""

    def __init__(self, controls: Controls, settings: Settings):
        self._controls = controls
        self._settings = settings

    def names(self) -> list[str]:
        return list(stored(self._settings))

    def current(self) -> str | None:
        """The first preset that is what plays now, if any is."""
        now = self._controls.snapshot()
        return next((name for name, values in stored(self._settings).items() if _is(values, now)), None)

    def recall(self, preset: str | int, source: str) -> str:
        """All its values at once; gives its name. Raises ControlError, and then nothing has changed."""
        name, values = find(self._settings, preset)
        try:
            self._controls.apply(values, source)
        except ControlError as error:
            raise ControlError(f"preset {name}: {error}") from None
        return name

    def save(self, name: str) -> bool:
        """What plays now, under a name; an old one of that name keeps its place. Raises ControlError.

        Returns whether it has reached the file; if not, it lasts as long as the session.
        """
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise ControlError(f"a preset's name has 1 to {LONGEST_NAME} characters; this is {name!r}")
        presets = stored(self._settings)
        if name not in presets and len(presets) >= MOST_PRESETS:
            raise ControlError(f"there are {MOST_PRESETS} presets already; delete one first")
        now = self._controls.snapshot()
        old = dict.fromkeys(presets.get(name, {}))  # a preset written by hand may hold more
        return self._update(name, {**old, **{key: now[key] for key in KEPT}})

    def delete(self, name: str) -> bool:
        """Raises ControlError. Returns as `save` does."""
        return self._update(find(self._settings, name)[0], None)

    def _update(self, name: str, values: dict[str, Any] | None) -> bool:
        own = self._settings.section(SECTION)
        return self._settings.update(SECTION, {name: values} if own else {**BUILT_IN, name: values})


def stored(settings: Settings) -> dict[str, Any]:
    """All presets, by name, as they stand in the file."""
    return settings.section(SECTION) or BUILT_IN


def find(settings: Settings, preset: str | int) -> tuple[str, dict[str, Any]]:
    """Name and values. Raises ControlError for what is not there, or is no preset."""
    presets = stored(settings)
    names = list(presets)
    if isinstance(preset, int):
        if not 0 <= preset < len(names):
            raise ControlError(
                f"there is no preset number {preset}; 0 to {len(names) - 1} are {_list(names)}"
            )
        name = names[preset]
    elif preset in presets:
        name = preset
    else:
        alike = [name for name in names if name.casefold() == preset.strip().casefold()]
        if not alike:
            raise ControlError(f"there is no preset {preset!r}; there are {_list(names)}")
        name = alike[0]
    values = presets[name]
    if not isinstance(values, dict) or not values.keys() <= PARAMETERS.keys():
        raise ControlError(f"preset {name} is {values!r}; it must name parameters: {', '.join(PARAMETERS)}")
    return name, values


def _is(values: Any, now: dict[str, Value]) -> bool:
    try:
        return bool(values) and all(parameter(key).checked(values[key]) == now[key] for key in values)
    except (ControlError, TypeError):  # written by hand
        return False


def _list(names: list[str]) -> str:
    return ", ".join(names)

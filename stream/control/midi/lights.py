"""What a controller's lights, rings and motor faders are told: messages out when a parameter changes, whoever
changed it.
"""

from __future__ import annotations

from stream.control.midi.bindings import Binding, MidiMap
from stream.control.midi.messages import Message
from stream.control.parameters import PARAMETERS, Value


class Lights:
    """Pure: values in, messages out, and each only when it is news."""

    def __init__(self, midi_map: MidiMap):
        self._lit = [each for each in midi_map.bindings if each.light and each.target in PARAMETERS]
        self._shown: dict[Binding, Message] = {}

    def __bool__(self) -> bool:
        return bool(self._lit)

    def show(self, values: dict[str, Value]) -> list[Message]:
        """What to send so that the lights agree with `values`, some or all of the parameters."""
        news = []
        for binding in self._lit:
            if binding.target not in values or binding.light is None:
                continue
            message = binding.light.message(_share(binding, values[binding.target]))
            if self._shown.get(binding) != message:
                self._shown[binding] = message
                news.append(message)
        return news

    def forget(self) -> None:
        """The controller was away: all is news again."""
        self._shown.clear()

    def dark(self) -> list[Message]:
        """What to send at the end; faders stay where they are."""
        return [each.light.message(0.0) for each in self._lit if each.light and each.action != "move"]


def _share(binding: Binding, value: Value) -> float:
    if binding.action == "move":
        return PARAMETERS[binding.target].share(value)
    return 1.0 if value == binding.value else 0.0

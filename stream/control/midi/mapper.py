"""Messages of one MIDI port to moves of the controls: pick-up, 14 bits, buttons that toggle, hold or set.

Pure: no port, no thread, no clock. One thread feeds it.

Pick-up (soft takeover): a knob does nothing until it meets or crosses the present value, so that a level
never jumps. It has met it as long as the value is still the one that it set itself: whoever else moves the
value, a hand on the page or another knob, thereby takes it out of this knob's grip.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from stream.control.controls import Controls
from stream.control.midi.bindings import PRESET, Binding, MidiMap
from stream.control.midi.messages import LSB, Message
from stream.control.parameters import PARAMETERS, ControlError, Value

SOURCE = "midi"
PRESSED = 64  # of a CC that is a button: from here on it is down (MIDI 1.0: 0 to 63 off, 64 to 127 on)
NEAR = 1.5 / 127  # shares closer than this are the same place: knobs have 128 of them
Recall = Callable[["int | str", str], object]

logger = logging.getLogger(__name__)


@dataclass
class Control:
    """What is remembered of one knob or pad."""

    binding: Binding
    last: float | None = None  # where it stood, 0 to 1
    own: Value | None = None  # what it set last, while it is picked up
    msb: int | None = None
    waits: bool = False  # an MSB has come without its LSB
    paired: bool = False  # the other half does come
    down: bool = False
    before: dict[str, Value] = field(default_factory=dict)  # what a hold or toggle goes back to


class Mapper:
    """Moves `controls` by what `map` says. `recall` calls up a preset by position or name."""

    def __init__(self, midi_map: MidiMap, controls: Controls, recall: Recall | None = None):
        self._map = midi_map
        self._controls = controls
        self._recall = recall
        self._by_number: dict[tuple[str, int], list[Control]] = {}
        for binding in midi_map.bindings:
            control = Control(binding)
            for number in {binding.number, binding.number + LSB if binding.bits == 14 else binding.number}:
                self._by_number.setdefault((binding.kind, number), []).append(control)

    def handle(self, message: Message) -> bool:
        """Whether anything is bound to it. Raises nothing: what cannot be is logged."""
        try:
            if message.kind == "programme":
                return self._programme(message.number)
            heard = [
                control
                for control in self._by_number.get((message.kind, message.number), ())
                if control.binding.hears(message)
            ]
            for control in heard:
                self._move(control, message)
            return bool(heard)
        except ControlError as error:
            logger.warning("MIDI %s: %s", message, error)
        except Exception:
            logger.exception("MIDI %s", message)
        return True

    def let_go(self) -> None:
        """The port is gone: what was held must not stay so."""
        for controls in self._by_number.values():
            for control in controls:
                if control.down and control.binding.action == "hold":
                    self._release(control)
                control.down, control.last, control.own, control.waits = False, None, None, False

    def _programme(self, number: int) -> bool:
        if not self._map.programmes or self._recall is None:
            return False
        self._recall(number, SOURCE)
        return True

    def _move(self, control: Control, message: Message) -> None:
        if control.binding.action != "move":
            self._button(control, message)
            return
        share = _share(control, message)
        if share is None:
            return
        one = PARAMETERS[control.binding.target]
        value, present = one.at(share), self._controls[one.name]
        met = not control.binding.pick_up or present in (control.own, value)
        met = met or _meets(control.last, share, one.share(present))
        control.last, control.own = share, None
        if met:
            self._controls.set(one.name, value, SOURCE)
            control.own = value

    def _button(self, control: Control, message: Message) -> None:
        binding, was_down = control.binding, control.down
        control.down = message.value >= (PRESSED if message.kind == "cc" else 1)
        if binding.action == "hold" and PARAMETERS[binding.target].kind == "switch":
            self._controls.set(binding.target, binding.value if control.down else not binding.value, SOURCE)
        elif control.down and not was_down:
            self._press(binding, control)
        elif was_down and not control.down and binding.action == "hold":
            self._release(control)

    def _press(self, binding: Binding, control: Control) -> None:
        if binding.target == PRESET:
            if self._recall is not None and isinstance(binding.value, (int, str)):
                self._recall(binding.value, SOURCE)
        elif binding.action == "toggle" and self._controls[binding.target] == binding.value:
            self._release(control)
        else:
            control.before = self._now(binding.target)
            self._controls.set(binding.target, binding.value, SOURCE)

    def _release(self, control: Control) -> None:
        """Back to what was; a switch just turns."""
        target, value = control.binding.target, control.binding.value
        if PARAMETERS[target].kind == "switch":
            self._controls.set(target, not value, SOURCE)
        elif self._controls[target] == value:  # else somebody has moved on
            self._controls.apply(control.before, SOURCE)

    def _now(self, target: str) -> dict[str, Value]:
        """A mode may be custom: what makes it up is kept in its place."""
        names = ("vocals", "accompaniment") if target == "mode" else (target,)
        return {name: self._controls[name] for name in names}


def _meets(last: float | None, share: float, present: float) -> bool:
    near = abs(share - present) <= NEAR
    return near or (last is not None and (last - present) * (share - present) < 0)


def _share(control: Control, message: Message) -> float | None:
    """Where the knob stands, 0 to 1; None while the fine half is due.

    MIDI 1.0 sends the coarse half first, and may leave the fine one out when it is 0. It is waited for once
    it has been seen to come, lest a fader that moves down dips by a 128th at every step.
    """
    binding, value = control.binding, message.value
    if binding.bits == 7:
        return value / 127
    if message.number == binding.number:
        control.paired = control.paired and not control.waits
        control.msb, control.waits = value, True
        # Alone, it stands for its whole range: 127 is the end.
        return None if control.paired else value / 127
    control.paired, control.waits = True, False
    return None if control.msb is None else (control.msb * 128 + value) / 16_383

"""`--midi-learn`: name a parameter, move the knob or press the pad, and it is in the settings.

What moved is recognised from the messages alone: a knob sends many values, a button 0 and 127, a pad notes,
and a 14-bit fader two control changes, 32 apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from stream.control.midi.bindings import PRESET, Action, Binding, Light
from stream.control.midi.bindings_toml import action_value, binding_table, default_action, read_map
from stream.control.midi.controllers import FETCH_S, MidiPort
from stream.control.midi.messages import LSB, Kind, Message
from stream.control.midi.ports import VIRTUAL, stable
from stream.control.parameters import PARAMETERS, ControlError, Value, parameter
from stream.control.settings import Settings

SECTION = "midi"
QUIET_S = 0.5  # without a message: the gesture is over
LONGEST_S = 3.0  # a knob that flickers never is
MANUAL = (
    f"parameters: {', '.join(PARAMETERS)}\n"
    "of a pad also NAME=hold, NAME=toggle, NAME=VALUE, preset=NAME; Ctrl-C ends, and what is learned stays"
)


@dataclass(frozen=True)
class Wish:
    """What is to be moved; None leaves it to the kind of control."""

    target: str
    action: Action | None = None
    value: Value | int | None = None

    def __str__(self) -> str:
        return self.target if self.value in (None, True) else f"{self.target} = {self.value}"


@dataclass(frozen=True)
class Found:
    """A control, as its messages show it."""

    kind: Kind
    number: int
    channel: int
    bits: int
    button: bool


def read_wish(text: str) -> Wish:
    """From "vocals", "mute=toggle", "mode=acapella", "vocals=0.3" or "preset=NAME". Raises ControlError."""
    name, _, value = (part.strip() for part in text.partition("="))
    if name == PRESET:
        if not value:
            raise ControlError("which preset? preset=NAME, or preset=NUMBER from 0")
        return Wish(PRESET, "set", int(value) if value.isdigit() else value)
    one = parameter(name)
    if not value:
        return Wish(name, "set", True) if one.kind == "trigger" else Wish(name)
    for action in ("toggle", "hold"):
        if value == action:
            return Wish(name, "toggle" if action == "toggle" else "hold", action_value(one, action, None))
    try:
        number: object = float(value)
    except ValueError:
        number = value
    given = one.checked(value if one.kind == "choice" else number)
    return Wish(name, "set", action_value(one, "set", given))


def recognise(messages: Iterable[Message]) -> Found | None:
    """The control that these came from; None when there is none among them."""
    seen = [message for message in messages if message.kind != "programme"]
    if not seen:
        return None
    values: dict[tuple[Kind, int, int], set[int]] = {}
    for message in seen:
        values.setdefault((message.kind, message.channel, message.number), set()).add(message.value)
    knobs = {key for key, of in values.items() if key[0] == "cc" and not of <= {0, 127}}
    pads = {key for key in values if key[0] == "note"}
    counts = Counter((message.kind, message.channel, message.number) for message in seen)
    likely = knobs or pads or values.keys()  # a fader may tell by a note that it was touched
    kind, channel, number = max(likely, key=lambda key: counts[key])
    if kind == "cc" and number >= LSB and (kind, channel, number - LSB) in knobs:
        number -= LSB
    fine = kind == "cc" and number < LSB and {(kind, channel, number), (kind, channel, number + LSB)} <= knobs
    return Found(kind, number, channel, 14 if fine else 7, (kind, channel, number) not in knobs)


def bind(wish: Wish, found: Found, port: str = "") -> Binding:
    """Raises ControlError where this control cannot do that."""
    control = Binding(
        target=wish.target, kind=found.kind, number=found.number, channel=found.channel, port=port
    )
    light = Light(kind=found.kind, number=found.number, channel=found.channel)
    if wish.target == PRESET:
        return replace(control, action="set", value=wish.value)
    one = PARAMETERS[wish.target]
    if wish.action is not None:
        value = action_value(one, wish.action, wish.value)
        return replace(control, action=wish.action, value=value, light=light)
    if one.kind == "switch":
        action = default_action(one, "note", False) if found.button else "hold"
        return replace(control, action=action, value=True, light=light if found.button else None)
    if found.button:
        raise ControlError(
            f"{control.control} is a button or pad, since it sent no values in between; for {one.name} move "
            f"a knob or fader, slowly, or ask for {one.name}=VALUE"
        )
    return replace(control, bits=found.bits)


def save(settings: Settings, binding: Binding) -> tuple[list[Binding], bool]:
    """Into [midi]. Gives what it takes the place of, and whether it has reached the file; or ControlError."""
    own = read_map(settings.section(SECTION)).bindings

    def replaced(old: Binding) -> bool:
        same = (old.target, old.action, old.value, old.port)
        return same == (binding.target, binding.action, binding.value, binding.port) or old.same_control(
            binding
        )

    kept = [old for old in own if not replaced(old)]
    written = settings.update(SECTION, {"bindings": [binding_table(each) for each in (*kept, binding)]})
    return [old for old in own if replaced(old)], written


class Lesson:
    """Listens to ports and tells by `say` what it learned."""

    def __init__(
        self,
        ports: Sequence[MidiPort],
        settings: Settings,
        say: Callable[[str], None] = print,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._ports = ports
        self._settings = settings
        self._say = say
        self._sleep = sleep

    def learn(self, text: str) -> None:
        """One wish, as often as it takes. Raises ControlError for one that cannot be."""
        wish = read_wish(text)
        while True:
            self._say(f"{wish}: move its knob or fader, or press and let go its pad ...")
            port, messages = self._gesture()
            found = recognise(messages)
            if found is None:
                self._say(
                    "that is a programme change: it recalls the preset of its number, and needs no learning"
                )
                continue
            try:
                binding = bind(wish, found, stable(port.name) if len(self._ports) > 1 else "")
            except ControlError as error:
                self._say(str(error))
                continue
            break
        if port.name == VIRTUAL:
            binding = replace(binding, light=None)  # who sends to it may get its own words back, and answer
        before, written = save(self._settings, binding)
        instead = (
            f" instead of {', '.join(f'{old.control} for {old.effect}' for old in before)}" if before else ""
        )
        where = f"saved to {self._settings.path}" if written else "not saved"
        self._say(f"learned: {binding.control} for {binding.effect}{instead}; {where}")

    def converse(self, ask: Callable[[str], str]) -> None:
        """Until an empty answer, or the end of the input."""
        while True:
            try:
                answer = ask("parameter (Enter alone ends): ").strip()
            except EOFError:
                return
            if not answer:
                return
            try:
                self.learn(answer)
            except ControlError as error:
                self._say(str(error))

    def _gesture(self) -> tuple[MidiPort, list[Message]]:
        """What one port sends from its first message until it is quiet."""
        for port in self._ports:
            port.receive()  # what came before the question
        while True:
            for port in self._ports:
                if messages := port.receive():
                    return port, messages + self._rest(port)
            self._sleep(FETCH_S)

    def _rest(self, port: MidiPort) -> list[Message]:
        messages: list[Message] = []
        quiet = 0
        for _ in range(round(LONGEST_S / FETCH_S)):
            self._sleep(FETCH_S)
            new = port.receive()
            messages += new
            quiet = 0 if new else quiet + 1
            if quiet * FETCH_S >= QUIET_S:
                break
        return messages

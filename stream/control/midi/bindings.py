"""Which knob moves what: bindings of MIDI controls to parameters, and maps of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.control.midi.messages import LSB, Kind, Message, name_of
from stream.control.parameters import Value

Action = Literal["move", "toggle", "hold", "set"]
ACTIONS: tuple[Action, ...] = ("move", "toggle", "hold", "set")
PRESET = "preset"  # the target that is no parameter


@dataclass(frozen=True, kw_only=True)
class Light:
    """The message that makes a control show its parameter; `on` and `off` are its values."""

    kind: Kind
    number: int
    channel: int
    on: int = 127
    off: int = 0

    def message(self, share: float) -> Message:
        """For a switch 0 or 1; for a level, where its knob would stand."""
        value = round(self.off + share * (self.on - self.off))
        return Message(self.kind, self.channel, self.number, value)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One control and what it does; checked, so that no message can make it raise."""

    target: str
    kind: Kind
    number: int
    channel: int | None = None
    bits: int = 7
    action: Action = "move"
    value: Value | int | None = None
    pick_up: bool = True
    light: Light | None = None
    port: str = ""
    label: str = ""  # what people call the control

    def hears(self, message: Message) -> bool:
        """Whether this control sent it; of a 14-bit one also the fine half."""
        numbers = (self.number, self.number + LSB) if self.bits == 14 else (self.number,)
        same = message.kind == self.kind and message.number in numbers
        return same and self.channel in (None, message.channel)

    def same_control(self, other: Binding) -> bool:
        channels = self.channel == other.channel or None in (self.channel, other.channel)
        ports = self.port == other.port or "" in (self.port, other.port)
        return (self.kind, self.number) == (other.kind, other.number) and channels and ports

    def fits(self, port_name: str) -> bool:
        return all(word in port_name.lower() for word in self.port.lower().split())

    @property
    def control(self) -> str:
        """As people call it: "CC 7 on channel 1"."""
        where = "" if self.channel is None else f" on channel {self.channel}"
        return f"{name_of(self.kind, self.number)}{' (14 bit)' if self.bits == 14 else ''}{where}"

    @property
    def effect(self) -> str:
        words = {"move": "", "toggle": " (toggle)", "hold": " (hold)", "set": ""}[self.action]
        value = "" if self.value is None or self.value is True else f" = {self.value}"
        return f"{self.target}{value}{words}"


@dataclass(frozen=True, kw_only=True)
class MidiMap:
    """What one controller does. `ports` are words by which its port is known."""

    bindings: tuple[Binding, ...] = ()
    name: str = ""
    ports: tuple[str, ...] = ()
    programmes: bool = True  # programme change n recalls the preset of position n
    chosen: str = ""  # of the user's own: the map below it

    def fits(self, port_name: str) -> bool:
        return any(all(word in port_name.lower() for word in known.lower().split()) for known in self.ports)

    def over(self, below: MidiMap) -> MidiMap:
        """Mine, and those of the other map whose controls I leave free."""
        rest = [
            binding
            for binding in below.bindings
            if not any(mine.same_control(binding) for mine in self.bindings)
        ]
        return MidiMap(
            bindings=(*self.bindings, *rest), name=below.name or self.name, programmes=self.programmes
        )

    def of_port(self, port_name: str) -> MidiMap:
        fitting = tuple(binding for binding in self.bindings if binding.fits(port_name))
        return MidiMap(bindings=fitting, name=self.name, programmes=self.programmes)

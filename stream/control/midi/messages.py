"""MIDI's bytes and what they mean here: notes, control changes and programme changes (MIDI 1.0, 1996).

The decoder takes whatever comes, in pieces of any size: running status, real-time bytes in between, system
exclusive, halves and rubbish. It never raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "cc", "programme"]

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PROGRAMME_CHANGE = 0x80, 0x90, 0xB0, 0xC0
REAL_TIME = 0xF8  # from here on: one byte, allowed anywhere
SYSTEM = 0xF0  # from here on: messages without a channel, which end running status
# Data bytes after each status with a channel, by its high four bits.
LENGTHS = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
LSB = 32  # the fine half of control change n, of 0 to 31, is n + 32


@dataclass(frozen=True)
class Message:
    """`number` and `value` 0 to 127, `channel` 1 to 16; a note that is let go has the value 0."""

    kind: Kind
    channel: int
    number: int
    value: int = 0

    @property
    def bytes(self) -> tuple[int, ...]:
        """A note that is let go as a note-on of velocity 0, which switches a light off everywhere."""
        if self.kind == "programme":
            return (PROGRAMME_CHANGE + self.channel - 1, self.number)
        status = NOTE_ON if self.kind == "note" else CONTROL_CHANGE
        return (status + self.channel - 1, self.number, self.value)

    def __str__(self) -> str:
        return f"{name_of(self.kind, self.number)} on channel {self.channel}"


def name_of(kind: Kind, number: int) -> str:
    return f"{ {'note': 'note', 'cc': 'CC', 'programme': 'programme'}[kind] } {number}"


class Decoder:
    """Bytes of one port to messages."""

    def __init__(self) -> None:
        self._status = 0  # 0: whatever data comes belongs to nothing known
        self._data: list[int] = []

    def feed(self, data: Iterable[object]) -> list[Message]:
        """The messages that are complete now; half of one is kept for the next call."""
        found = [self._byte(byte) for byte in data]
        return [message for message in found if message is not None]

    def _byte(self, byte: object) -> Message | None:
        if not isinstance(byte, int) or not 0 <= byte <= 0xFF:
            self._status = 0
            return None
        if byte >= REAL_TIME:
            return None
        if byte >= 0x80:
            self._status = byte if byte < SYSTEM else 0
            self._data.clear()
            return None
        if not self._status:
            return None
        self._data.append(byte)
        if len(self._data) < LENGTHS[self._status & 0xF0]:
            return None
        message = _message(self._status, self._data)
        self._data.clear()  # the status stays: the next message may run on without one
        return message


def _message(status: int, data: list[int]) -> Message | None:
    """None for what has no use here: pressure and pitch bend."""
    channel = (status & 0x0F) + 1
    kind = status & 0xF0
    if kind == NOTE_ON:
        return Message("note", channel, data[0], data[1])
    if kind == NOTE_OFF:
        return Message("note", channel, data[0], 0)
    if kind == CONTROL_CHANGE:
        return Message("cc", channel, data[0], data[1])
    if kind == PROGRAMME_CHANGE:
        return Message("programme", channel, data[0])
    return None

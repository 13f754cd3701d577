"""A MIDI system without hardware: ports that come and go, and lists of bytes."""

from __future__ import annotations

from collections.abc import Sequence


class FakePort:
    def __init__(self, transport: FakeTransport, there: str):
        self._transport = transport
        self._there = there
        self.name = ""
        self.closed = False
        self.fails = False

    def names(self) -> list[str]:
        return list(getattr(self._transport, self._there))

    def open(self, name: str) -> None:
        if name != "virtual" and name not in self.names():
            raise OSError(f"MIDI port {name} cannot be opened")
        self.name, self.fails = name, False

    def close(self) -> None:
        self.closed = True

    def receive(self) -> list[list[int]]:
        assert self.name
        assert not self.closed
        if self.fails:
            raise OSError("broken pipe")
        waiting = self._transport.waiting.pop(self.name, [])
        return waiting if self.name in ("virtual", *self.names()) else []

    def send(self, data: Sequence[int]) -> None:
        assert self.name
        if self.name not in ("virtual", *self.names()):
            raise OSError("no such device")
        self._transport.sent.append(tuple(data))


class FakeTransport:
    name = "fake"
    mortal = True

    def __init__(self, ins: Sequence[str] = (), outs: Sequence[str] = ()):
        self.ins = list(ins)
        self.outs = list(outs)
        self.dead = False
        self.waiting: dict[str, list[list[int]]] = {}
        self.sent: list[tuple[int, ...]] = []
        self.inputs: list[FakePort] = []

    def input(self) -> FakePort:
        if self.dead:
            raise OSError("server not running?")
        self.inputs.append(FakePort(self, "ins"))
        return self.inputs[-1]

    def output(self) -> FakePort:
        return FakePort(self, "outs")

    def arrive(self, *messages: Sequence[int], name: str | None = None) -> None:
        """Bytes that wait at an input, the first one when none is named."""
        self.waiting.setdefault(name or self.ins[0], []).extend(list(message) for message in messages)

    def lit(self) -> list[tuple[int, ...]]:
        """What has been sent since the last time."""
        sent, self.sent = self.sent, []
        return sent

"""A MIDI system without hardware: ports that come and go, and lists of bytes."""

from __future__ import annotations

from collections.abc import Sequence


class FakeInput:
    def __init__(self, transport: FakeTransport, name: str):
        self._transport = transport
        self.name = name
        self.closed = False
        self.fails = False

    def receive(self) -> list[list[int]]:
        assert not self.closed
        if self.fails:
            raise OSError("broken pipe")
        waiting = self._transport.waiting.pop(self.name, [])
        return waiting if self.name == "virtual" or self.name in self._transport.ins else []

    def names(self) -> list[str]:
        return list(self._transport.ins)

    def close(self) -> None:
        self.closed = True


class FakeOutput:
    def __init__(self, transport: FakeTransport, name: str):
        self._transport = transport
        self.name = name

    def send(self, data: Sequence[int]) -> None:
        if self.name != "virtual" and self.name not in self._transport.outs:
            raise OSError("no such device")
        self._transport.sent.append(tuple(data))

    def close(self) -> None:
        pass


class FakeTransport:
    name = "fake"

    def __init__(
        self, ins: Sequence[str] = ("nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0",), outs: Sequence[str] = ()
    ):
        self.ins = list(ins)
        self.outs = list(outs)
        self.waiting: dict[str, list[list[int]]] = {}
        self.sent: list[tuple[int, ...]] = []
        self.opened: list[FakeInput] = []

    def inputs(self) -> list[str]:
        return list(self.ins)

    def outputs(self) -> list[str]:
        return list(self.outs)

    def open_input(self, name: str) -> FakeInput:
        if name != "virtual" and name not in self.ins:
            raise OSError(f"MIDI port {name} cannot be opened")
        self.opened.append(FakeInput(self, name))
        return self.opened[-1]

    def open_output(self, name: str) -> FakeOutput:
        return FakeOutput(self, name)

    def arrive(self, *messages: Sequence[int], name: str | None = None) -> None:
        """Bytes that wait at an input, the first one when none is named."""
        self.waiting.setdefault(name or self.ins[0], []).extend(list(message) for message in messages)

    def lit(self) -> list[tuple[int, ...]]:
        """What has been sent since the last time."""
        sent, self.sent = self.sent, []
        return sent

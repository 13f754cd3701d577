"""MIDI ports. The only file that imports rtmidi (python-rtmidi, the extra `midi`), and only when asked for.

Messages are fetched, not called back: over JACK, RtMidi calls back on JACK's own process thread, where
waiting for Python's interpreter lock would hold up the whole graph. Left to itself, RtMidi queues them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Protocol

from stream.control.parameters import ControlError
from stream.quiet import quiet_stderr

VIRTUAL = "virtual"  # the name that asks for a port of our own, for others to connect to
APIS = ("auto", "alsa", "jack", "core", "winmm")
CLIENT = "diffvs-midi"

MISSING = "MIDI needs the package python-rtmidi; install it with: pip install python-rtmidi"
NO_API = (
    "no MIDI system can be reached ({reasons}). On Linux, ALSA needs its sequencer (sudo modprobe snd-seq), "
    "and JACK a running server (PipeWire: start this program with pw-jack)"
)


class Input(Protocol):
    def receive(self) -> list[list[int]]:
        """What has come since the last time, one list of bytes a message."""

    def names(self) -> list[str]:
        """The inputs that there are now, asked without opening anything."""

    def close(self) -> None: ...


class Output(Protocol):
    def send(self, data: Sequence[int]) -> None:
        """Raises OSError."""

    def close(self) -> None: ...


class Transport(Protocol):
    """A MIDI system. The names change when something is plugged in or out."""

    name: str

    def inputs(self) -> list[str]: ...

    def outputs(self) -> list[str]: ...

    def open_input(self, name: str) -> Input:
        """`name` is of the list or VIRTUAL. Raises OSError, or ControlError for what can never be."""

    def open_output(self, name: str) -> Output:
        """As open_input."""


class RtMidi:
    """The ports of one of RtMidi's systems. `api` is of APIS. Raises ControlError."""

    def __init__(self, api: str = "auto"):
        self._rtmidi = _rtmidi()
        self.name, self._api = self._choose(api)

    def inputs(self) -> list[str]:
        return self._names(self._rtmidi.MidiIn, "in")

    def outputs(self) -> list[str]:
        return self._names(self._rtmidi.MidiOut, "out")

    def open_input(self, name: str) -> Input:
        return _Input(self._open(self._rtmidi.MidiIn, "in", name, "controls"))

    def open_output(self, name: str) -> Output:
        return _Output(self._open(self._rtmidi.MidiOut, "out", name, "lights"))

    def _choose(self, asked: str) -> tuple[str, int]:
        """The system asked for; or the first that has ports, else the first that answers."""
        known = {self._rtmidi.get_api_name(api): api for api in self._rtmidi.get_compiled_api()}
        if asked != "auto" and asked not in known:
            raise ControlError(f"this python-rtmidi has no MIDI system {asked!r}; it has {', '.join(known)}")
        answering, reasons = [], []
        for name in known if asked == "auto" else [asked]:
            self._api = known[name]
            try:
                if self.inputs():
                    return name, known[name]
                answering.append(name)
            except OSError as error:
                reasons.append(f"{name}: {str(error).rstrip('.')}")
        if not answering:
            raise ControlError(
                NO_API.format(reasons="; ".join(reasons) or "none is built into python-rtmidi")
            )
        return answering[0], known[answering[0]]

    def _names(self, kind: Any, end: str) -> list[str]:
        client = self._client(kind, end)
        try:
            return _others(client)
        finally:
            client.delete()

    def _open(self, kind: Any, end: str, name: str, port_name: str) -> Any:
        client = self._client(kind, end)
        try:
            if name == VIRTUAL:
                client.open_virtual_port(port_name)
            else:
                client.open_port(client.get_ports().index(name), port_name)
        except NotImplementedError:
            client.delete()
            raise ControlError(
                "Windows has no virtual MIDI ports of its own; make one with loopMIDI and give its name"
            ) from None
        except (OSError, ValueError, self._rtmidi.RtMidiError) as error:
            client.delete()
            raise OSError(f"MIDI port {name} cannot be opened: {error}") from None
        return client

    def _client(self, kind: Any, end: str) -> Any:
        with quiet_stderr():
            return kind(self._api, name=f"{CLIENT}-{end}")  # RtMidi's SystemError is an OSError


class _Input:
    def __init__(self, client: Any):
        self._client = client

    def receive(self) -> list[list[int]]:
        found = []
        while (event := self._client.get_message()) is not None:
            found.append(list(event[0]))
        return found

    def names(self) -> list[str]:
        return _others(self._client)

    def close(self) -> None:
        _close(self._client)


class _Output:
    def __init__(self, client: Any):
        self._client = client

    def send(self, data: Sequence[int]) -> None:
        self._client.send_message(data)

    def close(self) -> None:
        _close(self._client)


def _others(client: Any) -> list[str]:
    return [name for name in client.get_ports() if not name.startswith(CLIENT)]


def _close(client: Any) -> None:
    with contextlib.suppress(OSError), quiet_stderr():
        client.close_port()
        client.delete()


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError:
        raise ControlError(MISSING) from None
    return rtmidi


def find_port(names: Sequence[str], wanted: str) -> str:
    """By number, or by words that only its name contains. Raises ControlError with the list."""
    if wanted.strip().isdigit():
        if int(wanted) < len(names):
            return names[int(wanted)]
        raise ControlError(f"there is no MIDI input {wanted}; {_choice(names)}")
    fitting = with_words(names, wanted)
    exact = [name for name in names if name.lower() == wanted.lower()]
    if len(exact) == 1 or len(fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        raise ControlError(f"{wanted!r} fits {len(fitting)} MIDI inputs, give one number:\n{describe(names)}")
    raise ControlError(f"no MIDI input has {wanted!r} in its name; {_choice(names)}")


def find_output(names: Sequence[str], wanted: str, source: str) -> str | None:
    """The output that belongs to the input `source`, which was asked for by `wanted`; None when none does."""
    for fitting in (
        [name for name in names if name == source],
        [name for name in names if stable(name) == stable(source)],
        [] if wanted.strip().isdigit() else with_words(names, wanted),
    ):
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def find_again(names: Sequence[str], known: str) -> str | None:
    """The port that was `known` by its name, which may have come back under another number."""
    if known in names:
        return known
    return next((name for name in names if stable(name) == stable(known)), None)


def with_words(names: Sequence[str], wanted: str) -> list[str]:
    words = wanted.lower().split()
    return [name for name in names if words and all(word in name.lower() for word in words)]


def stable(name: str) -> str:
    """Without what changes from one plugging in to the next: ALSA's 24:0, a2j's [24], Windows' number."""
    return re.sub(r" \d+(:\d+)?$", "", re.sub(r" \[\d+\]", "", name))


def describe(names: Sequence[str]) -> str:
    return "\n".join(f"  {i:>3}  {name}" for i, name in enumerate(names)) or "  (no MIDI port was found)"


def _choice(names: Sequence[str]) -> str:
    return f"choose one of these, or {VIRTUAL}:\n{describe(names)}"

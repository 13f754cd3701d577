"""MIDI ports. The only file that imports rtmidi (python-rtmidi, the extra `midi`), and only when asked for.

Messages are fetched, not called back: over JACK, RtMidi calls back on JACK's own process thread, where
waiting for Python's interpreter lock would hold up the whole graph. Left to itself, RtMidi queues them.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from typing import Any, Protocol

from stream.audio.quiet import quiet_stderr
from stream.control.parameters import ControlError

VIRTUAL = "virtual"  # the name that asks for a port of our own, for others to connect to
APIS = ("auto", "alsa", "jack", "core", "winmm")
CLIENT = "diffvs-midi"
SETTLE_S = 0.1  # longer than a usual period of JACK, up to 4096 frames, and the messages after it

MISSING = "MIDI needs the package python-rtmidi; install it with: pip install python-rtmidi"
NO_API = (
    "no MIDI system can be reached ({reasons}). On Linux, ALSA needs its sequencer (sudo modprobe snd-seq), "
    "and JACK a running server (PipeWire: start this program with pw-jack)"
)


class Port(Protocol):
    """One end of a controller: made closed, asked what there is, and opened as often as needed."""

    def names(self) -> list[str]:
        """What there is now. Raises OSError."""

    def open(self, name: str) -> None:
        """`name` is of the list, or VIRTUAL. Raises OSError, or ControlError for what can never be."""

    def close(self) -> None:
        """For good."""


class Input(Port, Protocol):
    def receive(self) -> list[list[int]]:
        """What has come since the last time, one list of bytes a message. Raises OSError."""


class Output(Port, Protocol):
    def send(self, data: Sequence[int]) -> None:
        """Raises OSError."""


class Transport(Protocol):
    """A MIDI system. What is `mortal` goes with the server behind it, and tells nobody."""

    name: str
    mortal: bool

    def input(self) -> Input:
        """Raises OSError."""

    def output(self) -> Output:
        """Raises OSError."""


class RtMidi:
    """One of RtMidi's systems; `api` is of APIS. Raises ControlError."""

    def __init__(self, api: str = "auto"):
        self._rtmidi = _rtmidi()
        known = {self._rtmidi.get_api_name(number): number for number in self._rtmidi.get_compiled_api()}
        if api != "auto" and api not in known:
            raise ControlError(f"this python-rtmidi has no MIDI system {api!r}; it has {', '.join(known)}")
        answers, reasons = {}, []
        for name, self._api in known.items():
            if api in ("auto", name):
                try:
                    answers[name] = len(names_of(self.input()))
                except OSError as error:  # RtMidi's own are of that kind
                    reasons.append(f"{name}: {str(error).rstrip('.')}")
        if not answers:
            raise ControlError(
                NO_API.format(reasons="; ".join(reasons) or "none is built into python-rtmidi")
            )
        self.name = next((name for name, count in answers.items() if count), next(iter(answers)))
        self._api = known[self.name]
        self.mortal = self.name == "jack"

    def input(self) -> Input:
        with quiet_stderr():
            return _Input(self._rtmidi.MidiIn(self._api, name=f"{CLIENT}-in"), "controls")

    def output(self) -> Output:
        with quiet_stderr():
            return _Output(self._rtmidi.MidiOut(self._api, name=f"{CLIENT}-out"), "lights")


class _Port:
    """A client is made once: over JACK that takes 30 ms, during which no other Python runs."""

    def __init__(self, client: Any, own_name: str):
        self._client = client
        self._own_name = own_name

    def names(self) -> list[str]:
        return [name for name in self._client.get_ports() if not name.startswith(CLIENT)]

    def open(self, name: str) -> None:
        try:
            settle(self._client)
            self._client.close_port()
            if name == VIRTUAL:
                self._client.open_virtual_port(self._own_name)
            else:
                self._client.open_port(self._client.get_ports().index(name), self._own_name)
        except NotImplementedError:
            raise ControlError(
                "Windows has no virtual MIDI ports of its own; make one with loopMIDI and give its name"
            ) from None
        except (OSError, ValueError) as error:
            raise OSError(f"MIDI port {name} cannot be opened: {error}") from None

    def close(self) -> None:
        client, self._client = self._client, None  # once: a deleted client is a dead pointer
        if client is not None:
            settle(client)
            with contextlib.suppress(OSError), quiet_stderr():
                client.close_port()
                client.delete()


class _Input(_Port):
    def receive(self) -> list[list[int]]:
        found = []
        while (event := self._client.get_message()) is not None:
            found.append(list(event[0]))
        return found


class _Output(_Port):
    def send(self, data: Sequence[int]) -> None:
        self._client.send_message(data)


def settle(client: Any) -> None:
    """Waits, if need be, until the port of one of RtMidi's clients may be closed.

    Each client that comes or goes makes JACK send new latencies to all others, and libjack crashes when a
    port goes while they arrive (https://github.com/jackaudio/jack2/issues/216). So they get time to.
    """
    if client.is_port_open() and client.get_current_api() == _rtmidi().API_UNIX_JACK:
        time.sleep(SETTLE_S)


def names_of(port: Port) -> list[str]:
    """Of a port that is made for this question only."""
    try:
        return port.names()
    finally:
        port.close()


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

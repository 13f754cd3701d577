"""Which channels of a device are heard, and what each of its channels plays: --input-channels and --route.

People count channels from 1, everything inside counts from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.audio.devices import Device

BUSES = ("vocals", "accompaniment", "mix")
SILENCE = "silence"

Outlet = tuple[str, "int | None"]  # what plays there, and which channel of it; None is the mean of all


@dataclass(frozen=True, kw_only=True)
class Routing:
    """From the device's channels to the engine's, and back."""

    inputs: tuple[int, ...]  # of each of the engine's channels, the device's
    outputs: tuple[Outlet, ...]  # of each of the device's channels

    @property
    def channels(self) -> int:
        """Of the engine."""
        return len(self.inputs)

    @property
    def device_inputs(self) -> int:
        return max(self.inputs) + 1

    @property
    def device_outputs(self) -> int:
        return len(self.outputs)

    @property
    def has_stems(self) -> bool:
        """Whether vocals or accompaniment have channels of their own: then a mixer does the mixing."""
        return any(bus in ("vocals", "accompaniment") for bus, _ in self.outputs)

    def __str__(self) -> str:
        """In the user's words: "channels 3,4 to vocals=1,2 accompaniment=3,4"."""
        played: dict[str, list[int]] = {}
        for channel, (bus, _) in enumerate(self.outputs):
            if bus != SILENCE:
                played.setdefault(bus, []).append(channel)
        routes = " ".join(f"{bus}={_numbers(channels)}" for bus, channels in played.items())
        return f"channels {_numbers(self.inputs)} to {routes}"


def straight(channels: int) -> Routing:
    """Channel by channel, the mix to the same channels that are heard."""
    return Routing(inputs=tuple(range(channels)), outputs=tuple(("mix", c) for c in range(channels)))


def plan(
    source: Device,
    sink: Device,
    *,
    channels: int | None = None,
    input_channels: str | None = None,
    route: Sequence[str] | None = None,
) -> Routing:
    """What the user asked for, or else stereo wherever both devices have it.

    Raises ValueError in one sentence that says what the device has.
    """
    inputs = _inputs(source, channels, input_channels)
    outputs = _routed(sink, route, len(inputs)) if route else _mixed(sink, len(inputs))
    return Routing(inputs=inputs, outputs=outputs)


def _inputs(source: Device, channels: int | None, named: str | None) -> tuple[int, ...]:
    if named is None:
        wanted = channels or min(2, source.input_channels)
        if wanted > source.input_channels:
            raise ValueError(
                f"device {source} has {_counted(source.input_channels, 'input')}, {wanted} were asked for; "
                f"give --channels {source.input_channels} or another --input"
            )
        return tuple(range(wanted))
    if channels is not None:
        raise ValueError("--channels and --input-channels were both given; one of them says it all")
    option = f"--input-channels {named}"
    return _parsed(named, option, source, "input", source.input_channels)


def _mixed(sink: Device, channels: int) -> tuple[Outlet, ...]:
    """The mix, without a route: one channel is heard on both sides, two share a single one."""
    available = sink.output_channels
    if channels == 1:
        return (("mix", 0),) * min(2, available)
    if channels == 2 and available == 1:
        return (("mix", None),)
    if channels > available:
        raise ValueError(
            f"device {sink} has {_counted(available, 'output')}, {channels} were asked for; "
            f"give --channels {available}, a --route or another --output"
        )
    return tuple(("mix", c) for c in range(channels))


def _routed(sink: Device, route: Sequence[str], channels: int) -> tuple[Outlet, ...]:
    outlets: dict[int, Outlet] = {}
    for part in route:
        bus, equals, named = part.partition("=")
        option = f"--route {part}"
        if not equals:
            raise ValueError(f"{option}: give NAME=CHANNELS, such as vocals=1,2")
        if bus not in BUSES:
            raise ValueError(f"{option}: there is no {bus!r} to route; choose from {', '.join(BUSES)}")
        numbers = _parsed(named, option, sink, "output", sink.output_channels)
        if channels == 1:
            sources: list[int | None] = [0] * len(numbers)
        elif len(numbers) == 1:
            sources = [None]
        elif len(numbers) == channels:
            sources = [*range(channels)]
        else:
            raise ValueError(
                f"{option} names {len(numbers)} channels for the {channels} that are heard; "
                f"name {channels}, or 1 for the mean of them"
            )
        for number, source in zip(numbers, sources, strict=True):
            if number in outlets:
                raise ValueError(f"{option}: channel {number + 1} plays {outlets[number][0]} already")
            outlets[number] = (bus, source)
    return tuple(outlets.get(number, (SILENCE, None)) for number in range(max(outlets) + 1))


def _parsed(named: str, option: str, device: Device, kind: str, available: int) -> tuple[int, ...]:
    """ "3,4" -> (2, 3); what the device does not have is refused."""
    words = [word.strip() for word in named.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"{option}: give the numbers of channels, counted from 1, such as 3,4")
    numbers = [int(word) for word in words]
    if not all(1 <= number <= available for number in numbers):
        choice = "1" if available == 1 else f"1 to {available}"
        raise ValueError(
            f"{option}: device {device} has {_counted(available, kind)}; "
            f"choose from {choice}, or another --{kind}"
        )
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{option} names a channel twice")
    return tuple(number - 1 for number in numbers)


def _counted(channels: int, kind: str) -> str:
    return f"{channels} {kind} channel{'' if channels == 1 else 's'}"


def _numbers(channels: Sequence[int]) -> str:
    return ",".join(str(channel + 1) for channel in channels)

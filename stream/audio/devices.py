"""Finds and describes audio devices.

Everything that can be refused is refused here with one sentence (DeviceError).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from stream.audio import portaudio
from stream.audio.quiet import quiet_stderr

Kind = Literal["input", "output"]

COMMON_RATES = (44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 32_000, 22_050, 16_000)

# Error codes of portaudio.h.
INVALID_CHANNEL_COUNT = -9998
INVALID_SAMPLE_RATE = -9997
BAD_COMBINATION = -9993
DEVICE_UNAVAILABLE = -9985


class DeviceError(Exception):
    """A device that cannot be had; the text says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One entry of PortAudio's list."""

    id: int
    name: str
    host: str
    input_channels: int
    output_channels: int
    default_sample_rate: int
    low_input_latency_s: float
    low_output_latency_s: float

    def channels(self, kind: Kind) -> int:
        return self.input_channels if kind == "input" else self.output_channels

    def __str__(self) -> str:
        return f"{self.id} ({self.name}, {self.host})"


def list_devices() -> list[Device]:
    sd = sounddevice()
    hosts = [host["name"] for host in sd.query_hostapis()]
    return [
        Device(
            id=index,
            name=entry["name"],
            host=hosts[entry["hostapi"]],
            input_channels=entry["max_input_channels"],
            output_channels=entry["max_output_channels"],
            default_sample_rate=round(entry["default_samplerate"]),
            low_input_latency_s=entry["default_low_input_latency"],
            low_output_latency_s=entry["default_low_output_latency"],
        )
        for index, entry in enumerate(sd.query_devices())
    ]


def describe(devices: list[Device]) -> str:
    """The list as a table: id, name, host, channels in and out, rate."""
    if not devices:
        return "  (no audio device was found)"
    width = max(len(device.name) for device in devices)
    return "\n".join(
        f"  {device.id:>3}  {device.name:<{width}}  {device.input_channels:>3} in"
        f" {device.output_channels:>3} out  {device.default_sample_rate:>6} Hz  {device.host}"
        for device in devices
    )


def find_device(wanted: str | None, kind: Kind) -> Device:
    """By id, by words that only its name and host contain, or the system's default for None."""
    devices = list_devices()
    if wanted is None:
        device = _default(devices, kind)
    elif wanted.strip().isdigit():
        device = _by_id(devices, int(wanted))
    else:
        device = _by_name(devices, wanted, kind)
    if device.channels(kind) == 0:
        raise DeviceError(f"device {device} has no {kind} channels; {_choose(devices, kind)}")
    return device


def _default(devices: list[Device], kind: Kind) -> Device:
    index = int(sounddevice().default.device[0 if kind == "input" else 1])
    if not 0 <= index < len(devices):
        raise DeviceError(f"there is no default {kind} device; {_choose(devices, kind)}")
    return devices[index]


def _by_id(devices: list[Device], index: int) -> Device:
    if index >= len(devices):
        raise DeviceError(f"there is no device {index}; {_choose(devices)}")
    return devices[index]


def _by_name(devices: list[Device], wanted: str, kind: Kind) -> Device:
    words = wanted.lower().split()
    found = [d for d in devices if words and all(word in f"{d.name}, {d.host}".lower() for word in words)]
    fitting = [device for device in found if device.channels(kind) > 0]
    exact = [device for device in fitting if device.name.lower() == wanted.lower()]
    if len(exact) == 1:
        return exact[0]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DeviceError(f"{wanted!r} fits {len(fitting)} {kind} devices, give one id:\n{describe(fitting)}")
    if found:
        return found[0]  # the caller says that it has no such channels
    raise DeviceError(f"no device has {wanted!r} in its name; {_choose(devices)}")


def _choose(devices: list[Device], kind: Kind | None = None) -> str:
    fitting = [device for device in devices if kind is None or device.channels(kind) > 0]
    return f"choose one of:\n{describe(fitting)}"


def accepts(device: Device, kind: Kind, *, sample_rate: int, channels: int) -> bool:
    """Whether the device says it can run like this."""
    return _refusal(device, kind, sample_rate, channels) is None


def check(device: Device, kind: Kind, *, sample_rate: int, channels: int) -> None:
    """Raises DeviceError when the device cannot run like this."""
    if channels > device.channels(kind):
        raise DeviceError(
            f"device {device} has {device.channels(kind)} {kind} channels, {channels} were asked for; "
            f"give --channels {device.channels(kind)} or another --{kind}"
        )
    refusal = _refusal(device, kind, sample_rate, channels)
    if refusal is None:
        return
    if _code(refusal) != INVALID_SAMPLE_RATE:
        raise clear_error(refusal, f"{kind} device {device}")
    rates = (device.default_sample_rate, *COMMON_RATES)
    good = [
        rate for rate in dict.fromkeys(rates) if accepts(device, kind, sample_rate=rate, channels=channels)
    ]
    advice = f"give --sample-rate {' or '.join(map(str, good))}" if good else f"try another --{kind}"
    raise DeviceError(f"{kind} device {device} does not run at {sample_rate} Hz; {advice}")


def _refusal(device: Device, kind: Kind, sample_rate: int, channels: int) -> Exception | None:
    sd = sounddevice()
    ask = sd.check_input_settings if kind == "input" else sd.check_output_settings
    try:
        with quiet_stderr():
            ask(device=device.id, channels=channels, dtype="float32", samplerate=sample_rate)
    except sd.PortAudioError as error:
        return error  # type: ignore[no-any-return]
    return None


def _code(error: Exception) -> int:
    return int(error.args[1]) if len(error.args) > 1 else 0


def clear_error(error: Exception, subject: str) -> DeviceError:
    """PortAudio's error as a sentence."""
    causes = {
        INVALID_SAMPLE_RATE: "does not run at this rate; give another --sample-rate",
        INVALID_CHANNEL_COUNT: "does not have that many channels; give another --channels",
        BAD_COMBINATION: "cannot run together; give --clocks two, or choose two devices of the same host",
        DEVICE_UNAVAILABLE: "is in use by another program or switched off; close the other program",
    }
    cause = causes.get(_code(error)) or f"cannot be opened: {error.args[0] if error.args else error}"
    return DeviceError(f"{subject} {cause}")


def sounddevice() -> Any:
    """The module, as stream.audio.portaudio has it. Raises DeviceError."""
    try:
        return portaudio.sounddevice()
    except portaudio.PortAudioError as error:
        raise DeviceError(str(error)) from error

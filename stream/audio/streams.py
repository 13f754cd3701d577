"""Opens audio devices, as streams that PortAudio calls back for every block.

sounddevice (PortAudio) is given a native callback by address, so no Python runs on the audio thread.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from cpp_ext import AudioPort
from stream.audio.devices import Device, DeviceError, check, clear_error, sounddevice
from stream.audio.quiet import quiet_stderr


class AudioStream(Protocol):
    """What runs between devices. [control]"""

    @property
    def latency_s(self) -> tuple[float, float]:
        """In and out, as the driver says."""

    @property
    def active(self) -> bool:
        """False once the port has finished or a device is gone."""

    def start(self) -> None:
        """Raises DeviceError."""

    def close(self) -> None:
        """Stops and releases the devices. Not for a device that is gone: its driver may never answer."""


class NativeStream:
    """One stream of PortAudio that calls a native callback. What that uses must outlive it."""

    def __init__(self, stream: Any, names: str):
        self._stream, self._names = stream, names

    @property
    def latency(self) -> Any:
        """Seconds, as PortAudio says: of one direction, or a pair."""
        return self._stream.latency

    def start(self) -> None:
        sd = sounddevice()
        try:
            with quiet_stderr():
                self._stream.start()
        except sd.PortAudioError as error:
            raise clear_error(error, self._names) from error

    @property
    def active(self) -> bool:
        try:
            return bool(self._stream.active)
        except sounddevice().PortAudioError:
            return False

    def close(self) -> None:
        self._stream.close(ignore_errors=True)


def open_stream(
    kind: Literal["input", "output", "duplex"],
    device: int | tuple[int, int],
    names: str,
    *,
    channels: int | tuple[int, int],
    sample_rate: int,
    block_size: int,
    latency: Literal["low", "high"],
    callback: int,
    userdata: int,
) -> NativeStream:
    """`callback` and `userdata` are addresses; pairs are input and output. Raises DeviceError."""
    sd = sounddevice()
    try:
        with quiet_stderr():
            stream = sd._StreamBase(
                kind=kind,
                samplerate=sample_rate,
                blocksize=block_size,
                device=device,
                channels=channels,
                dtype="float32",
                latency=latency,
                callback=sd._ffi.cast("PaStreamCallback*", callback),
                userdata=sd._ffi.cast("void*", userdata),
                wrap_callback=None,
                dither_off=True,  # levels at 1 mean bit for bit, on 16-bit devices too
            )
    except sd.PortAudioError as error:
        raise clear_error(error, names) from error
    return NativeStream(stream, names)


class DeviceStream:
    """An open duplex stream that calls the port's native callback. The port must outlive it.

    [control] all of it
    """

    def __init__(
        self,
        port: AudioPort,
        *,
        input_device: Device,
        output_device: Device,
        sample_rate: int,
        block_size: int,
        latency: Literal["low", "high"] = "low",
    ):
        if input_device.host != output_device.host:
            raise DeviceError(
                f"input {input_device} and output {output_device} belong to different hosts and cannot run "
                "in step; give --clocks two, or choose two devices of the same host"
            )
        check(input_device, "input", sample_rate=sample_rate, channels=port.input_channels)
        check(output_device, "output", sample_rate=sample_rate, channels=port.output_channels)
        self._port = port
        self._stream = open_stream(
            "duplex",
            (input_device.id, output_device.id),
            f"input {input_device} with output {output_device}",
            channels=(port.input_channels, port.output_channels),
            sample_rate=sample_rate,
            block_size=block_size,
            latency=latency,
            callback=port.callback_address,
            userdata=port.userdata_address,
        )
        reported = self._stream.latency
        self.latency_s = (
            plausible_s(reported[0], input_device.low_input_latency_s),
            plausible_s(reported[1], output_device.low_output_latency_s),
        )

    def start(self) -> None:
        self._stream.start()

    @property
    def active(self) -> bool:
        return self._stream.active

    def close(self) -> None:
        self._stream.close()


def plausible_s(*candidates: float) -> float:
    """The first that can be. What a stream reports over JACK is garbage: then the device's own figure."""
    return next((value for value in candidates if 0 < value < 2), 0.0)

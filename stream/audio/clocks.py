"""Two devices with clocks of their own: when they are, and the two streams that are opened then.

Two quartz clocks never agree. Within one device, and between the clients of one server, there is only one
clock, and one duplex stream; between two devices each has a stream of its own, and cpp_ext.ClockBridge holds
the delay between them. docs/interfaces.md tells how.

[control] all of it
"""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Literal

from cpp_ext import AudioPort, ClockBridge, JackClient
from stream.audio.devices import Device, accepts, check
from stream.audio.jack import JackStream, join
from stream.audio.routing import Routing
from stream.audio.streams import AudioStream, DeviceStream, open_stream, plausible_s
from stream.engine import FADE_S
from stream.stats import Stats

MODEL_RATE = 44_100  # Hz; at any other rate the vocals are resampled there and back

Choice = Literal["auto", "one", "two"]
CLOCKS = ("auto", "one", "two")
ONE_CLOCK_HOSTS = ("JACK", "ASIO")  # a server, a driver: all of it runs in step
BLOCKS_PER_HOP = 4  # behind a bridge; block and adapter together are a hop all the same
MARGIN_S = {"low": 0.002, "normal": 0.005, "safe": 0.02}  # by --latency: how late a callback may come


def share_clock(source: Device, sink: Device) -> bool:
    """Whether both are known to run in step. A bridge between two that do costs latency, nothing else."""
    if source.host != sink.host:
        return False
    if source.id == sink.id or source.host.startswith(ONE_CLOCK_HOSTS):
        return True
    if source.host == "ALSA":
        # Names without a card are sound servers and plug-ins, whose two sides belong together.
        cards = [re.search(r"\(hw:(\d+)", device.name) for device in (source, sink)]
        return not all(cards) or cards[0].group(1) == cards[1].group(1)  # type: ignore[union-attr]
    return _interface(source.name) == _interface(sink.name)


def _interface(name: str) -> str:
    """Windows calls the two sides of one interface "Microphone (USB Audio)" and "Speakers (USB Audio)"."""
    inside = re.search(r"\((.+)\)\s*$", name)
    return inside.group(1) if inside else name


class Clocks:
    """Chooses one stream or two for a pair of devices, opens them, and tells how the clocks stand.

    routing     of the devices' channels
    latency     as --latency has it
    """

    def __init__(self, choice: Choice, source: Device, sink: Device, routing: Routing, *, latency: str):
        self.two = choice == "two" or (choice == "auto" and not share_clock(source, sink))
        self._routing = routing
        self._latency = latency
        self._bridges: list[ClockBridge] = []  # the last one plays; a lost driver may still call the others
        self._input_rate = 0
        self._client = None if self.two else join(source, sink)  # of JACK, for the first stream
        self._clients: list[JackClient] = []  # of all streams, as with bridges

    @property
    def routing(self) -> Routing:
        """Of the engine: behind a bridge the channels are chosen already."""
        if not self.two:
            return self._routing
        return dataclasses.replace(self._routing, inputs=tuple(range(self._routing.channels)))

    def common_rate(self, source: Device, sink: Device) -> int:
        """The model's where the devices run at it; else the input's own, or behind a bridge the output's."""
        fits = accepts(sink, "output", sample_rate=MODEL_RATE, channels=self._routing.device_outputs)
        if not self.two:
            fits = fits and self._input_takes(source, MODEL_RATE)
        other = sink if self.two else source
        return MODEL_RATE if fits else other.default_sample_rate

    def block_size(self, hop_length: int) -> int:
        """Where none is asked for: JACK's. A bridge keeps a block in hand, so a short one is better."""
        if self._client:
            return self._client.period
        return max(1, hop_length // BLOCKS_PER_HOP) if self.two else hop_length

    def open(
        self, port: AudioPort, source: Device, sink: Device, *, sample_rate: int, block_size: int
    ) -> AudioStream:
        """Raises DeviceError."""
        latency: Literal["low", "high"] = "high" if self._latency == "safe" else "low"
        if not self.two and self._joined(source, sink, block_size):
            return JackStream(self._clients[-1], port, source, sink, sample_rate=sample_rate)
        if not self.two:
            return DeviceStream(
                port,
                input_device=source,
                output_device=sink,
                sample_rate=sample_rate,
                block_size=block_size,
                latency=latency,
            )
        takes = self._input_takes(source, sample_rate)
        self._input_rate = sample_rate if takes else source.default_sample_rate
        self._sample_rate, self._block_size = sample_rate, block_size
        bridge = ClockBridge(
            port,
            input_rate=self._input_rate,
            output_rate=sample_rate,
            input_block=block_size,
            output_block=block_size,
            margin_s=MARGIN_S[self._latency],
            fade_samples=max(1, round(FADE_S * sample_rate)),
            inputs=self._routing.inputs,
        )
        self._bridges.append(bridge)
        return BridgedStream(
            bridge,
            source,
            sink,
            channels=(self._routing.device_inputs, self._routing.device_outputs),
            rates=(self._input_rate, sample_rate),
            block_size=block_size,
            latency=latency,
        )

    @property
    def latency(self) -> int:
        """What the bridge adds to the block, in samples of the engine."""
        if not self._bridges:
            return 0
        return max(
            0, round(self._bridges[-1].target * self._sample_rate / self._input_rate) - self._block_size
        )

    def add_to(self, stats: Stats) -> Stats:
        """With what the bridge has counted."""
        counted = [bridge.stats() for bridge in self._bridges]
        if not counted:
            return stats
        return dataclasses.replace(
            stats,
            drift_ppm=1e6 * counted[-1].drift if counted[-1].playing else None,
            bridge_gaps=sum(one.gaps + one.jumps for one in counted),
            input_overflows=stats.input_overflows + sum(one.input_overflows for one in counted),
        )

    def _joined(self, source: Device, sink: Device, block_size: int) -> bool:
        """Whether there is a JACK client for these devices now, and its blocks are of that size."""
        for lost in self._clients:
            lost.close()
        client, self._client = self._client or join(source, sink), None
        if client is None:
            return False
        if client.period != block_size:
            client.close()
            return False
        self._clients.append(client)
        return True

    def _input_takes(self, source: Device, rate: int) -> bool:
        return accepts(source, "input", sample_rate=rate, channels=self._routing.device_inputs)


class BridgedStream:
    """An input stream and an output stream with a bridge between them."""

    def __init__(
        self,
        bridge: ClockBridge,
        source: Device,
        sink: Device,
        *,
        channels: tuple[int, int],
        rates: tuple[int, int],
        block_size: int,
        latency: Literal["low", "high"],
    ):
        check(source, "input", sample_rate=rates[0], channels=channels[0])
        check(sink, "output", sample_rate=rates[1], channels=channels[1])
        self._bridge = bridge  # which both drivers call
        self._devices = source, sink
        opened = partial(
            open_stream, block_size=block_size, latency=latency, userdata=bridge.userdata_address
        )
        self._input = opened(
            "input",
            source.id,
            f"input {source}",
            channels=channels[0],
            sample_rate=rates[0],
            callback=bridge.input_callback_address,
        )
        try:
            self._output = opened(
                "output",
                sink.id,
                f"output {sink}",
                channels=channels[1],
                sample_rate=rates[1],
                callback=bridge.output_callback_address,
            )
        except BaseException:
            self._input.close()
            raise

    @property
    def latency_s(self) -> tuple[float, float]:
        """In, with the block, and out: as the callbacks were told, or else as the streams and devices say."""
        told = self._bridge.stats()
        source, sink = self._devices
        return (
            plausible_s(told.input_latency_s, self._input.latency, source.low_input_latency_s),
            plausible_s(told.output_latency_s, self._output.latency, sink.low_output_latency_s),
        )

    def start(self) -> None:
        self._input.start()
        self._output.start()

    @property
    def active(self) -> bool:
        return self._output.active and self._input.active

    def close(self) -> None:
        self._output.close()
        self._input.close()

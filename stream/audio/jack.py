"""JACK (and PipeWire in its place): a client of our own, so that the server learns how late we are.

PortAudio plays over JACK too, but tells it nothing; what it is still for is the list of devices, which are
the clients of the server, and blocks of another size than the server's period.

[control] all of it
"""

from __future__ import annotations

import logging
import time

from cpp_ext import AudioPort, JackClient
from stream.audio.devices import Device, DeviceError, check
from stream.audio.portaudio import JACK
from stream.audio.quiet import quiet_stderr

NAME = "diffvs"  # of our client; JACK adds a number where it is taken
SETTLING_S = 0.25  # at most, for a client that is connected to nothing has no latency for ever

logger = logging.getLogger(__name__)


def join(source: Device, sink: Device) -> JackClient | None:
    """A client of the server that both devices are of; None where there is none, or none can be had."""
    if {source.host, sink.host} != {JACK}:
        return None
    try:
        with quiet_stderr():
            return JackClient(NAME)
    except RuntimeError as error:
        logger.warning("%s; playing through PortAudio, and JACK is not told our latency", error)
        return None


class JackStream:
    """Between two other clients of JACK, in blocks of the server's period. The port must outlive it."""

    def __init__(
        self, client: JackClient, port: AudioPort, source: Device, sink: Device, *, sample_rate: int
    ):
        check(source, "input", sample_rate=sample_rate, channels=port.input_channels)
        check(sink, "output", sample_rate=sample_rate, channels=port.output_channels)
        self._client, self._port, self._ends = client, port, (source.name, sink.name)

    @property
    def latency_s(self) -> tuple[float, float]:
        """In, with the period that JACK counts there, and out."""
        client = self._client
        return client.input_latency / client.sample_rate, client.output_latency / client.sample_rate

    def start(self) -> None:
        try:
            with quiet_stderr():
                self._client.start(self._port, *self._ends)
        except RuntimeError as error:
            raise DeviceError(str(error)) from error
        # JACK works out latencies some periods after the connections, while sound already plays.
        deadline_s = time.monotonic() + SETTLING_S
        while not all(self.latency_s) and time.monotonic() < deadline_s:
            time.sleep(0.005)

    @property
    def active(self) -> bool:
        return self._client.running

    def close(self) -> None:
        self._client.close()

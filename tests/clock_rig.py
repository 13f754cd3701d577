"""Two devices whose clocks disagree, as the times of their callbacks show it; and a bridge between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cpp_ext import AudioPort, ClockBridge, DriftControl

RATE = 44_100
OFFSET_S = 0.0123  # of the output's first callback


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When the callbacks of a device come. `ppm` it runs fast; from `step_s` on it is `step_ppm` faster.

    Between `lost_s` and lost_s + lost the device neither plays nor records: those samples never were.
    """

    ppm: float = 0.0
    block: int = 1_024
    rate: float = RATE
    jitter_s: float = 0.0  # every callback comes up to so much late
    step_s: float = np.inf
    step_ppm: float = 0.0
    lost_s: float = np.inf
    lost: float = 0.0
    burst_s: float = np.inf  # callbacks due in this instant and the 0.1 s after it come together, at its end

    def position(self, time_s: np.ndarray) -> np.ndarray:
        """Samples gone by at that time, not whole."""
        lived = time_s - np.clip(time_s - self.lost_s, 0, self.lost)
        turned = np.clip(time_s - self.step_s, 0, None)
        return self.rate * (1 + 1e-6 * self.ppm) * lived + self.rate * 1e-6 * self.step_ppm * turned

    def time(self, position: np.ndarray) -> np.ndarray:
        """Inverse of `position`, by interpolation in a straight line between the corners."""
        last_s = position[-1] / self.rate * 1.01 + 10
        corners = sorted(
            {0.0, *(s for s in (self.step_s, self.lost_s, self.lost_s + self.lost) if s < last_s), last_s}
        )
        places = self.position(np.array(corners))
        # Where nothing goes by the later time counts: callbacks stop and come back.
        return np.interp(position, places + 1e-9 * np.arange(len(places)), corners)

    def calls(self, count: int, seed: int) -> np.ndarray:
        """Times of the first `count` callbacks after position 0, in order."""
        due_s = self.time(self.block * np.arange(1, count + 1))
        late_s = self.jitter_s * np.random.default_rng(seed).random(count)
        come_s = due_s + late_s
        burst = (due_s >= self.burst_s) & (due_s < self.burst_s + 0.1)
        come_s[burst] = self.burst_s + 0.1
        return np.maximum.accumulate(come_s)


def schedule(writer: Clock, reader: Clock, seconds: float) -> Iterator[tuple[bool, int, float, float]]:
    """Callbacks of both in order: whether it is the writer's, its number, when it comes, when it was due."""
    # The writer's last block comes after the reader's.
    blocks, reads = (
        int(clock.position(np.array([until_s]))[0]) // clock.block
        for clock, until_s in ((writer, seconds + 1), (reader, seconds))
    )
    written_s, read_s = writer.calls(blocks, 1), reader.calls(reads, 2) + OFFSET_S
    due_s = reader.time(reader.block * np.arange(1, reads + 1)) + OFFSET_S
    writes = written_s.tolist()
    w = 0
    for k, (now_s, due) in enumerate(zip(read_s.tolist(), due_s.tolist(), strict=True)):
        while w < len(writes) and writes[w] <= now_s:
            yield True, w, writes[w], writes[w]
            w += 1
        yield False, k, now_s, due


@dataclass(frozen=True, kw_only=True)
class Course:
    """How it went, at each block of the reader."""

    time_s: np.ndarray
    error_s: np.ndarray  # of the delay, against the target
    pitch: np.ndarray  # share by which what is played is too high
    underruns: int
    jumps: int
    drift_ppm: float

    def after(self, seconds: float) -> Course:
        late = self.time_s >= seconds
        return Course(
            time_s=self.time_s[late],
            error_s=self.error_s[late],
            pitch=self.pitch[late],
            underruns=self.underruns,
            jumps=self.jumps,
            drift_ppm=self.drift_ppm,
        )

    @property
    def worst_ms(self) -> float:
        return 1e3 * float(np.abs(self.error_s).max())

    @property
    def worst_cents(self) -> float:
        return float(np.nanmax(np.abs(1200 * np.log2(1 + self.pitch))))


def follow(writer: Clock, reader: Clock, *, seconds: float, margin_s: float = 0.005) -> Course:
    """The control alone, block by block, against the true clocks."""
    target = writer.block + reader.block * writer.rate / reader.rate + 48 + margin_s * writer.rate
    control = DriftControl(writer_rate=writer.rate, reader_rate=reader.rate, target=target)
    due_s, places, steps = [], [], []
    underruns = written = 0
    for is_write, number, now_s, due in schedule(writer, reader, seconds):
        if is_write:
            written = (number + 1) * writer.block
            control.written(now_s, written)
            continue
        reading = control.read(now_s, reader.block)
        if reading.plays:
            place, step = reading.first + reading.fraction, (reading.begin + reading.end) / 2
            due_s.append(due)
            places.append(place)
            steps.append(step)
            underruns += place + reader.block * step + 48 > written
    time_s = np.array(due_s)
    true = writer.position(time_s)
    rates = np.gradient(true, time_s) / np.gradient(reader.position(time_s - OFFSET_S), time_s)
    rates[rates <= 0.5 * writer.rate / reader.rate] = np.nan  # while a device does not play
    return Course(
        time_s=time_s,
        error_s=(true - np.array(places) - target) / writer.rate,
        pitch=np.array(steps) / rates - 1,
        underruns=underruns,
        jumps=control.jumps,
        drift_ppm=1e6 * control.drift,
    )


def make_bridge(writer: Clock, reader: Clock, *, channels: int = 1, margin_s: float = 0.005) -> ClockBridge:
    port = AudioPort(
        channels=channels,
        latency=0,
        max_block=reader.block,
        ring_samples=4_096,
        ramp_samples=1,
        fade_samples=1,
    )
    return ClockBridge(
        port,
        input_rate=writer.rate,
        output_rate=reader.rate,
        input_block=writer.block,
        output_block=reader.block,
        margin_s=margin_s,
        fade_samples=441,
        inputs=list(range(channels)),
    )


def play(
    bridge: ClockBridge, writer: Clock, reader: Clock, sound: np.ndarray, *, seconds: float
) -> np.ndarray:
    """Sends `sound` (samples, channels) through; the output's first sample is due at OFFSET_S + a block."""
    count = int(reader.position(np.array([seconds]))[0]) // reader.block
    played = np.zeros((count * reader.block, sound.shape[1]), np.float32)
    for is_write, number, now_s, _ in schedule(writer, reader, seconds):
        if is_write:
            bridge.write(sound[number * writer.block : (number + 1) * writer.block], now_s)
        else:
            bridge.read(played[number * reader.block : (number + 1) * reader.block], now_s)
    return played

"""A live session: devices, engine, recorder and display, from opening to closing.

[control] all of it
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream.audio.clocks import Choice, Clocks
from stream.audio.devices import Device, find_device
from stream.audio.line import Line
from stream.audio.recording import Recording
from stream.audio.routing import plan
from stream.audio.streams import AudioStream
from stream.control.controls import Controls
from stream.control.memory import after
from stream.control.parameters import AUTO, PARAMETERS, Value
from stream.display.panel import REFRESH_S, Display
from stream.engine import Engine
from stream.latency import SLACK_HOPS, LatencyBudget
from stream.separation.exchange import Exchange
from stream.separation.load import IDENTITY, RunOptions, load_separator
from stream.separation.reload import Reloader
from stream.separation.separator import Audio, Separator
from stream.stats import PeakReaders, Stats
from stream.worker import Tap

RESAMPLING = "LQ"  # soxr's quality: 10 ms, where HQ takes 40
INSIST_S = 1.0  # a second signal sooner than this is the same wish
MOST_STEPS = max(int(choice) for choice in PARAMETERS["steps"].choices if choice != AUTO)

End = Literal["stopped", "finished", "lost"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """What the user asked for; None lets the devices and the model decide. Raises ValueError."""

    input: str | None = None
    output: str | None = None
    block_size: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    input_channels: str | None = None
    route: list[str] | None = None
    clocks: Choice = "auto"
    model: str | None = None
    provider: str = "auto"
    steps: int | None = None
    threads: int = 1
    vocals: float | None = None
    accompaniment: float | None = None
    mode: str | None = None
    gain: float | None = None
    start: Mapping[str, Value] = field(default_factory=dict)  # a preset, or how the last session ended
    on_late: str = "dry"
    latency: str = "normal"
    wait: bool = False
    seconds: float | None = None
    record: Path | None = None
    split_minutes: float | None = None
    give_up: float | None = None

    def __post_init__(self) -> None:
        for name in ("vocals", "accompaniment"):
            level = getattr(self, name)
            if level is not None and not 0 <= level <= 1:
                raise ValueError(f"--{name} is {level:g}; a level is from 0 (silent) to 1 (as it came)")
        if self.clocks == "two" and self.wait:
            raise ValueError("--clocks two keeps to real time, --wait does not: give one of them")
        if self.gain is not None and not PARAMETERS["gain"].low <= self.gain <= PARAMETERS["gain"].high:
            raise ValueError(f"--gain is {self.gain:g} dB; it must be from -60 to 12")
        for name, least, most in (
            ("block_size", 1, 65_536),
            ("sample_rate", 1_000, 768_000),
            ("channels", 1, 64),
            ("steps", 1, MOST_STEPS),
        ):
            number = getattr(self, name)
            if number is not None and not least <= number <= most:
                raise ValueError(f"--{name.replace('_', '-')} is {number}; it must be from {least} to {most}")
        if self.give_up is not None and not 0 <= self.give_up < float("inf"):
            raise ValueError(
                f"--give-up is {self.give_up:g}; give a time from 0, or leave it out to keep trying"
            )
        for name, otherwise in (("seconds", "play on"), ("split_minutes", "record into one file")):
            time_ = getattr(self, name)
            if time_ is not None and not 0 < time_ < float("inf"):
                raise ValueError(
                    f"--{name.replace('_', '-')} is {time_:g}; give a time above 0, or leave it out to "
                    f"{otherwise}"
                )

    def controls(self, default_mode: str) -> dict[str, Value]:
        """Where the controls stand at the start: options go before `start`, single levels before the mode."""
        given = {name: getattr(self, name) for name in ("mode", "vocals", "accompaniment", "gain", "steps")}
        given = {name: value for name, value in given.items() if value is not None}
        return after({"mode": default_mode, **self.start}, given)


class Session:
    """Opens everything or raises DeviceError, ModelError or RecordError; then run() and close()."""

    def __init__(self, options: LiveOptions):
        source, sink = find_device(options.input, "input"), find_device(options.output, "output")
        routing = plan(
            source,
            sink,
            channels=options.channels,
            input_channels=options.input_channels,
            route=options.route,
        )
        channels = routing.channels
        choice: Choice = "one" if options.wait else options.clocks
        self._clocks = Clocks(choice, source, sink, routing, latency=options.latency)
        rate = options.sample_rate or self._clocks.common_rate(source, sink)
        run = RunOptions(
            provider=options.provider,
            threads=options.threads,
            live_hops=0.0 if options.wait else SLACK_HOPS[options.latency],
            most_steps=MOST_STEPS,
        )

        def load() -> tuple[Separator, str]:
            return load_separator(
                options.model, sample_rate=rate, channels=channels, quality=RESAMPLING, run=run
            )

        separator, self.model = load()
        separator = Exchange(separator)
        separator.set_steps(options.steps)  # from the first hop on
        self.without_model = options.model is None and self.model == IDENTITY
        self.engine = Engine(
            separator,
            wait=options.wait,
            slack_hops=SLACK_HOPS[options.latency],
            on_late=options.on_late,
            routing=self._clocks.routing,
            tap=self._hand_out,
        )
        self.engine.prepare(options.block_size or self._clocks.block_size(separator.hop_length))
        self._reloader = Reloader(separator, load=lambda: load()[0], revive=self.engine.revive, say=self.say)
        self._peaks = PeakReaders(self.engine.stats)
        # Where nothing is separated, karaoke would be silence; stems are mixed by the mixer they go to.
        if self.without_model or routing.has_stems:
            options = dataclasses.replace(options, start={"mode": "mix"})
        self.controls = Controls(options.controls("karaoke"))
        self.notice = ""  # the last thing that had to be said
        self._steps_refused = False
        self.controls.subscribe(self._turn)
        self._turn()
        if options.seconds:
            self.engine.stop_after(max(1, round(options.seconds * rate)))
        self._give_up_s = options.give_up
        self._line = Line(source, sink, open=self._open, renew=self.engine.renew, say=self.say)
        self.recording = Recording(
            self.controls,
            options.record,
            sample_rate=rate,
            channels=channels,
            split_minutes=options.split_minutes,
        )
        if options.record:  # last, so that whatever was refused leaves no files behind
            self.recording.begin()
        self.title = f"{source} to {sink}: {routing} at {rate} Hz, blocks of {self.engine.block_size}"
        self.taps: tuple[Tap, ...] = (self.recording.tap,)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Raises DeviceError."""
        self.engine.start()
        self._line.start()

    def stop(self) -> None:
        """Makes run() return soon. May be called by a signal handler; a later second time it insists."""
        if not self._stopping.is_set():
            self._stop_s = time.monotonic()
            self._stopping.set()
        elif time.monotonic() - self._stop_s > INSIST_S:
            os._exit(130)

    def run(self, display: Display) -> End:
        """Plays until stopped, until the time is over, or until a lost device is given up."""
        while not self._stopping.wait(REFRESH_S):
            active = self._line.active  # asked first: it ends only after `finished` is set
            stats = self.stats()
            if stats.finished:
                self._play_out()
                return "finished"
            self._line.look(active=active, position=stats.position)
            if self._give_up_s is not None and (self._line.gone_s or -1.0) >= self._give_up_s:
                return "lost"
            self._put_back()
            display.show(stats, self.controls)
        return "stopped"

    def budget(self) -> LatencyBudget:
        """The engine's budget with what the device adds, as known once it runs."""
        waited_until_s = time.monotonic() + 0.5
        stats = self.stats("budget")
        while stats.position == 0 and time.monotonic() < waited_until_s:
            time.sleep(0.01)
            stats = self.stats("budget")
        rate, block = stats.sample_rate, self.engine.block_size
        in_s, out_s = self._line.latency_s
        # The driver's report for a block includes the block itself, which has a line of its own.
        whole_s = stats.device_latency_s if 0 < stats.device_latency_s < 2 else in_s + out_s
        around = max(0, round(whole_s * rate) - block)
        device_in = min(around, max(0, round(in_s * rate) - block)) if in_s else around // 2
        return dataclasses.replace(
            self.engine.budget,
            bridge=self._clocks.latency,
            device_in=device_in,
            device_out=around - device_in,
        )

    def close(self) -> bool:
        """Lets go of everything; False when a driver or the model hangs, so that only os._exit is left."""
        self._reloader.stop()
        clean = self._line.close()
        clean = self.engine.stop() and clean
        self.recording.close()
        return clean

    def stats(self, reader: str = "panel") -> Stats:
        """A snapshot; its peaks are those since the last one of the same reader."""
        return dataclasses.replace(
            self._clocks.add_to(self._peaks.read(reader)),
            device=self._line.status,
            losses=self._line.losses,
            recording=self.recording.status,
            notice=self.notice,
        )

    def reload(self) -> bool:
        """[any] Takes the model's file anew and returns at once; what comes of it is the next notice.

        A broken file is refused and the old model plays on. False while an earlier one is under way.
        """
        return self._reloader.reload()

    def say(self, notice: str) -> None:
        """[any] For the log, and for whoever looks at the session."""
        self.notice = notice
        logger.warning(notice)

    def _turn(self, name: str = "", value: Value = "", source: str = "") -> None:
        """[any] Every level at once: the callback's next block hears it."""
        vocals, accompaniment = self.controls.levels()
        bypass = bool(self.controls["bypass"])
        self.engine.set_levels(vocals=vocals, accompaniment=accompaniment, bypass=bypass)
        if name in ("", "steps"):
            steps = self.controls["steps"]
            taken = self.engine.separator.set_steps(None if steps == AUTO else int(steps))
            self._steps_refused = not taken

    def _put_back(self) -> None:
        """Not while other listeners may still have to hear of it: so not in _turn()."""
        if self._steps_refused:
            self._steps_refused = False
            self.say(f"{self.model} has no steps to choose: they stay at {AUTO}")
            self.controls.set("steps", AUTO, "session")

    def _open(self, source: Device, sink: Device) -> AudioStream:
        rate, block = self.engine.separator.sample_rate, self.engine.block_size
        return self._clocks.open(self.engine.port, source, sink, sample_rate=rate, block_size=block)

    def _hand_out(self, mixture: Audio, vocals: Audio) -> None:
        """[worker] A tap must not wait, and copies what it keeps."""
        for tap in self.taps:
            tap(mixture, vocals)

    def _play_out(self) -> None:
        """Waits for what the driver still has to play."""
        until_s = time.monotonic() + 2.0
        while self._line.active and time.monotonic() < until_s:
            time.sleep(0.01)

"""What a live session shows: a panel that refreshes on a terminal, or plain lines; and the words for both."""

from __future__ import annotations

import contextlib
import math
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.control.controls import Controls
from stream.control.parameters import AUTO
from stream.display.board import board
from stream.display.keys import Keys
from stream.latency import LatencyBudget
from stream.stats import Stats

REFRESH_S = 0.1
FLOOR_DB = -60.0  # the left end of a meter
METER_CELLS = 40


class Display(Protocol):
    """[control] shown() every REFRESH_S or so; the peaks in stats are those since the last call."""

    def show(self, stats: Stats, controls: Controls) -> None: ...
    def close(self) -> None: ...


class StatusLines:
    """A plain line every period_s seconds of audio, with the highest peaks of that time; one when controls
    have moved. Where nobody reads any more, the music goes on all the same.
    """

    def __init__(self, period_s: float, said: str = ""):
        """`said` are the levels that the reader knows already."""
        self._period_s = period_s
        self._next_s = period_s
        self._peaks = [0.0, 0.0, 0.0]
        self._levels, self._said = "", said

    def show(self, stats: Stats, controls: Controls) -> None:
        before, self._levels = self._levels, levels(controls)
        self._said = self._said or self._levels
        if self._levels == before != self._said:  # moved, and at rest
            self._said = self._levels
            self._print(f"{stats.seconds:8.1f} s  {self._levels}")
        now = [stats.peak_input, stats.peak_vocals, stats.peak_output]
        self._peaks = [max(pair) for pair in zip(self._peaks, now, strict=True)]
        if stats.seconds < self._next_s:
            return
        self._next_s = (math.floor(stats.seconds / self._period_s) + 1) * self._period_s
        self._print(status_line(stats, *self._peaks))
        self._peaks = [0.0, 0.0, 0.0]

    def close(self) -> None:
        pass

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):
            print(line, flush=True)


class LivePanel:
    """The session at a glance, in place. After close(), show() begins afresh."""

    def __init__(self, console: Console, title: str, budget: LatencyBudget, keys: Keys | None = None):
        self._title = title
        self._budget = budget
        self._keys = keys
        self._gone = False
        self._console = console
        self._live: Live | None = None

    def show(self, stats: Stats, controls: Controls) -> None:
        if self._gone:
            return
        try:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(panel(stats, controls, self._budget, self._title, self._keys), refresh=True)
        except OSError:  # the terminal has been closed; the music plays on
            self._gone = True

    def close(self) -> None:
        if self._live and not self._gone:
            self._live.stop()
        self._live = None  # the next must not think that its own picture is still above


def panel(
    stats: Stats, controls: Controls, budget: LatencyBudget, title: str, keys: Keys | None = None
) -> RenderableType:
    rows = [("input", stats.peak_input), ("vocals", stats.peak_vocals), ("output", stats.peak_output)]
    indent = 25 if keys else 14  # below the faders
    meters = [Text(f"{name:{indent}}") + meter(peak) + Text(f" {decibels(peak)}") for name, peak in rows]
    times = stats.times
    facts = Table.grid(padding=(0, 2))
    facts.add_row("latency", f"{budget.ms(budget.total):.1f} ms ({', '.join(_shares(budget))})")
    facts.add_row("load", Text(load(stats), style="red" if times.rtf > 0.8 else ""))
    facts.add_row(
        "trouble", Text(trouble(stats), style="yellow" if stats.late_samples or stats.xruns else "")
    )
    facts.add_row("separation", Text(separation(stats), style="" if stats.state == "running" else "red"))
    for name, words in remarks(stats):
        facts.add_row(name, Text(words, style="yellow"))
    facts.add_row("time", f"{stats.seconds:.1f} s")
    return Panel(Group(board(controls, keys), *meters, facts), title=Text(title), expand=False)


def levels(controls: Controls) -> str:
    """What the hands have set, in words."""
    values = controls.snapshot()
    words = [f"vocals {values['vocals']:.0%}", f"accompaniment {values['accompaniment']:.0%}"]
    words += [f"gain {values['gain']:+g} dB"] if values["gain"] else []
    words += [f"steps {values['steps']}"] if values["steps"] != AUTO else []
    words += [name for name in ("mute", "bypass") if values[name]]
    return ", ".join(words)


def _shares(budget: LatencyBudget) -> list[str]:
    return [f"{name} {budget.ms(samples):.1f}" for name, samples in budget.parts() if samples]


def status_line(stats: Stats, peak_input: float, peak_vocals: float, peak_output: float) -> str:
    peaks = f"in {decibels(peak_input)}  vocals {decibels(peak_vocals)}  out {decibels(peak_output)}"
    worker = f"load {stats.times.rtf:.0%}  late hops {stats.late_hops}  {trouble(stats)}"
    said = [f"{name}: {words}" for name, words in remarks(stats)]
    return "  ".join([f"{stats.seconds:8.1f} s", peaks, worker, separation(stats), *said])


def remarks(stats: Stats) -> list[tuple[str, str]]:
    """What is not said every time, with the name of its line."""
    return [(name, words) for name in ("device", "recording", "notice") if (words := getattr(stats, name))]


def summary(stats: Stats) -> str:
    """What a session came to."""
    lines = [f"played {stats.seconds:.2f} s; load {load(stats)}", trouble(stats)]
    if stats.losses:
        lines.append(f"the device was gone {stats.losses} time{'s' if stats.losses > 1 else ''}")
    if stats.crashes or stats.state == "failed":
        lines.append(separation(stats))
    if stats.non_finite_hops:
        lines.append(f"{stats.non_finite_hops} hops came out of the model as NaN and played as no vocals")
    return "\n".join(lines)


def load(stats: Stats) -> str:
    times = stats.times
    return (
        f"{times.rtf:.1%} of real time; a hop of {1000 * stats.deadline_s:.1f} ms takes "
        f"{1000 * times.median_s:.2f} ms (99 %: {1000 * times.p99_s:.2f}, most: {1000 * times.max_s:.2f}), "
        f"{stats.late_hops} took longer"
    )


def trouble(stats: Stats) -> str:
    late_s = stats.late_samples / stats.sample_rate
    text = f"without vocals {late_s:.2f} s in {stats.late_events} gaps, xruns {stats.xruns}"
    if stats.drift_ppm is not None:
        text += f", clocks {stats.drift_ppm:+.0f} ppm apart"
    if stats.skips:
        text += f", skipped ahead {stats.skips} times"
    if stats.dropped_samples:
        text += f", {stats.dropped_samples / stats.sample_rate:.2f} s never separated"
    return text


def separation(stats: Stats) -> str:
    """The state of the worker, with what it died of."""
    words = {
        "running": f"separating: {stats.separator}",
        "stopped": "stopped",
        "restarting": "the model crashed and is being restarted",
        "failed": "the model crashed too often: playing on without it",
    }
    crashes = f" ({stats.crashes} crashes, last: {stats.error})" if stats.crashes else ""
    return words[stats.state] + crashes


def decibels(peak: float) -> str:
    """Of full scale, in six columns; what is above full scale is marked."""
    if not peak > 0:
        return "  -inf dB"
    return f"{20 * math.log10(peak):6.1f} dB{' CLIP' if peak > 1 else ''}"


def meter(peak: float) -> Text:
    level_db = 20 * math.log10(peak) if peak > 0 else FLOOR_DB
    filled = min(METER_CELLS, max(0, round(METER_CELLS * (1 - level_db / FLOOR_DB))))
    colour = "red" if peak > 1 else "yellow" if level_db > -6 else "green"
    return Text("█" * filled, style=colour) + Text("─" * (METER_CELLS - filled), style="dim")

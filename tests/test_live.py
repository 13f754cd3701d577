"""The words around a live session: options, panel, status lines, summary, help."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from snapshots import BUDGET, STATS

import stream.live
import stream.render
from stream.control.controls import Controls
from stream.display.panel import LivePanel, StatusLines, decibels, meter, status_line, summary
from stream.session import LiveOptions

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("module", [stream.live, stream.render], ids=lambda module: module.__name__)
def test_help_is_the_committed_one(module):
    """After a change: COLUMNS=100 python -m stream.live --help > docs/help/stream.live.txt"""
    assert module._parser().format_help() == (ROOT / "docs" / "help" / f"{module.__name__}.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vocals", "1.5"], "--vocals is 1.5; a level is from 0"),
        (["--accompaniment", "-1"], "--accompaniment is -1"),
        (["--vocals", "nan"], "--vocals is nan"),
        (["--gain", "13"], "--gain is 13 dB; it must be from -60 to 12"),
        (["--block-size", "0"], "--block-size is 0"),
        (["--channels", "0"], "--channels is 0"),
        (["--sample-rate", "7"], "--sample-rate is 7"),
        (["--seconds", "0"], "--seconds is 0"),
        (["--seconds", "inf"], "--seconds is inf"),
        (["--steps", "5"], "--steps is 5; it must be from 1 to 4"),
        (["--split-minutes", "0"], "--split-minutes is 0; give a time above 0"),
        (["--status", "0"], "--status is 0"),
    ],
)
def test_bad_options_are_one_sentence(arguments, words, capsys):
    assert stream.live.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"stream.live: {words}")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["--mode", "shout"], ["--latency", "none"], ["--on-late", "x"], ["--what"]]
)
def test_unknown_options_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        stream.live.main(arguments)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ({}, (0.0, 1.0)),
        ({"mode": "karaoke"}, (0.0, 1.0)),
        ({"mode": "acapella"}, (1.0, 0.0)),
        ({"mode": "mix"}, (1.0, 1.0)),
        ({"vocals": 0.3}, (0.3, 1.0)),
        ({"mode": "acapella", "accompaniment": 0.2}, (1.0, 0.2)),
    ],
)
def test_single_levels_go_before_the_mode(given, levels):
    assert Controls(LiveOptions(**given).controls("karaoke")).levels() == levels


def test_a_status_line_says_all():
    line = status_line(STATS, 0.5, 0.0, 1.5)
    for words in (
        "10.0 s",
        "-6.0 dB",
        "-inf dB",
        "3.5 dB CLIP",
        "load 9%",
        "late hops 3",
        "0.10 s in 2 gaps",
    ):
        assert words in line
    assert "xruns 3" in line
    assert "\n" not in line


def test_status_lines_come_by_audio_time_with_the_highest_peaks(capsys):
    lines = StatusLines(2.0)
    for tenth in range(1, 50):
        peak = 0.5 if tenth == 3 else 0.001
        stats = replace(STATS, position=4_410 * tenth, peak_input=peak)
        lines.show(stats, Controls())
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "in   -6.0 dB" in said[0]
    assert "in  -60.0 dB" in said[1]


def test_the_panel_shows_meters_levels_latency_and_trouble():
    paper = io.StringIO()
    panel = LivePanel(Console(file=paper, force_terminal=True, width=120, height=40), "title", BUDGET)
    panel.show(STATS, Controls({"vocals": 0.25, "gain": 3.0}))
    panel.close()
    shown = paper.getvalue()
    for words in ("title", "25%", "95.1 ms", "slack 46.4", "9.0% of real time", "xruns 3", "separating", "█"):
        assert words in shown


def test_a_dead_model_is_said_everywhere():
    dead = replace(
        STATS, state="failed", crashes=4, error="RuntimeError: no", skips=2, dropped_samples=44_100
    )
    for text in (status_line(dead, 0, 0, 0), summary(dead)):
        assert "playing on without it (4 crashes, last: RuntimeError: no)" in text
        assert "skipped ahead 2 times" in text
        assert "1.00 s never separated" in text


@pytest.mark.parametrize(
    ("peak", "cells"), [(0.0, 0), (1e-9, 0), (10 ** (-30 / 20), 20), (1.0, 40), (9.0, 40)]
)
def test_a_meter_is_linear_in_decibels(peak, cells):
    assert meter(peak).plain.count("█") == cells
    assert len(meter(peak).plain) == 40


def test_decibels_have_a_fixed_width():
    assert {len(decibels(peak)) for peak in (0.0, 1e-3, 0.5, 1.0)} == {9}


def test_a_long_help_ends_well():
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "stream.live", "--help"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "examples:" in done.stdout

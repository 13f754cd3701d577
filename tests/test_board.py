"""What a live session shows of its controls, on every kind of terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console
from snapshots import BUDGET, STATS

from stream.control.controls import Controls
from stream.control.presets import Presets
from stream.control.settings import Settings
from stream.display.board import fader
from stream.display.keys import Keys
from stream.display.panel import LivePanel, StatusLines


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def keys(controls: Controls, tmp_path: Path) -> Keys:
    return Keys(controls, Presets(controls, Settings.load(tmp_path / "settings.toml")), lambda: None)


def shown(controls: Controls, keys: Keys | None, width: int = 80, **how) -> str:
    paper = io.StringIO()
    console = Console(file=paper, width=width, height=24, **{"force_terminal": True, **how})
    panel = LivePanel(console, "title", BUDGET, keys)
    panel.show(STATS, controls)
    text = paper.getvalue()
    panel.close()
    return text


def plain(controls: Controls, keys: Keys | None) -> str:
    """As text: a terminal without colours."""
    return shown(controls, keys, color_system=None).replace("\x1b[?25l", "")


def test_the_panel_shows_where_everything_stands(keys, controls):
    controls.apply({"vocals": 0.5, "gain": -60.0, "steps": "2", "mute": True, "record": True})
    text = plain(controls, keys)
    for words in ("50%", "100%", "silence", "[MUTE]", " bypass ", "[RECORD]", "custom, steps 2", "? keys"):
        assert words in text, words
    assert "1  karaoke  2  guide  3  acapella  4  mix" in text
    for key in "mr2":
        keys.press(key)
    text = plain(controls, keys)
    assert "2 [guide]" in text
    assert "preset guide" in text
    assert " mute " in text


def test_the_panel_fits_a_small_terminal(keys, controls):
    keys.press("?")
    controls.set("gain", 12.0)
    lines = plain(controls, keys).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "end" in "".join(lines)


def test_a_panel_that_begins_afresh_wipes_nothing_of_what_came_between(keys, controls):
    paper = io.StringIO()
    panel = LivePanel(Console(file=paper, width=80, height=24, force_terminal=True), "title", BUDGET, keys)
    panel.show(STATS, controls)
    panel.close()
    drawn = len(paper.getvalue())
    panel.show(STATS, controls)
    again = paper.getvalue()[drawn:]
    panel.close()
    assert "title" in again
    assert "\x1b[1A" not in again  # cursor up


def test_without_keys_none_are_named(controls):
    text = plain(controls, None)
    assert "vocals" in text
    assert "? keys" not in text
    assert "up down" not in text


def test_colours_are_there_unless_unwanted(keys, controls, monkeypatch):
    controls.set("mute", True)
    assert "\x1b[1;33m" in shown(controls, keys, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(controls, keys, color_system="standard")
    assert "[MUTE]" in text
    assert "\x1b[1;33m" not in text


@pytest.mark.parametrize(("value", "behind"), [(0.0, 0), (0.5, 20), (1.0, 39)])
def test_a_fader_shows_its_place(value, behind):
    line = fader("vocals", value).plain
    assert line == "━" * behind + "●" + "─" * (39 - behind)


def test_plain_lines_say_what_was_moved_once_it_rests(capsys):
    controls, lines = Controls(), StatusLines(1_000.0)
    for vocals in (0.0, 0.0, 0.1, 0.2, 0.3, 0.3, 0.3):
        controls.set("vocals", vocals)
        lines.show(STATS, controls)
    controls.toggle("bypass")
    for _ in range(3):
        lines.show(STATS, controls)
    assert capsys.readouterr().out.splitlines() == [
        "    10.0 s  vocals 30%, accompaniment 100%",
        "    10.0 s  vocals 30%, accompaniment 100%, bypass",
    ]


def test_lines_that_nobody_reads_harm_nothing(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    StatusLines(1.0).show(STATS, Controls())
    panel = LivePanel(Console(file=Closed(), force_terminal=True), "title", BUDGET)
    panel.show(STATS, Controls())
    panel.close()

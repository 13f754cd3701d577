"""What keys do, and how they are read. No terminal needed."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snapshots import BUDGET, STATS

from stream.control.controls import Controls
from stream.control.presets import Presets
from stream.control.settings import Settings
from stream.display import keys as module
from stream.display.keyboard import KeyboardDisplay
from stream.display.keys import HELP, MOVES, Keys, help_lines
from stream.display.panel import LivePanel
from stream.display.terminal import WindowsTerminal, keys_in

PATIENCE_S = 20.0


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def ends() -> list[bool]:
    return []


@pytest.fixture
def keys(controls: Controls, tmp_path: Path, ends: list[bool]) -> Keys:
    settings = Settings.load(tmp_path / "settings.toml")
    return Keys(controls, Presets(controls, settings), lambda: ends.append(True))


def press(keys: Keys, *pressed: str) -> str:
    for key in pressed:
        keys.press(key)
    return keys.message


@pytest.mark.parametrize(
    ("data", "keys", "rest"),
    [
        (b"mB?", ["m", "B", "?"], b""),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"], b""),
        (b"\x1bOA", ["up"], b""),  # application mode
        (b"\x1b[1;2A", ["up"], b""),  # with Shift
        (b"\x1b[5~m", ["m"], b""),  # Page Up does nothing
        (b"\x1bmb", ["b"], b""),  # Alt-m does nothing
        (b"m\x1b", ["m"], b"\x1b"),
        (b"m\x1b[1;", ["m"], b"\x1b[1;"),
        (b"\x1bO", [], b"\x1bO"),
        ("é\n\t \x7fm".encode(), ["m"], b""),
        (b"", [], b""),
    ],
)
def test_bytes_become_keys(data, keys, rest):
    assert keys_in(data) == (keys, rest)


def test_a_key_in_two_pieces_is_one_key():
    keys, rest = keys_in(b"\x1b")
    for piece in (b"[", b"A"):
        more, rest = keys_in(rest + piece)
        keys += more
    assert (keys, rest) == (["up"], b"")


def test_faders_move_by_steps_and_stop_at_their_ends(keys, controls):
    press(keys, "up", "up", "left")
    assert (controls["vocals"], controls["accompaniment"]) == (0.1, 0.95)
    press(keys, *["down"] * 9, *["right"] * 9)
    assert (controls["vocals"], controls["accompaniment"]) == (0.0, 1.0)
    press(keys, *["up"] * 30)
    assert controls["vocals"] == 1.0
    press(keys, "+", "=", "-", "+")
    assert controls["gain"] == 2.0
    press(keys, *["+"] * 90)
    assert controls["gain"] == 12.0


@pytest.mark.parametrize(("key", "name"), [("m", "mute"), ("B", "bypass"), ("r", "record")])
def test_switches_turn_over(keys, controls, key, name):
    press(keys, key)
    assert controls[name] is True
    press(keys, key)
    assert controls[name] is False


def test_split_is_handed_on(keys, controls):
    heard = []
    controls.subscribe(lambda *change: heard.append(change))
    press(keys, "s", "s")
    assert heard == [("split", True, "keys")] * 2


def test_numbers_recall_presets(keys, controls):
    assert press(keys, "2") == "preset guide"
    assert controls["vocals"] == 0.3
    assert press(keys, "9").startswith("there is no preset number 8")
    assert controls["vocals"] == 0.3


def test_w_and_a_number_keep_what_plays(keys, controls):
    press(keys, "up")
    assert press(keys, "w", "2") == "kept as preset 2, guide"
    assert press(keys, "w", "9") == "kept as preset 5, preset 5"
    press(keys, "1", "2")
    assert controls["vocals"] == 0.05
    press(keys, "w", "m", "3")  # a key between them: recalled, not kept
    assert controls["mode"] == "acapella"


def test_the_end_is_asked_twice(keys, ends, monkeypatch):
    assert press(keys, "q") == "q once more ends the music"
    press(keys, "m", "q")
    assert not ends
    now_s = time.monotonic() + 10
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s))
    assert press(keys, "q") == "q once more ends the music"  # too long after the one before
    press(keys, "Q")
    assert ends == [True]


def test_messages_lapse(keys, monkeypatch):
    assert press(keys, "2")
    now_s = time.monotonic() + 10
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s))
    assert keys.message == ""


def test_keys_without_a_meaning_do_nothing(keys, controls):
    before = controls.snapshot()
    press(keys, *"acdefghijklnoptuvxyz0!", "escape")
    assert controls.snapshot() == before


def test_the_help_names_every_key():
    named = " ".join(keys for keys, _ in HELP).split()
    assert {*MOVES} - {"="} <= {*named}
    assert {*module.SWITCHES, "s", "w", "q", "?"} <= {*named}
    assert max(map(len, help_lines().splitlines())) <= 76  # of 80 columns


class ScriptedTerminal:
    """Gives the keys of a script; keeps what is done to it."""

    def __init__(self, *script):
        self.script, self.done, self.ours = list(script), [], True

    def keep(self):
        return self.ours

    def read(self, timeout_s):
        if not self.script:
            time.sleep(0.005)
            return []
        if isinstance(self.script[0], BaseException):
            raise self.script.pop(0)
        return [self.script.pop(0)]

    def __getattr__(self, name):
        return lambda: self.done.append(name)


class Shown:
    def __init__(self):
        self.times = 0

    def show(self, stats, controls):
        self.times += 1

    def close(self): ...


def until(condition) -> None:
    latest_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < latest_s
        time.sleep(0.002)


def test_keys_work_beside_plain_lines_and_are_answered(keys, controls, capsys):
    display = KeyboardDisplay(Shown(), ScriptedTerminal("m", "2", "?"), keys)
    until(lambda: keys.help)
    display.show(STATS, controls)
    display.close()
    assert controls["mute"] is True
    assert "up down vocals" in capsys.readouterr().out


def test_a_key_that_fails_is_said_and_the_next_one_works(keys, controls, caplog):
    display = KeyboardDisplay(Shown(), ScriptedTerminal(ZeroDivisionError(), "m", EOFError(), "b"), keys)
    until(lambda: not display._thread.is_alive())
    display.close()
    assert (controls["mute"], controls["bypass"]) == (True, False)
    assert "a key failed" in caplog.text


def test_the_terminal_is_given_back_even_when_the_display_fails(keys, controls):
    class Failing(Shown):
        def close(self):
            raise RuntimeError

    terminal = ScriptedTerminal()
    display = KeyboardDisplay(Failing(), terminal, keys)
    with pytest.raises(RuntimeError):
        display.close()
    assert terminal.done == ["restore", "close"]


def test_nothing_is_drawn_in_place_while_the_terminal_is_the_shell_s(keys, controls):
    paper = io.StringIO()
    panel = LivePanel(Console(file=paper, force_terminal=True), "title", BUDGET, keys)
    lines, terminal = Shown(), ScriptedTerminal()
    terminal.ours = False
    for inner in (panel, lines):
        display = KeyboardDisplay(inner, terminal, keys)
        display.show(STATS, controls)
        display.close()
    assert "title" not in paper.getvalue()
    assert lines.times == 1


def test_keys_of_a_windows_console(monkeypatch):
    typed = list("m\xe0H\0K\xe0Z\x1b+")
    console = SimpleNamespace(kbhit=lambda: bool(typed), getwch=lambda: typed.pop(0))
    monkeypatch.setitem(sys.modules, "msvcrt", console)
    terminal = WindowsTerminal()
    read = [terminal.read(0.01) for _ in range(7)]
    assert read == [["m"], ["up"], ["left"], [], [], ["+"], []]
    assert terminal.keep()

"""stream.live on a pseudo terminal, with keys and signals: however it ends, the terminal is as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.display.terminal import PosixTerminal

termios = pytest.importorskip("termios", reason="Windows has other terminals")

from screen import PATIENCE_S, Screen  # noqa: E402

HERE = Path(__file__).parent
RIG = HERE / "keyboard_rig.py"
CTRL_C, CTRL_Z, UP, DOWN = b"\x03", b"\x1a", b"\x1b[A", b"\x1b[B"
SHELL = "import fcntl, os, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp('sh', ['sh', '-i'])"
HIDDEN, VISIBLE = "\x1b[?25l", "\x1b[?25h"  # the cursor


def test_what_is_given_back_is_not_taken_again():
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    terminal = PosixTerminal(slave)
    try:
        assert terminal.keep()
        assert termios.tcgetattr(slave) != before
        termios.tcsetattr(slave, termios.TCSANOW, before)  # somebody's `stty sane`
        assert terminal.keep()
        assert termios.tcgetattr(slave) != before
        os.write(master, b"m" + UP)
        assert terminal.read(PATIENCE_S) == ["m", "up"]
        terminal.restore()
        assert not terminal.keep()
        assert termios.tcgetattr(slave) == before
    finally:
        terminal.close()
        os.close(master)
        os.close(slave)


def live(how: str = "run", *options: str, **environment: str) -> Screen:
    return Screen(str(RIG), how, *options, RIG_TAKES_TERMINAL="1", **environment)


def test_keys_move_the_controls_and_q_q_ends():
    with live() as screen:
        screen.see("? keys")
        assert screen.is_raw()
        screen.send(UP + UP + b"m3")
        screen.see("[MUTE]")
        screen.see("preset acapella")
        screen.send(b"b" + DOWN[:1])
        time.sleep(0.05)
        screen.send(DOWN[1:])  # in two pieces: no escape, no [ and no B
        screen.send(b"q")
        screen.see("q once more")
        screen.send(b"q")
        screen.see("moved ")
        rest = screen.ends_with(0)
        assert rest.startswith("{'vocals': 0.95, 'accompaniment': 0.0, 'mute': True, 'bypass': True, 'mode'")
        assert screen.mode() == screen.before


def kill(number: int):
    return lambda screen: screen.process.send_signal(number)


@pytest.mark.parametrize(
    ("how", "end", "code"),
    [
        ("run", kill(signal.SIGTERM), 0),
        ("run", lambda screen: screen.send(CTRL_C), 0),
        ("raise", lambda screen: None, 1),
        ("hang", lambda screen: (screen.send(CTRL_C), time.sleep(0.6), screen.send(CTRL_C)), 130),
    ],
    ids=["SIGTERM", "Ctrl-C", "exception", "Ctrl-C twice, since it hangs"],
)
def test_whatever_ends_it_leaves_the_terminal_as_it_was(how, end, code):
    with live(how) as screen:
        screen.see(HIDDEN)
        screen.see("? keys")
        assert screen.is_raw()
        end(screen)
        rest = screen.ends_with(code)
        assert screen.mode() == screen.before
        assert VISIBLE in rest
        assert HIDDEN not in rest[rest.rindex(VISIBLE) :]


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back():
    with Screen("-c", SHELL) as screen:
        screen.see("$ ")
        screen.send(f"'{sys.executable}' '{RIG}' run\n".encode())
        screen.see("? keys")
        assert screen.is_raw()
        screen.send(CTRL_Z)
        screen.see(VISIBLE)
        screen.see("$ ")
        assert not screen.is_raw()
        screen.send(b"bg; echo st''ill mine\n")
        screen.see("still mine")
        screen.send(b"m\n")  # for the shell
        screen.see("not found")
        assert "? keys" not in screen.text
        assert not screen.is_raw()
        screen.send(b"fg\n")
        screen.see("? keys")
        screen.send(UP + b"qq")
        screen.see("moved {'vocals': 0.05, 'mode': 'custom'}")
        screen.see("$ ")
        assert not screen.is_raw()
        screen.send(b"exit\n")


def test_where_there_is_no_shell_to_return_to_ctrl_z_does_nothing():
    with live() as screen:
        screen.see("? keys")
        screen.send(CTRL_Z)
        screen.see(VISIBLE)
        screen.see("? keys")
        assert screen.is_raw()
        screen.send(b"mqq")
        screen.see("moved {'mute': True}")
        screen.ends_with(0)


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}], ids=["dumb", "latin"]
)
def test_a_simple_terminal_gets_plain_lines_and_gives_keys(environment):
    with live(**environment) as screen:
        screen.see("running")
        screen.send(b"m")
        screen.see("s  vocals 0%, accompaniment 100%, mute")
        screen.send(b"?")
        screen.see("bypass")
        screen.send(b"qq")
        rest = screen.ends_with(0)
        assert not re.search(r"\x1b|━", rest.replace(VISIBLE, ""))
        assert screen.mode() == screen.before


@pytest.mark.parametrize("options", [(), ("--status", "0.1")], ids=["panel", "lines"])
def test_a_terminal_that_closes_is_a_clean_end(options):
    with live("run", *options) as screen:
        screen.see("running")
        screen.hang_up()
        assert screen.process.wait(PATIENCE_S) == 0


def test_no_color_draws_without_colours():
    with live(NO_COLOR="1", COLORTERM="truecolor") as screen:
        screen.see("? keys")
        screen.send(b"m")
        screen.see("[MUTE]")
        screen.send(b"qq")
        rest = screen.ends_with(0)
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", rest)


def test_a_pipe_gets_plain_lines():
    done = subprocess.run(
        [sys.executable, str(RIG), "raise"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        timeout=60,
    )
    assert "running" in done.stdout
    assert "\x1b" not in done.stdout

"""`--list-midi` and `--midi-learn` before a controller made of two JACK MIDI ports."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from conftest import App
from jack_server import Studio
from midi_controller import ACAPELLA, KNOBS, LIGHTS, RATE, UNHEARD, Controller, level_db
from signals import noise

pytestmark = pytest.mark.device


def answer(process: subprocess.Popen, move: Callable[[], None]) -> str:
    """The line that the moves bring about; made again when it stays away, as a busy server loses messages."""
    for _ in range(10):
        move()
        if select.select([process.stdout], [], [], 5.0)[0]:
            return process.stdout.readline()
    pytest.fail("nothing was learned from ten times the same moves")


def test_ports_are_listed_and_an_unknown_one_is_refused_with_the_list(app: App, controller: Controller):
    words = app.refused(*UNHEARD, "--midi", "nonesuch")
    assert "no MIDI input has 'nonesuch' in its name" in words
    assert f"0  {KNOBS}:knobs" in words
    words = app.refused(*UNHEARD, "--midi", "7")
    assert "there is no MIDI input 7" in words
    process = app._launch("--list-midi")
    words = app.wait(process)
    assert words.startswith(
        f"MIDI inputs (jack)\n    0  {KNOBS}:knobs\nMIDI outputs (jack)\n    0  {LIGHTS}:leds\n"
    )


def test_learning_ends_in_the_settings_and_the_next_session_has_it(
    app: App, controller: Controller, studio: Studio
):
    process = app._launch("--midi", KNOBS, "--midi-api", "jack", "--midi-learn", "vocals", "mute=toggle")
    assert process.stdout.readline() == f"listening to {KNOBS}:knobs\n"
    assert "vocals: move its knob" in process.stdout.readline()

    def turn() -> None:
        for value in range(60, 70):
            controller.send(0xB3, 33, value)
            time.sleep(0.02)

    def press() -> None:
        controller.send(0x93, 40, 90)
        controller.send(0x83, 40, 0)

    learned = answer(process, turn)
    assert learned.startswith("learned: CC 33 on channel 4 for vocals; saved to ")
    assert "mute = True" not in learned
    assert "mute: move" in process.stdout.readline()
    assert answer(process, press).startswith("learned: note 40 on channel 4 for mute (toggle); saved to ")
    app.wait(process)
    process = app.start(*ACAPELLA, "--midi", KNOBS)
    controller.until_lit(0x93, 40, 0)
    controller.send(0xB3, 33, 127)
    controller.send(0xB3, 33, 0)
    controller.send(0x93, 40, 90)
    controller.until_lit(0x93, 40, 127)
    sent = noise(RATE)
    assert level_db(studio.run(sent, freewheel=False)[0], sent) < -60
    app.finish(process)


def test_ctrl_c_ends_learning(app: App, controller: Controller):
    process = app._launch("--midi", KNOBS, "--midi-api", "jack", "--midi-learn", "vocals")
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    app.wait(process, code=130)


def test_learning_asks_for_names_on_its_own(app: App, controller: Controller):
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.live", "--midi", KNOBS, "--midi-api", "jack", "--midi-learn"],
        env=app._environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    app._processes.append(process)
    process.stdin.write("volume\nbypass\n\n")
    process.stdin.flush()
    for line in process.stdout:
        if "bypass: move" in line:
            break
        assert "Traceback" not in line

    def press() -> None:
        controller.send(0x90, 50, 90)
        controller.send(0x80, 50, 90)

    words = answer(process, press) + app.wait(process)
    assert "learned: note 50 on channel 1 for bypass (toggle)" in words

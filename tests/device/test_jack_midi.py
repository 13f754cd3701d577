"""A controller made of two JACK MIDI ports before `python -m stream.live`: what it moves is recorded.

The model is the identity, which takes everything for vocals: in acapella, what is heard is the input at the
level of the vocals.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import App
from jack_server import Server, Studio, jack_server
from midi_controller import ACAPELLA, KNOBS, LIGHTS, RATE, UNHEARD, Controller, level_db, until
from signals import noise
from test_comeback import Words, killed

pytestmark = pytest.mark.device

LEVEL_DB = 0.3  # half a second of noise tells its level this well
STEP = 0.03  # between neighbouring samples: a sine of 100 Hz at 0.5 has 0.007, and a jump would have 0.5


@pytest.fixture
def midi_map(tmp_path: Path) -> str:
    path = tmp_path / "test.toml"
    path.write_text(
        """
        [[bindings]]
        parameter = "vocals"
        cc = 7
        light = true
        [[bindings]]
        parameter = "accompaniment"
        cc = 1
        bits = 14
        [[bindings]]
        parameter = "mute"
        note = 36
        light = { channel = 7, on = 5 }
        [[bindings]]
        parameter = "bypass"
        note = 37
        light = true
        [[bindings]]
        parameter = "split"
        note = 38
        """
    )
    return str(path)


def test_a_knob_changes_what_is_recorded_and_the_lights_answer(
    app: App, controller: Controller, studio: Studio, midi_map: str
):
    process = app.start(*ACAPELLA, "--midi", KNOBS, "--midi-map", midi_map)
    assert f"MIDI from {KNOBS}:knobs: 5 controls (map test), lights to {LIGHTS}:leds\n" in app.introduction
    controller.until_lit(0xB0, 7, 127)  # where the fader stands
    sent = noise(RATE)

    def heard_db() -> float:
        return level_db(studio.run(sent, freewheel=False)[0], sent)

    assert heard_db() == pytest.approx(0.0, abs=LEVEL_DB)
    controller.send(0xB0, 7, 20)  # not picked up yet
    controller.send(0xB0, 7, 127)
    controller.send(0xB0, 7, 32)
    controller.until_lit(0xB0, 7, 32)
    assert heard_db() == pytest.approx(20 * np.log10(32 / 127), abs=LEVEL_DB)
    controller.send(0x90, 36, 100)
    controller.until_lit(0x96, 36, 5)
    assert heard_db() < -60
    controller.send(0x80, 36, 0)
    controller.until_lit(0x96, 36, 0)
    controller.send(0x90, 37, 1)
    controller.until_lit(0x90, 37, 127)
    assert heard_db() == pytest.approx(0.0, abs=LEVEL_DB)  # bypass: the original
    controller.send(0xC0, 1)  # of the built-in presets, the guide
    controller.until_lit(0xB0, 7, 38)
    words = app.finish(process)
    assert "played" in words
    controller.until_lit(0x90, 37, 0)  # dark at the end


def test_a_fader_moves_the_level_without_a_click(
    app: App, controller: Controller, studio: Studio, midi_map: str
):
    process = app.start(*ACAPELLA, "--midi", KNOBS, "--midi-map", midi_map)
    controller.until_lit(0xB0, 7, 127)
    tone = np.sin(2 * np.pi * 100 / RATE * np.arange(4 * RATE))[:, None] * np.float32([0.5, 0.5])

    def ride() -> None:
        time.sleep(1.5)
        for value in (127, 0, 127, 1, 126, 0):
            controller.send(0xB0, 7, value)
            time.sleep(0.1)

    hand = threading.Thread(target=ride)
    hand.start()
    heard, _ = studio.run(tone.astype(np.float32), freewheel=False)
    hand.join()
    controller.until_lit(0xB0, 7, 0)
    app.finish(process)
    begin, end = (int(place) for place in np.flatnonzero(np.abs(heard[:, 0]) > 0.01)[[0, -1]])
    assert np.abs(np.diff(heard[begin + RATE // 10 : end, 0])).max() < STEP
    assert np.abs(heard[begin : begin + RATE]).max() > 0.45
    assert np.abs(heard[-RATE:]).max() < 1e-3


def test_a_controller_that_was_away_is_taken_up_again(app: App, controller: Controller, midi_map: str):
    process = app.start(*UNHEARD, "--midi", KNOBS, "--midi-map", midi_map)
    words = Words(process)
    controller.until_lit(0xB0, 7, 127)
    controller.send(0x90, 36, 1)
    controller.until_lit(0x96, 36, 5)
    controller.unplug()
    words.until(f"MIDI input {KNOBS}:knobs is gone")
    controller.plug()
    words.until(f"MIDI input {KNOBS}:knobs is back")
    controller.until_lit(0x96, 36, 0)  # let go, and said when it was back
    controller.send(0xB0, 7, 127)
    controller.send(0xB0, 7, 64)
    controller.until_lit(0xB0, 7, 64)
    words.end(process)


def test_rubbish_from_outside_stops_nothing(app: App, controller: Controller, midi_map: str):
    process = app.start(*UNHEARD, "--midi", KNOBS, "--midi-map", midi_map)
    controller.until_lit(0xB0, 7, 127)
    for data in ([0xB0], [0xB0, 7], [0xF0, 1, 2, 3, 0xF7], [0xFF], [0xC0, 99], [0xE0, 1, 2], [0xB0, 7, 200]):
        controller.send(*data)
    controller.send(0xB0, 7, 127)
    controller.send(0xB0, 7, 3)
    controller.until_lit(0xB0, 7, 3)
    assert "there is no preset number 99" in app.finish(process)


def test_a_virtual_port_can_be_connected_to(app: App, controller: Controller, midi_map: str):
    import jack

    process = app.start(*UNHEARD, "--midi", "virtual", "--midi-map", midi_map)
    patch = jack.Client("patch", servername=os.environ["JACK_DEFAULT_SERVER"], no_start_server=True)
    try:
        patch.connect(f"{KNOBS}:knobs", "diffvs-midi-in:controls")
        patch.connect("diffvs-midi-out:lights", f"{LIGHTS}:leds")
        until(lambda: controller.answers(0xB0, 7, 9), "an answer")
    finally:
        patch.close()
    app.finish(process)


def test_pads_record_and_split(app: App, controller: Controller, midi_map: str, tmp_path: Path):
    process = app.start(*UNHEARD, "--midi", KNOBS, "--midi-map", midi_map, "--record", str(tmp_path / "take"))
    controller.until_lit(0xB0, 7, 127)
    time.sleep(1.0)
    controller.send(0x90, 38, 1)
    time.sleep(1.0)
    app.finish(process)
    files = list((tmp_path / "take").rglob("vocals*.wav"))
    assert len(files) == 2
    assert all(soundfile.info(file).frames > 0 for file in files)


@pytest.mark.usefixtures("jack", "rtmidi")  # another server keeps the list of servers, as in test_comeback
def test_a_server_that_comes_back_has_its_controller_again(
    doomed_app: App, doomed_jack: Server, monkeypatch: pytest.MonkeyPatch, midi_map: str
):
    for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
        monkeypatch.setenv(name, doomed_jack.environment[name])
    controller = Controller()
    process = doomed_app.start(*UNHEARD, "--midi", KNOBS, "--midi-map", midi_map)
    words = Words(process)
    controller.until_lit(0xB0, 7, 127)
    killed(doomed_jack, signal.SIGTERM)
    controller.close()
    words.until("its server has stopped")
    with jack_server(doomed_jack.name, synchronous=False):
        words.until("the audio device is back")
        controller = Controller()
        words.until(f"MIDI input {KNOBS}:knobs is back")
        controller.until_lit(0xB0, 7, 127)
        controller.send(0x90, 37, 1)
        controller.until_lit(0x90, 37, 127)
        words.end(process)
        controller.close()

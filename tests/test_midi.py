"""Ports that come and go, lights that answer, and the words around them; with a MIDI system made of lists."""

from __future__ import annotations

import builtins
import logging
import sys
import time
from types import SimpleNamespace

import pytest
from midi_rig import FakeTransport

import stream.live
from stream.control.controls import Controls
from stream.control.midi.bindings_toml import read_map
from stream.control.midi.companion import MidiControl, list_ports
from stream.control.midi.controllers import MidiPort, PortPlayer
from stream.control.parameters import ControlError
from stream.control.settings import Settings

NANO = "nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0"
NANO_LATER = "nanoKONTROL2:nanoKONTROL2 MIDI 1 28:0"
MAP = read_map(
    {
        "bindings": [
            {"parameter": "vocals", "cc": 7, "pick_up": False},
            {"parameter": "mute", "note": 36},
            {"parameter": "bypass", "note": 37, "light": True},
        ]
    }
)


@pytest.fixture
def transport():
    return FakeTransport([NANO], [NANO])


@pytest.fixture
def controls():
    return Controls()


@pytest.fixture
def player(transport, controls):
    player = PortPlayer(MidiPort(transport, "nano"), MAP)
    player.join(controls)
    transport.lit()
    return player


def test_messages_move_and_lights_answer(player, transport, controls):
    transport.arrive([0xB0, 7, 127], [0x90, 37, 1])
    player.step()
    assert controls["vocals"] == 1.0
    assert controls["bypass"] is True
    assert transport.lit() == [(0x90, 37, 127)]
    controls.set("bypass", False, "page")
    assert transport.lit() == []  # not on the page's thread
    player.step()
    assert transport.lit() == [(0x90, 37, 0)]


def test_the_lights_are_right_from_the_start_and_dark_at_the_end(transport, controls):
    controls.set("bypass", True)
    player = PortPlayer(MidiPort(transport, NANO), MAP)
    player.join(controls)
    assert transport.lit() == [(0x90, 37, 127)]
    player.close()
    assert transport.lit() == [(0x90, 37, 0)]
    assert transport.inputs[-1].closed
    controls.set("bypass", False)


def test_lights_are_sent_again_to_a_controller_that_was_still_waking_up(player, transport, controls):
    player.look()
    assert transport.lit() == [(0x90, 37, 0)]
    player.look()
    player.look()
    assert transport.lit() == []
    transport.ins = []
    player.look()
    transport.ins = [NANO]
    player.look()
    transport.lit()
    player.look()
    assert transport.lit() == [(0x90, 37, 0)]


def test_what_was_pressed_before_the_start_is_forgotten(transport, controls):
    port = MidiPort(transport, "0")
    transport.arrive([0xB0, 7, 127])
    player = PortPlayer(port, MAP)
    player.join(controls)
    player.step()
    assert controls["vocals"] == 0.0


def test_a_port_that_was_away_is_taken_up_again_under_its_new_number(player, transport, controls, caplog):
    transport.arrive([0x90, 36, 1])
    player.step()
    assert controls["mute"] is True
    transport.ins, transport.outs = [], []
    with caplog.at_level(logging.WARNING):
        player.look()
    assert controls["mute"] is False  # nobody can let it go any more
    controls.set("bypass", True, "page")
    player.step()  # no lights, no fuss
    for _ in range(5):
        player.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"MIDI input {NANO} is gone (unplugged, or its program has ended); "
        "it is taken up again when it is back"
    ]
    transport.ins, transport.outs = ["other", NANO_LATER], [NANO_LATER]
    with caplog.at_level(logging.WARNING):
        player.look()
    assert transport.lit() == [(0x90, 37, 127)]
    assert f"MIDI input {NANO_LATER} is back" in caplog.text
    transport.arrive([0xB0, 7, 127], name=NANO_LATER)
    player.step()
    assert controls["vocals"] == 1.0


@pytest.mark.parametrize("wanted", ["nano", "virtual"])
def test_a_server_that_died_is_asked_again_until_it_is_back(transport, controls, wanted):
    player = PortPlayer(MidiPort(transport, wanted), MAP)
    losses = [0]
    player.join(controls, losses=lambda: losses[0])
    transport.dead = True
    losses[0] = 1
    for _ in range(3):
        player.look()
        player.step()
        assert not player.port.there
    assert all(each.closed for each in transport.inputs)
    transport.dead = False
    transport.lit()
    player.look()
    assert transport.lit() == [(0x90, 37, 0)]
    transport.arrive([0xB0, 7, 127], name=player.port.name)
    player.step()
    assert controls["vocals"] == 1.0
    player.look()
    assert player.port.there
    player.close()


def test_half_a_message_does_not_outlive_its_port(player, transport, controls):
    transport.arrive([0xB0, 7])
    player.step()
    transport.ins = []
    player.look()
    transport.ins = [NANO]
    player.look()
    transport.arrive([127])
    player.step()
    assert controls["vocals"] == 0.0


def test_a_port_that_fails_is_away_until_it_opens_again(player, transport, controls):
    transport.inputs[-1].fails = True
    transport.arrive([0xB0, 7, 127])
    player.step()
    assert not player.port.there
    player.step()
    player.look()
    assert player.port.there
    player.step()
    assert controls["vocals"] == 1.0


def test_an_output_that_fails_costs_the_lights_only(player, transport, controls, caplog):
    transport.outs = []
    controls.set("bypass", True, "page")
    with caplog.at_level(logging.WARNING):
        player.step()
    assert "its lights stay as they are" in caplog.text
    transport.arrive([0xB0, 7, 127])
    player.step()
    assert controls["vocals"] == 1.0


@pytest.mark.parametrize(
    "rubbish", [[], [0xB0], [0xB0, 7], [7, 7, 7], [0xFF] * 9, [0xF0, 1, 2], [300, -1], [None]]
)
def test_rubbish_does_no_harm(player, transport, controls, rubbish):
    before = controls.snapshot()
    transport.arrive(rubbish)
    player.step()
    assert controls.snapshot() == before
    transport.arrive([0xF7], [0xB0, 7, 127])
    player.step()
    assert controls["vocals"] == 1.0


def test_the_thread_does_it_by_itself_and_ends(transport, controls):
    player = PortPlayer(MidiPort(transport, "nano"), MAP)
    player.start(controls)
    transport.arrive([0xB0, 7, 127])
    until_s = time.monotonic() + 10
    while controls["vocals"] != 1.0 and time.monotonic() < until_s:
        time.sleep(0.005)
    player.close()
    assert controls["vocals"] == 1.0
    assert transport.inputs[-1].closed


def test_a_virtual_port_needs_no_other(controls):
    transport = FakeTransport([])
    player = PortPlayer(MidiPort(transport, "virtual"), MAP)
    player.join(controls)
    assert transport.lit() == [(0x90, 37, 0)]
    player.look()
    transport.arrive([0xB0, 7, 127], name="virtual")
    player.step()
    assert controls["vocals"] == 1.0


def test_the_companion_opens_all_or_none(controls):
    transport, settings = FakeTransport([NANO, "LPD8 0"]), Settings.load()
    both = MidiControl(["nano", "lpd8"], settings, transport=transport)
    assert str(both).splitlines() == [
        f"MIDI from {NANO}: 15 controls (map nanokontrol2), no lights",
        "MIDI from LPD8 0: 12 controls (map lpd8), no lights",
    ]
    both.start(SimpleNamespace(controls=controls, stats=lambda reader: SimpleNamespace(losses=0)))
    transport.arrive([0xC0, 2], name="LPD8 0")
    until_s = time.monotonic() + 10
    while controls["mode"] != "acapella" and time.monotonic() < until_s:
        time.sleep(0.005)
    both.close()
    assert controls["mode"] == "acapella"  # the third of the built-in presets
    with pytest.raises(ControlError):
        MidiControl(["nano", "none"], settings, transport=transport)
    assert all(opened.closed for opened in transport.inputs)


def test_bindings_that_cannot_be_are_refused_before_anything_opens():
    transport, settings = FakeTransport([NANO]), Settings.load()
    settings.update("midi", {"bindings": [{"parameter": "volume", "cc": 1}]})
    with pytest.raises(ControlError, match=r"\[midi\] binding 1: there is no parameter 'volume'"):
        MidiControl(["nano"], settings, transport=transport)
    assert transport.inputs == []


def test_the_list_names_both_directions():
    assert list_ports(FakeTransport(["a"], [])).splitlines() == [
        "MIDI inputs (fake)",
        "    0  a",
        "MIDI outputs (fake)",
        "  (no MIDI port was found)",
    ]


@pytest.mark.parametrize("arguments", [["--list-midi"], ["--midi", "nano"], ["--midi-learn", "vocals"]])
def test_without_rtmidi_one_sentence_says_how_to_get_it(arguments, capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "rtmidi":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "rtmidi", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    assert stream.live.main(arguments) == 2
    said = capsys.readouterr().err
    assert (
        said
        == "stream.live: MIDI needs the package python-rtmidi; install it with: pip install python-rtmidi\n"
    )


def test_a_map_without_a_port_is_refused(capsys):
    assert stream.live.main(["--midi-map", "lpd8"]) == 2
    assert "--midi-map needs --midi" in capsys.readouterr().err

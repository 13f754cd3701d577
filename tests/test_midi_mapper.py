"""Messages to moves: pick-up, 14 bits, buttons, programmes, lights; all by bytes, and none by a port."""

import logging

import pytest

from stream.control.controls import Controls
from stream.control.midi.bindings_toml import read_map
from stream.control.midi.lights import Lights
from stream.control.midi.mapper import Mapper
from stream.control.midi.messages import Decoder
from stream.control.parameters import ControlError


class Rig:
    """Bindings, and a hand that sends bytes."""

    def __init__(self, *bindings, **values):
        self.controls = Controls({"vocals": 0.5, "accompaniment": 1.0, **values})
        self.heard = []
        self.recalled = []
        self.controls.subscribe(lambda *change: self.heard.append(change))
        self.map = read_map({"bindings": list(bindings)})
        self.mapper = Mapper(
            self.map, self.controls, lambda preset, source: self.recalled.append((preset, source))
        )
        self._decoder = Decoder()

    def send(self, *data):
        return [self.mapper.handle(message) for message in self._decoder.feed(data)]

    def cc(self, *values, number=7):
        for value in values:
            self.send(0xB0, number, value)

    def press(self, number=36):
        self.send(0x90, number, 100)

    def release(self, number=36):
        self.send(0x80, number, 0)


KNOB = {"parameter": "vocals", "cc": 7}


def test_a_knob_does_nothing_until_it_meets_the_value():
    rig = Rig(KNOB)
    rig.cc(0, 10, 50)
    assert rig.controls["vocals"] == 0.5
    rig.cc(80)  # across it
    assert rig.controls["vocals"] == 80 / 127
    rig.cc(127, 3)  # and from then on wherever it goes
    assert rig.controls["vocals"] == 3 / 127
    assert {source for _, _, source in rig.heard} == {"midi"}


@pytest.mark.parametrize("first", [63, 64])
def test_a_knob_that_stands_at_the_value_has_it_at_once(first):
    rig = Rig(KNOB)
    rig.cc(first)
    assert rig.controls["vocals"] == first / 127


def test_the_first_message_alone_crosses_nothing():
    rig = Rig(KNOB)
    rig.cc(127)
    assert rig.controls["vocals"] == 0.5
    rig.cc(120, 110)
    assert rig.controls["vocals"] == 0.5


def test_somebody_elses_change_lets_the_knob_go():
    rig = Rig(KNOB)
    rig.cc(64, 100)
    rig.controls.set("vocals", 0.1, "page")
    rig.cc(101, 90)
    assert rig.controls["vocals"] == 0.1
    rig.cc(5)
    assert rig.controls["vocals"] == 5 / 127
    rig.controls.set("mode", "acapella", "keys")  # moves the level too
    rig.cc(8)
    assert rig.controls["vocals"] == 1.0


def test_a_knob_that_has_moved_away_is_not_at_its_old_place_any_more():
    rig = Rig(KNOB)
    rig.cc(64, 100)
    rig.controls.set("vocals", 0.1, "page")
    rig.cc(60)
    rig.controls.set("vocals", 100 / 127, "page")
    rig.cc(61)
    assert rig.controls["vocals"] == 100 / 127


def test_a_value_that_somebody_moves_across_the_knob_is_not_crossed_by_it():
    rig = Rig(KNOB)
    rig.cc(30)
    rig.controls.set("vocals", 0.1, "page")
    rig.cc(40)
    assert rig.controls["vocals"] == 0.1


def test_two_knobs_on_one_parameter_take_turns():
    rig = Rig(KNOB, {"parameter": "vocals", "cc": 8})
    rig.cc(64, 100)
    rig.cc(20, number=8)
    assert rig.controls["vocals"] == 100 / 127
    rig.cc(110, number=8)
    assert rig.controls["vocals"] == 110 / 127
    rig.cc(101)
    assert rig.controls["vocals"] == 110 / 127


def test_pick_up_can_be_left_out():
    rig = Rig({**KNOB, "pick_up": False})
    rig.cc(127)
    assert rig.controls["vocals"] == 1.0


def test_a_knob_over_choices_has_a_range_for_each():
    rig = Rig({"parameter": "steps", "cc": 7})
    rig.cc(127)
    assert rig.controls["steps"] == "auto"
    rig.cc(20)  # it meets auto
    rig.cc(30, 60)
    assert rig.controls["steps"] == "2"
    rig.cc(127)
    assert rig.controls["steps"] == "4"


def test_channels_are_told_apart_unless_left_out():
    rig = Rig({**KNOB, "channel": 2, "pick_up": False})
    assert rig.send(0xB0, 7, 127) == [False]
    assert rig.send(0xB1, 7, 127) == [True]
    assert rig.controls["vocals"] == 1.0


FINE = {"parameter": "vocals", "cc": 7, "bits": 14, "pick_up": False}


def test_14_bits_reach_both_ends_and_between():
    rig = Rig(FINE)
    for position in (0, 1, 8191, 8192, 16_382, 16_383):
        rig.send(0xB0, 7, position >> 7, 39, position & 127)
        assert rig.controls["vocals"] == pytest.approx(position / 16_383, abs=1e-12)


def test_a_14_bit_fader_that_moves_down_never_dips():
    rig = Rig(FINE)
    rig.send(0xB0, 7, 64, 39, 5)
    rig.heard.clear()
    for position in (8192 + 4, 8192, 8191, 8000, 7999):
        rig.send(0xB0, 7, position >> 7, 39, position & 127)
    values = [value for name, value, _ in rig.heard if name == "vocals"]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)


def test_the_coarse_half_alone_works_too():
    rig = Rig(FINE)
    rig.cc(0, 64, 127)
    assert rig.controls["vocals"] == 1.0
    rig.send(0xB0, 39, 0)  # the pair is known now
    rig.cc(100)
    assert rig.controls["vocals"] == pytest.approx(127 * 128 / 16_383)
    rig.cc(90)  # twice without its fine half: there is none
    assert rig.controls["vocals"] == 90 / 127


def test_the_fine_half_alone_is_nothing():
    rig = Rig(FINE)
    rig.send(0xB0, 39, 127)
    assert rig.controls["vocals"] == 0.5


@pytest.mark.parametrize("kind", ["note", "cc"])
def test_a_toggle_turns_at_every_press(kind):
    rig = Rig({"parameter": "bypass", kind: 36, "action": "toggle"})
    down, up = ((0x90, 36, 1), (0x80, 36, 64)) if kind == "note" else ((0xB0, 36, 127), (0xB0, 36, 0))
    states = []
    for _ in range(3):
        rig.send(*down)
        rig.send(*down)  # pressed is pressed
        rig.send(*up)
        states.append(rig.controls["bypass"])
    assert states == [True, False, True]


def test_a_held_pad_holds():
    rig = Rig({"parameter": "mute", "note": 36})
    rig.press()
    assert rig.controls["mute"] is True
    rig.release()
    assert rig.controls["mute"] is False
    rig.controls.set("mute", True, "page")
    rig.send(0x90, 36, 0)
    assert rig.controls["mute"] is False


def test_a_held_value_goes_back_to_what_was():
    rig = Rig({"parameter": "mode", "note": 36, "action": "hold", "value": "acapella"}, vocals=0.3)
    rig.press()
    assert rig.controls["mode"] == "acapella"
    rig.release()
    assert (rig.controls["vocals"], rig.controls["accompaniment"]) == (0.3, 1.0)
    rig.press()
    rig.controls.set("vocals", 0.7, "page")
    rig.release()
    assert rig.controls["vocals"] == 0.7  # the last hand wins


def test_a_toggled_value_goes_back_to_what_was():
    rig = Rig({"parameter": "vocals", "note": 36, "action": "toggle", "value": 1}, vocals=0.3)
    for expected in (1.0, 0.3, 1.0):
        rig.press()
        rig.release()
        assert rig.controls["vocals"] == expected


def test_triggers_and_values_are_set_when_pressed_only():
    rig = Rig({"parameter": "split", "note": 36}, {"parameter": "mode", "note": 37, "value": "mix"})
    rig.press()
    rig.release()
    rig.press(37)
    rig.release(37)
    assert rig.heard == [("split", True, "midi"), ("vocals", 1.0, "midi"), ("mode", "mix", "midi")]


def test_programmes_and_pads_recall_presets():
    rig = Rig({"preset": "intro", "note": 36}, {"preset": 3, "cc": 64})
    rig.send(0xC0, 5)
    rig.press()
    rig.release()
    rig.cc(127, 0, number=64)
    assert rig.recalled == [(5, "midi"), ("intro", "midi"), (3, "midi")]
    rig = Rig()
    quiet = Mapper(read_map({"programmes": False}), rig.controls, lambda *preset: rig.recalled.append(preset))
    assert quiet.handle(Decoder().feed([0xC0, 5])[0]) is False
    assert rig.recalled == []


def test_a_preset_that_is_not_there_is_said_and_survived(caplog):
    def recall(preset, source):
        raise ControlError(f"there is no preset {preset}")

    rig = Rig(KNOB)
    mapper = Mapper(rig.map, rig.controls, recall)
    with caplog.at_level(logging.WARNING):
        assert mapper.handle(Decoder().feed([0xC0, 99])[0])
    assert "there is no preset 99" in caplog.text


def test_what_was_held_is_let_go_with_the_port():
    rig = Rig({"parameter": "mute", "note": 36}, {"parameter": "bypass", "note": 37}, KNOB)
    rig.press()
    rig.press(37)
    rig.cc(64, 100)
    rig.mapper.let_go()
    assert rig.controls["mute"] is False
    assert rig.controls["bypass"] is True  # a toggle is not held
    rig.cc(20)
    assert rig.controls["vocals"] == 100 / 127  # who knows where the knob was meanwhile


def test_lights_follow_whoever_moves_and_say_nothing_twice():
    midi_map = read_map(
        {
            "bindings": [
                {"parameter": "bypass", "note": 1, "light": True},
                {"parameter": "mode", "cc": 2, "value": "mix", "light": {"channel": 7, "on": 21, "off": 3}},
                {"parameter": "vocals", "cc": 3, "channel": 4, "light": True},
                {"parameter": "gain", "cc": 4},
            ]
        }
    )
    lights, controls = Lights(midi_map), Controls({"mode": "karaoke"})
    show = lambda: [message.bytes for message in lights.show(controls.snapshot())]  # noqa: E731
    assert show() == [(0x90, 1, 0), (0xB6, 2, 3), (0xB3, 3, 0)]
    assert show() == []
    controls.apply({"mode": "mix", "bypass": True}, "page")
    assert show() == [(0x90, 1, 127), (0xB6, 2, 21), (0xB3, 3, 127)]
    controls.apply({"vocals": 0.5}, "page")
    assert [message.bytes for message in lights.show({"vocals": 0.5})] == [(0xB3, 3, 64)]
    lights.forget()
    assert len(show()) == 3
    assert [message.bytes for message in lights.dark()] == [(0x90, 1, 0), (0xB6, 2, 3)]

"""`--midi-learn`: what a gesture is, what comes of it, and what it leaves in the settings."""

from __future__ import annotations

import pytest
from midi_rig import FakeTransport

from stream.control.midi.bindings_toml import read_map
from stream.control.midi.companion import midi_learn
from stream.control.midi.controllers import MidiPort
from stream.control.midi.learn import Found, Lesson, Wish, bind, read_wish, recognise
from stream.control.midi.messages import Decoder
from stream.control.parameters import ControlError
from stream.control.settings import Settings


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("vocals", Wish("vocals")),
        (" mute = toggle ", Wish("mute", "toggle", True)),
        ("bypass=hold", Wish("bypass", "hold", True)),
        ("mode=acapella", Wish("mode", "set", "acapella")),
        ("steps=2", Wish("steps", "set", "2")),
        ("vocals=0.3", Wish("vocals", "set", 0.3)),
        ("split", Wish("split", "set", True)),
        ("preset=intro", Wish("preset", "set", "intro")),
        ("preset=3", Wish("preset", "set", 3)),
    ],
)
def test_wishes_are_read(text, wish):
    assert read_wish(text) == wish


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("volume", "no parameter 'volume'; there are vocals"),
        ("vocals=loud", "vocals is 'loud'"),
        ("vocals=2", "from 0 to 1"),
        ("vocals=hold", "needs the value that hold sets"),
        ("mode=custom", "cannot be set to custom"),
        ("preset", "which preset"),
        ("", "no parameter ''"),
    ],
)
def test_wishes_that_cannot_be_are_refused(text, words):
    with pytest.raises(ControlError, match=words.replace("(", r"\(")):
        read_wish(text)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ([0xB0, 7, 60, 7, 61, 7, 62], Found("cc", 7, 1, 7, False)),
        ([0xB2, 7, 64], Found("cc", 7, 3, 7, False)),
        ([0xB0, 48, 127, 48, 0], Found("cc", 48, 1, 7, True)),
        ([0x95, 36, 100, 0x85, 36, 0], Found("note", 36, 6, 7, True)),
        ([0xB0, 3, 64, 35, 12, 3, 65, 35, 90], Found("cc", 3, 1, 14, False)),
        ([0xB0, 3, 64, 35, 12, 35, 13, 35, 14], Found("cc", 3, 1, 14, False)),
        ([0x90, 104, 127, 0xB0, 7, 60, 7, 61, 0x90, 104, 0], Found("cc", 7, 1, 7, False)),
        ([0xB0, 9, 50, 7, 60, 7, 61, 7, 62], Found("cc", 7, 1, 7, False)),
        ([0xC0, 3], None),
        ([], None),
    ],
    ids=[
        "a knob",
        "a knob that moved by one",
        "a button that sends control changes",
        "a pad",
        "a 14-bit fader",
        "a 14-bit fader that moved a little",
        "a fader that feels the finger",
        "a neighbour that flickers",
        "a programme change",
        "nothing",
    ],
)
def test_a_control_is_known_by_its_messages(data, found):
    assert recognise(Decoder().feed(data)) == found


@pytest.mark.parametrize(
    ("wish", "found", "action"),
    [
        ("vocals", Found("cc", 3, 1, 14, False), "move"),
        ("mode", Found("cc", 3, 1, 7, False), "move"),
        ("mute", Found("note", 3, 1, 7, True), "hold"),
        ("mute=toggle", Found("note", 3, 1, 7, True), "toggle"),
        ("bypass", Found("cc", 3, 1, 7, True), "toggle"),
        ("bypass", Found("cc", 3, 1, 7, False), "hold"),
        ("vocals=1", Found("note", 3, 1, 7, True), "set"),
        ("split", Found("note", 3, 1, 7, True), "set"),
        ("preset=x", Found("cc", 3, 1, 7, True), "set"),
    ],
)
def test_the_control_decides_what_is_not_said(wish, found, action):
    binding = bind(read_wish(wish), found)
    assert binding.action == action
    assert binding.bits == found.bits
    assert (binding.light is not None) == (found.button and binding.target != "preset")


def test_a_level_cannot_hang_on_a_button():
    with pytest.raises(ControlError, match=r"CC 3 on channel 1 is a button or pad.*vocals=VALUE"):
        bind(read_wish("vocals"), Found("cc", 3, 1, 7, True))


class Student:
    """A lesson whose controller moves while it sleeps."""

    def __init__(self, *gestures, ports=("nano",)):
        self.transport = FakeTransport(ports)
        self.settings = Settings.load()
        self.said = []
        self._gestures = list(gestures)
        self._idle = 0
        self.ports = [MidiPort(self.transport, name) for name in ports]
        self.lesson = Lesson(self.ports, self.settings, self.said.append, self._sleep)

    def _sleep(self, seconds):
        self._idle += 1
        if self._idle % 1_000 == 1:  # long after the gesture before is over
            assert self._gestures, "still waiting"
            self.transport.arrive(*self._gestures.pop(0), name=self.transport.ins[-1])

    def bindings(self):
        return {each.control: each for each in read_map(self.settings.section("midi")).bindings}


def test_a_knob_is_learned_said_and_saved():
    student = Student([(0xB0, 7, 60), (0xB0, 7, 61)])
    student.lesson.learn("vocals")
    assert student.said == [
        "vocals: move its knob or fader, or press and let go its pad ...",
        f"learned: CC 7 on channel 1 for vocals; saved to {student.settings.path}",
    ]
    again = read_map(Settings.load(student.settings.path).section("midi"))
    assert [each.effect for each in again.bindings] == ["vocals"]


def test_what_moved_before_the_question_is_not_meant():
    student = Student([(0xB0, 7, 60), (0xB0, 7, 61)])
    student.transport.arrive(*([0xB0, 9, value] for value in range(50, 60)))
    student.lesson.learn("vocals")
    assert list(student.bindings()) == ["CC 7 on channel 1"]


def test_learning_again_replaces_and_the_rest_stays():
    student = Student(
        [(0xB0, 7, 60), (0xB0, 7, 61)],
        [(0x90, 36, 1), (0x80, 36, 1)],
        [(0xB0, 8, 60), (0xB0, 8, 61)],
        [(0xB0, 8, 60), (0xB0, 8, 61)],
    )
    student.settings.update("midi", {"map": "lpd8"})
    for wish in ("vocals", "mute", "vocals", "gain"):
        student.lesson.learn(wish)
    assert {name: each.effect for name, each in student.bindings().items()} == {
        "note 36 on channel 1": "mute (hold)",
        "CC 8 on channel 1": "gain",
    }
    assert "learned: CC 8 on channel 1 for vocals instead of CC 7 on channel 1 for vocals;" in student.said[5]
    assert "for gain instead of CC 8 on channel 1 for vocals;" in student.said[7]
    assert student.settings.section("midi")["map"] == "lpd8"


def test_what_does_not_fit_is_said_and_asked_again():
    student = Student([(0xC0, 4)], [(0x90, 36, 1), (0x80, 36, 1)], [(0xB0, 8, 60)])
    student.lesson.learn("vocals")
    assert "programme change" in student.said[1]
    assert "is a button or pad" in student.said[3]
    assert "learned: CC 8" in student.said[5]


def test_with_several_ports_a_binding_is_of_the_one_that_moved():
    student = Student([(0xB0, 7, 60), (0xB0, 7, 61)], ports=("nano 24:0", "LPD8 28:0"))
    student.lesson.learn("vocals")
    (binding,) = student.bindings().values()
    assert binding.port == "LPD8"
    assert binding.fits("LPD8 32:0")
    assert not binding.fits("nano 24:0")


def test_a_conversation_goes_on_after_a_mistake_and_ends_with_an_empty_line():
    student = Student([(0xB0, 7, 60), (0xB0, 7, 61)])
    answers = iter(["volume", "vocals", ""])
    student.lesson.converse(lambda prompt: next(answers))
    assert "there is no parameter 'volume'" in student.said[0]
    assert "learned" in student.said[-1]

    def end(prompt):
        raise EOFError

    student.lesson.converse(end)


def test_ctrl_c_keeps_what_is_learned_and_closes_the_ports(capsys):
    transport, settings = FakeTransport(["nano"]), Settings.load()
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 1:
            transport.arrive([0xB0, 7, 60], [0xB0, 7, 61])
        if len(sleeps) > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        midi_learn(["nano"], ["vocals", "gain"], settings, transport=transport, sleep=sleep)
    assert [each["parameter"] for each in settings.section("midi")["bindings"]] == ["vocals"]
    assert transport.inputs[-1].closed
    assert "learned: CC 7" in capsys.readouterr().out


def test_learning_needs_to_know_the_controller():
    with pytest.raises(ControlError, match="--midi-learn needs the controller: give --midi\n    0  nano"):
        midi_learn([], ["vocals"], Settings.load(), transport=FakeTransport(["nano"]))

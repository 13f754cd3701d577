"""Maps as TOML: what is refused and how, what reads back, and what the ready-made ones hold."""

import pytest
import tomlkit

from stream.control.midi.bindings import Binding, Light, MidiMap
from stream.control.midi.bindings_toml import binding_table, read_binding, read_map
from stream.control.midi.maps_of_ports import load_map, map_for, ready_made
from stream.control.midi.messages import Message
from stream.control.parameters import ControlError


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"parameter": "vocals"}, "either cc or note"),
        ({"parameter": "vocals", "cc": 1, "note": 1}, "either cc or note"),
        ({"cc": 1}, "either parameter or preset"),
        ({"parameter": "vocals", "preset": "a", "cc": 1}, "either parameter or preset"),
        ({"parameter": "volume", "cc": 1}, "no parameter 'volume'; there are vocals"),
        ({"parameter": "vocals", "cc": 128}, "cc is 128; it must be a whole number from 0 to 127"),
        ({"parameter": "vocals", "cc": True}, "cc is True"),
        ({"parameter": "vocals", "cc": "7"}, "cc is '7'"),
        (
            {"parameter": "vocals", "cc": 1, "channel": 0},
            "channel is 0; it must be a whole number from 1 to 16",
        ),
        ({"parameter": "vocals", "cc": 32, "bits": 14}, "14 of a CC from 0 to 31"),
        ({"parameter": "vocals", "note": 3, "bits": 14}, "14 of a CC from 0 to 31"),
        ({"parameter": "vocals", "cc": 1, "bits": 8}, "bits is 7, or 14"),
        ({"parameter": "vocals", "cc": 1, "action": "wiggle"}, "one of move, toggle, hold, set"),
        ({"parameter": "vocals", "cc": 1, "action": "hold"}, "vocals needs the value that hold sets"),
        ({"parameter": "vocals", "cc": 1, "value": 2}, "from 0 to 1"),
        ({"parameter": "vocals", "cc": 1, "action": "move", "value": 1}, "cannot be moved to a value"),
        ({"parameter": "mode", "cc": 1, "value": "custom"}, "cannot be set to custom"),
        ({"parameter": "split", "cc": 1, "action": "toggle"}, "split happens once"),
        ({"parameter": "split", "cc": 1, "action": "move"}, "split cannot be moved"),
        ({"preset": "", "cc": 1}, "preset is a name, or a number"),
        ({"preset": True, "cc": 1}, "preset is a name, or a number"),
        ({"parameter": "mute", "cc": 1, "pick_up": 1}, "pick_up is 1; it must be true or false"),
        ({"parameter": "mute", "cc": 1, "light": 3}, "light is true, false, or"),
        ({"parameter": "mute", "cc": 1, "light": {"on": 200}}, "light: on is 200"),
        ({"parameter": "mute", "cc": 1, "colour": 3}, "there is no colour; there are action, bits"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(table, words):
    with pytest.raises(ControlError, match=r"^\[midi\] binding 2") as refusal:
        read_map({"bindings": [{"parameter": "vocals", "cc": 0}, table]})
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "table", [{"bindings": 3}, {"bindings": [3]}, {"bindngs": []}, {"programmes": "yes"}]
)
def test_a_map_that_is_none_is_refused(table):
    with pytest.raises(ControlError, match=r"^\[midi\]"):
        read_map(table)


@pytest.mark.parametrize(
    ("table", "action", "value"),
    [
        ({"parameter": "vocals", "cc": 1}, "move", None),
        ({"parameter": "steps", "cc": 1}, "move", None),
        ({"parameter": "vocals", "note": 1, "value": 0.3}, "set", 0.3),
        ({"parameter": "mode", "note": 1, "value": "mix"}, "set", "mix"),
        ({"parameter": "bypass", "note": 1}, "toggle", True),
        ({"parameter": "bypass", "cc": 1}, "toggle", True),
        ({"parameter": "mute", "note": 1}, "hold", True),
        ({"parameter": "split", "note": 1}, "set", True),
        ({"preset": 2, "note": 1}, "set", 2),
        ({"preset": "intro", "cc": 1}, "set", "intro"),
    ],
)
def test_the_action_is_the_likely_one(table, action, value):
    binding = read_binding(table)
    assert (binding.action, binding.value) == (action, value)


@pytest.mark.parametrize(
    "binding",
    [
        Binding(target="vocals", kind="cc", number=7),
        Binding(target="vocals", kind="cc", number=7, channel=3, bits=14, pick_up=False, port="LPD8"),
        Binding(target="vocals", kind="cc", number=7, label="fader 1"),
        Binding(target="gain", kind="cc", number=7, light=Light(kind="cc", number=7, channel=1)),
        Binding(target="mute", kind="note", number=7, action="toggle", value=True),
        Binding(target="mute", kind="note", number=7, action="hold", value=False),
        Binding(target="mode", kind="note", number=7, action="toggle", value="mix"),
        Binding(target="preset", kind="note", number=7, action="set", value="intro"),
        Binding(target="preset", kind="cc", number=7, channel=2, action="set", value=0),
        Binding(target="split", kind="cc", number=7, action="set", value=True),
    ],
    ids=lambda binding: binding.effect,
)
def test_a_binding_reads_back_from_its_table(binding):
    text = tomlkit.dumps({"midi": {"bindings": [binding_table(binding)]}})
    assert read_map(tomlkit.parse(text).unwrap()["midi"]).bindings == (binding,)


@pytest.mark.parametrize("name", ready_made())
def test_a_ready_made_map_has_each_control_once_and_the_things_a_night_needs(name):
    made = load_map(name)
    controls = [(binding.kind, binding.number) for binding in made.bindings]
    assert len(set(controls)) == len(controls)
    assert {"vocals", "accompaniment", "gain", "mute", "bypass", "mode"} <= {
        each.target for each in made.bindings
    }


@pytest.mark.parametrize(
    ("port", "name"),
    [
        ("nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0", "nanokontrol2"),
        ("nanoKONTROL2 SLIDER/KNOB", "nanokontrol2"),
        ("LPD8 0", "lpd8"),
        ("APC mini mk2 Control", "apc-mini-mk2"),
        ("APC MINI", "generic"),
        ("virtual", "generic"),
    ],
)
def test_a_port_gets_the_map_that_is_made_for_it(port, name):
    assert map_for(port, MidiMap(), None) == load_map(name).over(MidiMap())
    assert map_for(port, MidiMap(), "lpd8").name == "lpd8"


def test_own_bindings_go_before_those_of_the_map():
    own = read_map(
        {
            "bindings": [
                {"parameter": "gain", "cc": 0},
                {"parameter": "bypass", "cc": 1, "port": "LPD8"},
                {"parameter": "bypass", "note": 99},
            ]
        }
    )
    joined = map_for("nanoKONTROL2 1", own, None)
    effects = {binding.control: binding.effect for binding in joined.bindings}
    assert effects["CC 0"] == "gain"
    assert effects["CC 1"] == "accompaniment"
    assert effects["note 99"] == "bypass (toggle)"
    assert len(joined.bindings) == len(load_map("nanokontrol2").bindings) + 1
    assert [each.target for each in map_for("other", own, None).bindings] == ["gain", "bypass"]
    assert map_for("other", MidiMap(chosen="lpd8"), None).name == "lpd8"


def test_an_own_file_is_a_map_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[bindings]]\nparameter = "vocals"\ncc = 3\nbits = 14\n')
    (binding,) = load_map(str(path)).bindings
    assert binding.control == "CC 3 (14 bit)"
    assert binding.hears(Message("cc", 5, 35, 0))
    assert not binding.hears(Message("note", 5, 35, 0))


def test_maps_that_cannot_be_had_are_refused(tmp_path):
    with pytest.raises(
        ControlError, match="no MIDI map 'mackie'; there are apc-mini-mk2, generic, lpd8, nano"
    ):
        load_map("mackie")
    with pytest.raises(ControlError, match="cannot be read"):
        load_map(str(tmp_path / "no.toml"))
    path = tmp_path / "bad.toml"
    path.write_text("[[bindings]\n")
    with pytest.raises(ControlError, match="is not TOML"):
        load_map(str(path))
    path.write_text("[[bindings]]\ncc = 1\n")
    with pytest.raises(ControlError, match=r"bad.toml binding 1 needs either parameter or preset"):
        load_map(str(path))


def test_the_page_shows_every_map_as_it_is():
    """After a change: python tests/midi_page.py"""
    import midi_page

    text = midi_page.PAGE.read_text(encoding="utf-8")
    assert sorted(name for _, name, _ in midi_page.BLOCK.findall(text)) == ready_made()
    assert midi_page.page(text) == text

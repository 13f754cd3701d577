"""Presets are recalled and kept; a session begins where the last one ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import stream.live
from stream.control.controls import Controls
from stream.control.memory import Memory, starting_values
from stream.control.parameters import ControlError
from stream.control.presets import BUILT_IN, Presets
from stream.control.settings import Settings
from stream.session import LiveOptions

PATIENCE_S = 20.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tmp_path / "settings.toml")


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def presets(controls: Controls, settings: Settings) -> Presets:
    return Presets(controls, settings)


def test_some_are_there_from_the_start(presets, controls):
    assert presets.names() == ["karaoke", "guide", "acapella", "mix"]
    controls.set("gain", -6.0)
    assert presets.recall("Guide", "key") == "guide"
    assert (controls["vocals"], controls["accompaniment"], controls["gain"]) == (0.3, 1.0, -6.0)
    presets.recall(2, "midi")
    assert controls["mode"] == "acapella"


def test_what_is_saved_is_recalled_by_all_who_come_after(presets, controls, settings):
    controls.apply({"vocals": 0.4, "gain": 3.0, "steps": "2", "mute": True, "record": True})
    assert presets.save(" second set ")
    assert presets.names() == [*BUILT_IN, "second set"]
    later = Controls()
    Presets(later, Settings.load(settings.path)).recall(4, "midi")
    now = later.snapshot()
    assert (now["vocals"], now["gain"], now["steps"]) == (0.4, 3.0, "2")
    assert (now["mute"], now["record"]) == (False, False)


def test_saving_again_keeps_the_place(presets, controls):
    controls.set("vocals", 0.7)
    presets.save("guide")
    assert presets.names() == list(BUILT_IN)
    controls.set("vocals", 0.0)
    presets.recall(1, "key")
    assert controls["vocals"] == 0.7


def test_saving_over_one_written_by_hand_leaves_nothing_of_it(controls, tmp_path):
    (tmp_path / "hand.toml").write_text('[presets.party]\nmode = "mix"\nbypass = true\n')
    presets = Presets(controls, Settings.load(tmp_path / "hand.toml"))
    presets.recall("party", "key")
    assert (controls["mode"], controls["bypass"]) == ("mix", True)
    controls.apply({"vocals": 0.2, "bypass": False})
    presets.save("party")
    presets.recall("party", "key")
    assert (controls["vocals"], controls["bypass"]) == (0.2, False)


def test_deleting_moves_the_others_up(presets):
    presets.delete("GUIDE")
    assert presets.names() == ["karaoke", "acapella", "mix"]
    with pytest.raises(ControlError, match="no preset 'guide'; there are karaoke, acapella, mix"):
        presets.delete("guide")


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_that_is_not_there_is_refused(presets, controls, number):
    before = controls.snapshot()
    with pytest.raises(ControlError, match=f"no preset number {number}; 0 to 3 are karaoke, guide"):
        presets.recall(number, "midi")
    assert controls.snapshot() == before


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a\nb"])
def test_a_name_must_be_one(presets, name):
    with pytest.raises(ControlError, match="1 to 40 characters"):
        presets.save(name)


def test_there_are_no_more_than_midi_can_name(presets, settings):
    settings.update("presets", {f"p{n}": {"gain": 0.0} for n in range(128)})
    with pytest.raises(ControlError, match="128 presets already"):
        presets.save("one more")
    presets.save("p7")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("party = 3", "preset party is 3; it must name parameters: vocals"),
        ("party = { volume = 1 }", "it must name parameters"),
        ("party = { vocals = 7 }", "preset party: vocals is 7; it must be from 0 to 1"),
    ],
)
def test_a_mistake_in_a_preset_is_said_and_changes_nothing(controls, tmp_path, line, words):
    (tmp_path / "hand.toml").write_text(f"[presets]\n{line}\n")
    settings = Settings.load(tmp_path / "hand.toml")
    presets = Presets(controls, settings)
    before = controls.snapshot()
    with pytest.raises(ControlError, match=words):
        presets.recall("party", "key")
    with pytest.raises(ControlError, match=words):
        starting_values(settings, "party")
    assert presets.current() is None
    assert controls.snapshot() == before


def test_the_present_one_is_known_by_what_plays(presets, controls):
    assert presets.current() == "karaoke"
    controls.set("vocals", 0.3)
    assert presets.current() == "guide"
    controls.set("vocals", 0.31)
    assert presets.current() is None


def until(condition) -> None:
    latest_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < latest_s
        time.sleep(0.002)


def test_what_is_moved_is_remembered_without_an_end(controls, settings):
    memory = Memory(settings, quiet_s=0.01, most_s=0.05)
    memory.watch(controls)
    try:
        controls.apply({"vocals": 0.4, "gain": -3.0, "mute": True, "bypass": True, "record": True})
        until(lambda: Settings.load(settings.path).section("last"))
        assert Settings.load(settings.path).section("last") == {
            "vocals": 0.4,
            "accompaniment": 1.0,
            "gain": -3.0,
            "steps": "auto",
        }
        controls.set("gain", -4.0)
        until(lambda: Settings.load(settings.path).section("last")["gain"] == -4.0)
    finally:
        memory.close()


def test_a_fader_on_its_way_does_not_write_at_every_step(controls, settings, monkeypatch):
    written = []
    monkeypatch.setattr(settings, "update", lambda *change: written.append(change))
    memory = Memory(settings, quiet_s=3_600.0, most_s=3_600.0)
    memory.watch(controls)
    for step in range(100):
        controls.set("vocals", step / 100)
    assert written == []
    memory.close()
    assert [values["vocals"] for _, values in written] == [0.99]


def test_a_hand_that_never_rests_is_written_all_the_same(controls, settings):
    memory = Memory(settings, quiet_s=0.02, most_s=0.1)
    memory.watch(controls)
    try:
        steps = iter(range(10**9))
        until(lambda: controls.set("gain", next(steps) % 12) or settings.path.exists())
    finally:
        memory.close()


def test_a_session_that_nobody_touched_leaves_no_file(controls, settings):
    memory = Memory(settings)
    memory.watch(controls)
    controls.set("mute", True)
    memory.close()
    Memory(settings).close()
    assert not settings.path.exists()


def test_levels_without_a_model_are_not_remembered(controls, settings):
    memory = Memory(settings)
    memory.start(SimpleNamespace(without_model=True, controls=controls))
    controls.set("vocals", 0.5)
    memory.close()
    assert not settings.path.exists()


@pytest.mark.parametrize(
    ("preset", "given", "heard"),
    [
        (None, {}, (0.4, 0.9)),
        (None, {"vocals": 0.2}, (0.2, 0.9)),
        (None, {"mode": "karaoke"}, (0.0, 1.0)),
        (None, {"mode": "acapella", "accompaniment": 0.1}, (1.0, 0.1)),
        ("guide", {}, (0.3, 1.0)),
        ("guide", {"accompaniment": 0.5}, (0.3, 0.5)),
        ("guide", {"mode": "mix"}, (1.0, 1.0)),
    ],
)
def test_a_session_begins_where_the_last_ended_unless_told_otherwise(settings, preset, given, heard):
    settings.update("last", {"vocals": 0.4, "accompaniment": 0.9, "steps": "2", "mute": True})
    options = LiveOptions(**given, start=starting_values(settings, preset))
    controls = Controls(options.controls("karaoke"))
    assert controls.levels() == heard
    assert controls["steps"] == "2"
    assert controls["mute"] is False


def test_a_preset_that_names_a_mode_goes_before_older_levels(tmp_path):
    (tmp_path / "hand.toml").write_text('[last]\nvocals = 0.4\n[presets.voice]\nmode = "acapella"\n')
    values = starting_values(Settings.load(tmp_path / "hand.toml"), "voice")
    assert Controls(LiveOptions(start=values).controls("karaoke")).levels() == (1.0, 0.0)


@pytest.mark.parametrize(("steps", "shown"), [(None, "4"), (2, "2")])
def test_steps_given_go_before_those_of_last_time(steps, shown):
    assert Controls(LiveOptions(steps=steps, start={"steps": "4"}).controls("mix"))["steps"] == shown


def test_what_cannot_be_remembered_is_said_and_left_out(settings, caplog):
    settings.update("last", {"vocals": 9, "gain": -3.0})
    assert starting_values(settings) == {"gain": -3.0}
    assert "vocals is 9" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "opera"], "there is no preset 'opera'; there are karaoke, guide, acapella, mix"),
        (["--config", "."], "a folder; give the name of a file"),
    ],
)
def test_the_command_refuses_in_one_sentence(arguments, words, capsys):
    assert stream.live.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("stream.live: ")
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_killed_program_has_kept_what_was_settled(tmp_path):
    """A crash loses seconds: what was moved before that is in the file."""
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from stream.control.controls import Controls; from stream.control.memory import Memory\n"
        "from stream.control.settings import Settings\n"
        "settings = Settings.load(Path(sys.argv[1])); controls = Controls()\n"
        "Memory(settings, quiet_s=0.01).watch(controls); controls.set('vocals', 0.6)\n"
        "while not settings.path.exists(): time.sleep(0.01)\n"
        "os._exit(9)\n"
    )
    path = tmp_path / "settings.toml"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, timeout=60)
    assert done.returncode == 9
    assert starting_values(Settings.load(path))["vocals"] == 0.6

"""The file of settings: never harmed, by nobody's mistake."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from stream.control import settings as module
from stream.control.parameters import ControlError
from stream.control.settings import Settings

BY_HAND = """\
# for the tour
[midi]
port = "Launch"  # the old one

[presets.'After "midnight"']
vocals = 0.25
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "settings.toml"


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(BY_HAND, encoding="utf-8")
    return path


def leftovers(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir() if one not in (path, Path(f"{path}.lock")))


def test_what_is_written_is_read_again(path: Path):
    settings = Settings.load(path)
    assert settings.section("midi") == {}
    assert settings.update("midi", {"port": "Launch", "map": {"cc 7": {"to": "vocals"}}, "list": [1, 2]})
    assert Settings.load(path).section("midi") == settings.section("midi")
    assert settings.section("midi") == {"port": "Launch", "map": {"cc 7": {"to": "vocals"}}, "list": [1, 2]}
    assert leftovers(path) == []


def test_changes_go_deep_and_none_deletes(by_hand: Path):
    settings = Settings.load(by_hand)
    settings.update("midi", {"api": {"linux": "jack", "mac": "core"}, "port": None})
    settings.update("midi", {"api": {"mac": None}})
    assert settings.section("midi") == Settings.load(by_hand).section("midi") == {"api": {"linux": "jack"}}


def test_what_a_section_gives_is_a_copy(by_hand: Path):
    settings = Settings.load(by_hand)
    settings.section("presets")['After "midnight"']["vocals"] = 1
    assert settings.section("presets") == {'After "midnight"': {"vocals": 0.25}}


def test_comments_and_other_sections_stay(by_hand: Path):
    Settings.load(by_hand).update("midi", {"port": "Fader"})
    assert by_hand.read_text(encoding="utf-8") == BY_HAND.replace('"Launch"', '"Fader"')


def test_what_another_session_wrote_stays(path: Path):
    one, other = Settings.load(path), Settings.load(path)
    one.update("presets", {"loud": {"gain": 6.0}})
    other.update("last", {"vocals": 0.5})
    one.update("presets", {"soft": {"gain": -6.0}})
    other.update("presets", {"loud": {"gain": 9.0}})
    one.update("presets", {"soft": {"gain": -9.0}})
    both = Settings.load(path)
    assert both.section("presets")["loud"] == {"gain": 9.0}
    assert list(both.section("presets")) == ["loud", "soft"]
    assert both.section("last") == {"vocals": 0.5}


def test_many_writers_at_once_lose_nothing(path: Path):
    def write(which: int) -> None:
        settings = Settings.load(path)
        for n in range(5):
            assert settings.update(f"writer {which}", {f"n{n}": n})

    threads = [threading.Thread(target=write, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Settings.load(path)
    assert [len(whole.section(f"writer {which}")) for which in range(4)] == [5] * 4
    assert leftovers(path) == []


@pytest.mark.parametrize(
    "content",
    [b"[midi\nport=", b"\xff\xfe[midi]", b"vocals = 3", b"[a]\n[a]", b"x = " + b"[" * 5_000],
    ids=["no TOML", "no text", "no section", "twice", "deep"],
)
def test_a_broken_file_is_set_aside_and_said(path: Path, content: bytes, caplog):
    path.parent.mkdir(parents=True)
    for number in (1, 2):
        path.write_bytes(content)
        settings = Settings.load(path)
        aside = path.with_name(f"settings.toml.broken-{number}")
        assert aside.read_bytes() == content
        assert aside.name in caplog.text
        assert settings.section("midi") == {}
        assert settings.update("midi", {"port": "x"})


def test_a_file_broken_while_playing_takes_nothing_along(by_hand: Path, caplog):
    settings = Settings.load(by_hand)
    by_hand.write_text("[presets", encoding="utf-8")
    settings.update("midi", {"port": "Fader"})
    assert by_hand.with_name("settings.toml.broken-1").read_text(encoding="utf-8") == "[presets"
    assert Settings.load(by_hand).section("presets") == {'After "midnight"': {"vocals": 0.25}}
    assert "cannot be understood" in caplog.text


def test_where_nothing_can_be_written_it_is_said_once(tmp_path: Path, caplog):
    (tmp_path / "file").touch()
    settings = Settings.load(tmp_path / "file" / "settings.toml")  # a file is no folder, for root neither
    for n in range(3):
        assert not settings.update("last", {"vocals": n})
    assert settings.section("last") == {"vocals": 2}
    assert len(caplog.records) == 1
    assert "presets and levels are not kept" in caplog.text


def test_what_could_not_be_written_goes_with_the_next(path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings.load(path)
    with monkeypatch.context() as broken:
        broken.setattr(module, "_replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
        assert not settings.update("presets", {"loud": {"gain": 6.0}})
    assert settings.update("last", {"vocals": 0.5})
    assert Settings.load(path).section("presets") == {"loud": {"gain": 6.0}}


def test_a_write_that_fails_leaves_the_old_file(by_hand: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings.load(by_hand)
    with monkeypatch.context() as full:
        full.setattr(module.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
        assert not settings.update("midi", {"port": "Fader"})
        assert by_hand.read_text(encoding="utf-8") == BY_HAND
        assert leftovers(by_hand) == []
    assert settings.update("midi", {"port": None})
    assert "port" not in by_hand.read_text(encoding="utf-8")


def test_what_a_person_edits_meanwhile_stays(by_hand: Path):
    settings = Settings.load(by_hand)
    for number in range(3):
        settings.update("last", {"gain": float(number)})
        edited = by_hand.read_text(encoding="utf-8") + f"\n[edit{number}]  # by hand\nn = {number}\n"
        by_hand.write_text(edited, encoding="utf-8")
    settings.update("last", {"gain": 9.0})
    assert by_hand.read_text(encoding="utf-8").count("# by hand") == 3
    assert [settings.section(f"edit{number}") for number in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_an_editing_mistake_costs_comments_but_no_settings(by_hand: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings.load(by_hand)
    dumps = module.tomlkit.dumps
    wrong = iter(['[midi]\nport = "lost"\n'])
    monkeypatch.setattr(module.tomlkit, "dumps", lambda what: next(wrong, None) or dumps(what))
    assert settings.update("last", {"gain": 1.0})
    again = Settings.load(by_hand)
    assert again.section("midi") == {"port": "Launch"}
    assert again.section("last") == {"gain": 1.0}
    assert settings.update("last", {"gain": 2.0})
    assert Settings.load(by_hand).section("midi") == {"port": "Launch"}


def test_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(ControlError, match="a folder; give the name of a file"):
        Settings.load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="devices and links are otherwise there")
def test_a_device_is_not_replaced_and_a_link_stays_one(by_hand: Path, tmp_path: Path):
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    assert not Settings.load(device).update("midi", {"port": "x"})
    assert Path("/dev/null").is_char_device()

    link = tmp_path / "link.toml"
    link.symlink_to(by_hand)
    by_hand.chmod(0o640)
    assert Settings.load(link).update("midi", {"port": "Fader"})
    assert link.is_symlink()
    assert "Fader" in by_hand.read_text(encoding="utf-8")
    assert by_hand.stat().st_mode & 0o777 == 0o640


def test_the_place_is_the_user_s_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert Settings.load().path == (tmp_path / "config" / "settings.toml").resolve()
    monkeypatch.delenv("DIFFVS_CONFIG")
    assert module.default_path().parts[-1] == "settings.toml"
    assert "diffvs" in str(module.default_path())

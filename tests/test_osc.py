"""OSC over the loopback: what is said is done, what is wrong is ignored and counted, others hear of it."""

from __future__ import annotations

import logging
import random
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import stream.live
from stream.control import osc as module
from stream.control.controls import Controls
from stream.control.osc import Osc
from stream.control.parameters import PARAMETERS, ControlError
from stream.control.settings import Settings

builder = pytest.importorskip("pythonosc.osc_message_builder")
bundles = pytest.importorskip("pythonosc.osc_bundle_builder")
parsed = pytest.importorskip("pythonosc.osc_message")
PATIENCE_S = 20.0


def message(address: str, *values):
    return builder.build_msg(address, list(values))


class Surface:
    """A control surface: it sends, and keeps what comes back."""

    def __init__(self, osc: Osc):
        self._to = osc.address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE_S)
        self.port = self.socket.getsockname()[1]

    def send(self, address: str, *values) -> None:
        self.raw(message(address, *values).dgram)

    def raw(self, packet: bytes) -> None:
        self.socket.sendto(packet, self._to)

    def hear(self) -> tuple:
        answer = parsed.OscMessage(self.socket.recv(65_536))
        return (answer.address, *answer.params)

    def heard_until(self, last: tuple) -> list[tuple]:
        heard = [self.hear()]
        while heard[-1] != last:
            heard.append(self.hear())
        return heard

    def ask(self, name: str):
        self.send(f"/diffvs/{name}")
        return self.heard_until_address(f"/diffvs/{name}")

    def heard_until_address(self, address: str):
        while (answer := self.hear())[0] != address:
            pass
        return answer[1]


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def osc(controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LOOK_UP_S", 0.01)
    osc = Osc("0", Settings.load(tmp_path / "settings.toml"))
    osc.open(controls)
    yield osc
    osc.close()


@pytest.fixture
def surface(osc: Osc):
    surface = Surface(osc)
    yield surface
    surface.socket.close()


@pytest.fixture
def other(osc: Osc):
    surface = Surface(osc)
    yield surface
    surface.socket.close()


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("vocals", 0.3, 0.3),  # as a float of 24 bits
        ("accompaniment", 0, 0.0),
        ("mute", 1, True),
        ("mute", True, True),
        ("bypass", 1.0, True),
        ("mode", "acapella", "acapella"),
        ("gain", -6, -6.0),
        ("steps", "auto", "auto"),
        ("steps", 2.0, "2"),
        ("record", 1, True),
    ],
)
def test_every_kind_of_parameter_can_be_set(surface, controls, name, said, value):
    surface.send(f"/diffvs/{name}", said)
    surface.ask("gain")  # answers come in order
    assert controls[name] == value


def test_every_parameter_answers(surface):
    for name, one in PARAMETERS.items():
        if one.kind != "trigger":
            assert surface.ask(name) == one.default, name


def test_a_trigger_needs_no_value(surface, controls):
    heard = []
    controls.subscribe(lambda name, value, source: heard.append((name, value)))
    surface.send("/diffvs/split")
    surface.send("/diffvs/split", 1)
    surface.send("/diffvs/split", 0)  # the pad is let go
    surface.ask("gain")
    assert heard == [("split", True), ("split", True)]


def test_presets_by_name_and_number(surface, controls):
    surface.send("/diffvs/preset", "guide")
    assert surface.ask("vocals") == pytest.approx(0.3)
    surface.send("/diffvs/preset", 2)
    assert surface.ask("mode") == "acapella"


def test_a_bundle_is_done_at_once_though_it_asks_for_later(surface, controls):
    bundle = bundles.OscBundleBuilder(time.time() + 3_600)
    for name, value in (("vocals", 0.5), ("gain", 3.0)):
        bundle.add_content(message(f"/diffvs/{name}", value))
    surface.raw(bundle.build().dgram)
    assert surface.ask("vocals") == 0.5
    assert controls["gain"] == 3.0


def test_a_subscriber_gets_all_now_and_then_each_change(surface, controls):
    surface.send("/diffvs/subscribe")
    now = {surface.hear()[0] for one in PARAMETERS.values() if one.kind != "trigger"}
    assert now == {f"/diffvs/{name}" for name, one in PARAMETERS.items() if one.kind != "trigger"}
    controls.set("vocals", 0.5, "midi")
    assert [surface.hear(), surface.hear()] == [("/diffvs/vocals", 0.5), ("/diffvs/mode", "custom")]
    controls.set("mute", True, "key")
    assert surface.hear() == ("/diffvs/mute", 1)


def test_answers_go_to_another_port_where_that_is_asked_for(surface, other):
    surface.send("/diffvs/subscribe", other.port)
    assert other.heard_until_address("/diffvs/record") == 0


def test_who_moves_a_fader_hears_what_follows_but_not_itself(surface, other, controls):
    for one in (surface, other):
        one.send("/diffvs/subscribe")
        one.heard_until(("/diffvs/record", 0))
    surface.send("/diffvs/mode", "acapella")
    levels = [("/diffvs/vocals", 1.0), ("/diffvs/accompaniment", 0.0)]
    mode, last = ("/diffvs/mode", "acapella"), ("/diffvs/gain", 1.0)
    assert other.heard_until(mode) == [*levels, mode]
    controls.set("gain", 1.0, "key")
    assert surface.heard_until(last) == [*levels, last]
    assert other.heard_until(last) == [last]


def test_after_unsubscribing_nothing_comes(surface, controls):
    surface.send("/diffvs/subscribe")
    surface.heard_until(("/diffvs/record", 0))
    surface.send("/diffvs/unsubscribe")
    assert surface.ask("gain") == 0.0
    controls.set("gain", 5.0, "key")
    assert surface.ask("mute") == 0  # not the gain


def test_a_subscription_lapses_unless_its_owner_speaks(osc, surface, other, controls, monkeypatch):
    for one in (surface, other):
        one.send("/diffvs/subscribe")
        one.heard_until(("/diffvs/record", 0))
    now_s = time.monotonic()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s + 40))
    surface.ask("gain")
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s + 80))
    controls.set("gain", 5.0, "key")
    controls.set("gain", 6.0, "key")
    surface.heard_until(("/diffvs/gain", 6.0))
    assert list(osc._subscribers) == [("127.0.0.1", surface.port)]


def test_the_oldest_of_too_many_gives_way(osc, surface):
    for port in range(20_000, 20_000 + module.MOST_SUBSCRIBERS + 3):
        surface.send("/diffvs/subscribe", port)
    surface.ask("gain")
    assert len(osc._subscribers) == module.MOST_SUBSCRIBERS
    assert min(port for _, port in osc._subscribers) == 20_003


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (message("/diffvs/vocals", 7.0).dgram, "vocals is 7; it must be from 0 to 1"),
        (message("/diffvs/vocals", float("nan")).dgram, "vocals is nan"),
        (message("/diffvs/vocals", "loud").dgram, "vocals is 'loud'"),
        (message("/diffvs/vocals", b"\0\0\0\1").dgram, "vocals is b"),
        (message("/diffvs/vocals", 0.1, 0.2).dgram, "2 values; one is enough"),
        (message("/diffvs/volume", 1.0).dgram, "no parameter 'volume'"),
        (message("/diffvs/volume").dgram, "no parameter 'volume'"),
        (message("/vocals", 1.0).dgram, "addresses begin with /diffvs/"),
        (message("/diffvs/preset", "opera").dgram, "no preset 'opera'"),
        (message("/diffvs/preset", True).dgram, "a preset's name, or its number"),
        (message("/diffvs/preset").dgram, "a preset's name, or its number"),
        (message("/diffvs/subscribe", 70_000).dgram, "70000 is no port"),
        (b"hello", "not OSC"),
        (b"", "not OSC"),
        (b"#bundle\0" + b"\xff" * 20, "not OSC"),
        (b"/diffvs/vocals\0\0,i\0\0", "not OSC"),
        (b"/diffvs/vocals\0\0,Z\0\0", "Unhandled parameter type: Z"),
    ],
)
def test_what_is_wrong_is_ignored_and_said(surface, controls, caplog, packet, words):
    before = controls.snapshot()
    surface.raw(packet)
    surface.ask("gain")
    assert controls.snapshot() == before
    assert "OSC: 1 ignored" in caplog.text
    assert words in caplog.text


def test_a_flood_of_nonsense_is_counted_and_said_once(osc, surface, controls, caplog):
    dice = random.Random(5)
    good = message("/diffvs/gain", 2.0).dgram
    for n in range(300):
        if n % 20 == 0:
            surface.ask("mute")  # it has kept up
        packet = bytearray(good)
        for _ in range(3):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        surface.raw(bytes(packet[: dice.randrange(len(packet))]))
    with caplog.at_level(logging.WARNING):
        surface.send("/diffvs/vocals", 0.25)
        assert surface.ask("vocals") == 0.25
    assert osc._ignored > 100
    assert not [record for record in caplog.records if record.name == "root"]
    assert len([record for record in caplog.records if "ignored" in record.message]) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("here", "give a port from 1 to 65535, or HOST:PORT"),
        ("70000", "give a port from 1 to 65535"),
        ("-1", "give a port"),
        ("256.1.1.1:9000", "no address of this machine"),
        ("192.0.2.1:9000", "it cannot be opened"),
    ],
)
def test_a_bad_place_is_refused_in_one_sentence(place, words, capsys):
    assert stream.live.main([f"--osc={place}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"stream.live: --osc is {place}; ")
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_taken_port_is_said(osc, capsys):
    port = osc.address[1]
    assert stream.live.main(["--osc", str(port)]) == 2
    assert f"--osc is {port}; another program has this port: give another" in capsys.readouterr().err


def test_python_osc_missing_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pythonosc.osc_packet", None)
    with pytest.raises(ControlError, match="pip install python-osc"):
        Osc("0", Settings.load(tmp_path / "settings.toml"))


def test_only_this_machine_is_heard_unless_asked(osc, tmp_path):
    assert osc.address[0] == "127.0.0.1"
    wide = Osc("0.0.0.0:0", Settings.load(tmp_path / "settings.toml"))
    assert wide.address[0] == "0.0.0.0"
    wide.close()

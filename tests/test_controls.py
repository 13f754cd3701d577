"""The parameters of a live session, and the place that owns them."""

import logging
import threading

import pytest

from stream.control.controls import Controls
from stream.control.parameters import PARAMETERS, ControlError


@pytest.fixture
def controls():
    return Controls()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("volume", 1, "no parameter 'volume'; there are vocals, accompaniment"),
        ("vocals", 1.01, "vocals is 1.01; it must be from 0 to 1"),
        ("vocals", float("nan"), "vocals is nan"),
        ("vocals", "loud", "vocals is 'loud'"),
        ("vocals", True, "vocals is True"),
        ("gain", 13, "from -60 to 12"),
        ("bypass", "yes", "on (true, 1) or off"),
        ("mode", "opera", "one of karaoke, acapella, mix, custom"),
        ("steps", 9, "one of auto, 1, 2, 3, 4"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(controls, name, value, words):
    before = controls.snapshot()
    with pytest.raises(ControlError, match=words.replace("(", r"\(").replace(")", r"\)")):
        controls.apply({"accompaniment": 0.5, name: value})
    assert controls.snapshot() == before


def test_levels_and_mode_agree(controls):
    controls.set("mode", "acapella")
    assert (controls["vocals"], controls["accompaniment"]) == (1.0, 0.0)
    controls.set("vocals", 0.5)
    assert controls["mode"] == "custom"
    controls.apply({"vocals": 0, "accompaniment": 1})
    assert controls["mode"] == "karaoke"
    controls.apply({"mode": "mix", "vocals": 0.3})
    assert (controls["vocals"], controls["accompaniment"]) == (0.3, 1.0)


def test_what_is_heard(controls):
    controls.apply({"vocals": 0.5, "accompaniment": 0.8})
    assert controls.levels() == (0.5, 0.8)
    controls.toggle("mute")
    assert controls.levels() == (0.0, 0.8)
    controls.toggle("bypass")
    assert controls.levels() == (1.0, 1.0)
    controls.set("gain", 6.0)
    assert controls.levels() == pytest.approx((1.9953, 1.9953), abs=1e-4)
    controls.set("gain", -60)
    assert controls.levels() == (0.0, 0.0)


def test_listeners_hear_each_change_once_and_in_order(controls):
    heard = []
    unsubscribe = controls.subscribe(lambda *change: heard.append(change))
    controls.set("vocals", 0.25, "midi")
    controls.set("vocals", 0.25, "page")  # no news
    controls.set("split", True, "key")
    controls.set("split", True, "key")
    assert heard == [
        ("vocals", 0.25, "midi"),
        ("mode", "custom", "midi"),
        ("split", True, "key"),
        ("split", True, "key"),
    ]
    unsubscribe()
    unsubscribe()
    controls.set("vocals", 0.5)
    assert len(heard) == 4


def test_a_listener_that_fails_stops_no_other(controls, caplog):
    def bad(*_):
        raise OSError("gone")

    heard = []
    controls.subscribe(bad)
    controls.subscribe(lambda *change: heard.append(change))
    with caplog.at_level(logging.CRITICAL):
        controls.toggle("bypass", "key")
    assert heard == [("bypass", True, "key")]


def test_only_switches_turn_over(controls):
    with pytest.raises(ControlError, match="vocals is not a switch"):
        controls.toggle("vocals")


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda parameter: parameter.name)
def test_a_knob_reaches_every_value(parameter):
    for share in (0.0, 0.3, 0.5, 1.0, -2.0, 7.0):
        value = parameter.at(share)
        assert parameter.checked(value) == value
        assert parameter.at(parameter.share(value)) == value


def test_many_threads_may_set_at_once(controls):
    heard = []
    controls.subscribe(lambda name, value, source: heard.append((name, value)))
    threads = [
        threading.Thread(target=lambda: [controls.toggle("mute") for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [("mute", bool(i % 2 == 0)) for i in range(800)]
    assert controls["mute"] is False

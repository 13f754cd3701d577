"""A model is replaced while it plays: nothing is missing, nothing jumps, and what is broken is refused."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from engine_rig import FADE, HOP, N_FFT, RATE, Scripted, play, until
from exported import tiny
from signals import noise, tone

from stream.engine import Engine
from stream.separation.exchange import FADE_S, HEARING_S, Exchange
from stream.separation.load import load_separator
from stream.separation.reload import Reloader
from stream.separation.separator import Audio, IdentitySeparator, ModelError

HEARING, FADING = round(HEARING_S * RATE), round(FADE_S * RATE)


def louder(factor: float) -> Scripted:
    """The identity, times a factor."""

    def script(_: int, vocals: Audio) -> None:
        vocals *= factor

    return Scripted(script)


def constant(samples: int) -> Audio:
    return np.full((samples, 2), 0.5, np.float32)


def rig(*, clock=lambda: 0.0, **how) -> tuple[Exchange, Engine]:
    exchange = Exchange(louder(1.0), clock=clock)
    engine = Engine(exchange, threaded=False, **how)
    engine.prepare(HOP)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    return exchange, engine


def test_without_a_new_one_it_is_the_old_one_bit_for_bit():
    exchange, engine = rig()
    alone = Engine(louder(1.0), threaded=False)
    alone.prepare(HOP)
    alone.set_levels(vocals=1.0, accompaniment=0.0)
    sent = noise(50 * HOP)
    np.testing.assert_array_equal(play(engine, sent), play(alone, sent))
    assert not exchange.changing


def test_the_change_is_a_fade_and_nothing_is_missing():
    exchange, engine = rig()
    play(engine, constant(100 * HOP))
    exchange.replace(louder(0.5))
    output = play(engine, constant(HEARING + FADING + RATE))[:, 0] / 0.5
    assert np.abs(output[:HEARING] - 1).max() < 1e-4  # it listens first
    assert np.abs(output[-RATE // 2 :] - 0.5).max() < 1e-4
    assert np.abs(np.diff(output)).max() < 2 * 0.5 / FADING  # and then no step is steeper than the fade
    assert engine.stats().late_samples == 0
    assert not exchange.changing


def test_a_tone_goes_on_without_a_click():
    exchange, engine = rig()
    sent = tone(HEARING + FADING + 2 * RATE, 441.0, RATE)
    start = play(engine, sent[: 1_000 * HOP])
    exchange.replace(louder(1.0))
    output = np.concatenate([start, play(engine, sent[1_000 * HOP :])])
    got, wanted = output[engine.latency :], sent[: len(output) - engine.latency]
    assert np.abs(got - wanted).max() < 1e-5


def test_without_time_for_both_the_fade_comes_at_once():
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 10.0
        return now_s[0]

    exchange, engine = rig(clock=clock)
    play(engine, constant(100 * HOP))
    exchange.replace(louder(0.5))
    output = play(engine, constant(20 * HOP))[:, 0] / 0.5
    assert not exchange.changing
    assert np.abs(output[-10 * HOP :] - 0.5).max() < 1e-4
    assert np.abs(np.diff(output)).max() < 2 * 0.5 / HOP


def test_a_new_one_that_dies_while_it_listens_is_left(monkeypatch: pytest.MonkeyPatch):
    for script, words in (
        (lambda n, v: 1 / 0 if n == 3 else None, "division by zero"),
        (lambda n, v: v.fill(np.nan) if n == 3 else None, "not a number"),
    ):
        exchange, engine = rig()
        sent = constant(50 * HOP)
        play(engine, sent)
        exchange.replace(Scripted(script))
        np.testing.assert_allclose(play(engine, sent), sent, atol=1e-5)
        assert not exchange.changing
        assert words in exchange.error


def test_a_reset_takes_the_new_one_at_once():
    exchange, engine = rig()
    exchange.replace(louder(0.5))
    engine.reset()
    assert not exchange.changing
    output = play(engine, constant(50 * HOP))
    assert np.abs(output[20 * HOP :] / 0.5 - 0.5).max() < 1e-4


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"n_fft": 4 * HOP}, "answers after"),
        ({"hop_length": HOP // 2}, "samples per hop"),
        ({"sample_rate": 48_000}, "48000 Hz"),
    ],
)
def test_what_does_not_fit_in_is_refused(sizes, words):
    exchange, _ = rig()
    with pytest.raises(ModelError, match=words) as refusal:
        exchange.replace(IdentitySeparator(**{"n_fft": N_FFT, "hop_length": HOP, **sizes}))
    assert "start again to use it" in str(refusal.value)
    assert not exchange.changing


def test_the_new_one_makes_the_steps_that_are_set():
    exchange = Exchange(model(4))
    exchange.prepare(8)
    assert exchange.set_steps(3)
    assert not exchange.set_steps(9)
    new = model(4)
    exchange.replace(new)
    assert "5 evaluations" in new.status
    exchange.set_steps(2)
    new.reset()
    assert "3 evaluations" in new.status


def model(most_steps: int = 0):
    from stream.separation.model_file import load

    return load(tiny()[1], provider="cpu", most_steps=most_steps)


class TestReload:
    """From files, under an engine whose worker runs."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        shutil.copy(tiny()[1], tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    @pytest.fixture
    def playing(self, file: Path):
        self.file = file
        self.said: list[str] = []
        self.exchange = Exchange(load_separator(str(file))[0])
        self.engine = Engine(self.exchange, wait=True)
        self.engine.prepare(self.exchange.hop_length)
        self.engine.start()
        self.reloader = Reloader(
            self.exchange,
            load=lambda: load_separator(str(file))[0],
            revive=self.engine.revive,
            say=self.said.append,
        )
        yield
        self.engine.stop()

    def play_until_said(self) -> Audio:
        hop = self.exchange.hop_length
        output = []
        block = noise(hop)

        def one() -> bool:
            output.append(np.full_like(block, np.nan))
            self.engine.process(block, output[-1])
            return bool(self.said)

        until(one)
        return np.concatenate(output)

    @pytest.mark.usefixtures("playing")
    def test_a_new_file_is_taken_without_a_gap(self):
        before = self.exchange._now
        assert self.reloader.reload()
        output = self.play_until_said()
        assert "was loaded anew" in self.said[0]
        assert self.exchange._now is not before
        assert np.isfinite(output).all()
        assert self.engine.stats().late_samples == 0

    @pytest.mark.usefixtures("playing")
    @pytest.mark.parametrize("damage", ["cut short", "not a model", "gone"])
    def test_a_broken_file_is_refused_in_a_sentence(self, damage: str):
        before, whole = self.exchange._now, self.file.read_bytes()
        if damage == "gone":
            self.file.unlink()
        else:
            self.file.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else b"not a model")
        assert self.reloader.reload()
        self.play_until_said()
        assert "the new model is not used" in self.said[0]
        assert "plays on: " in self.said[0]
        assert str(self.file) in self.said[0]
        assert len(self.said[0].splitlines()) == 1
        assert self.exchange._now is before
        assert self.engine.stats().late_samples == 0
        self.said.clear()
        self.file.write_bytes(whole)
        assert self.reloader.reload()
        self.play_until_said()
        assert "was loaded anew" in self.said[0]

    @pytest.mark.usefixtures("playing")
    def test_one_at_a_time(self):
        gate = threading.Event()
        load = self.reloader._load
        self.reloader._load = lambda: (gate.wait(20), load())[1]
        assert self.reloader.reload()
        assert not self.reloader.reload()
        gate.set()
        self.play_until_said()
        until(self.reloader.reload)
        self.said.clear()
        self.play_until_said()


def test_a_model_that_had_been_given_up_is_revived():
    dead = Scripted(lambda n, v: 1 / 0)
    exchange = Exchange(dead)
    engine = Engine(exchange, wait=True)
    engine.prepare(HOP)
    engine.set_levels(vocals=0.0, accompaniment=1.0)
    engine.start()
    sent = constant(4 * HOP)

    def state() -> str:
        play(engine, sent)
        return engine.stats().state

    until(lambda: state() == "failed")
    exchange.replace(louder(1.0))
    engine.revive()
    until(lambda: state() == "running")
    until(lambda: np.abs(play(engine, constant(FADE + 50 * HOP))[-HOP:]).max() < 1e-4)
    assert engine.stop()

"""Two clocks: for an hour the delay stays, the pitch stays, nothing is missing; losses are survived."""

from __future__ import annotations

import numpy as np
import pytest
from clock_rig import OFFSET_S, RATE, Clock, follow, make_bridge, play

HOUR_S = 3_600.0
LATENCY_MS, PITCH_CENTS = 1.0, 1.0  # what is promised
LEARNING_S = 1.5  # before anything plays


def assert_kept(course, *, jumps: int = 0) -> None:
    assert course.worst_ms < LATENCY_MS
    assert course.worst_cents < PITCH_CENTS
    assert course.underruns == 0
    assert course.jumps == jumps


class TestAnHour:
    @pytest.mark.parametrize("ppm", [200.0, -200.0])
    def test_of_200_ppm(self, ppm):
        course = follow(Clock(ppm=ppm), Clock(), seconds=HOUR_S)
        assert course.time_s[0] < LEARNING_S
        assert course.time_s[-1] > HOUR_S - 1
        assert_kept(course)
        assert abs(course.drift_ppm - ppm) < 0.1
        settled = course.after(120)
        assert settled.worst_ms < 0.01
        assert settled.worst_cents < 0.001

    def test_with_callbacks_that_come_up_to_3_ms_late(self):
        course = follow(Clock(ppm=-200, jitter_s=0.003), Clock(jitter_s=0.003), seconds=HOUR_S)
        assert_kept(course)
        assert abs(course.drift_ppm + 200) < 30


class TestTrouble:
    @pytest.mark.parametrize(("writes", "reads"), [(256, 1_024), (2_048, 480), (64, 441), (441, 64)])
    def test_blocks_of_other_sizes(self, writes, reads):
        writer = Clock(ppm=-200, block=writes, jitter_s=0.001)
        assert_kept(follow(writer, Clock(block=reads, jitter_s=0.001), seconds=120))

    @pytest.mark.parametrize(("writes", "reads"), [(48_000, 44_100), (44_100, 48_000), (22_050, 96_000)])
    def test_rates_of_other_sizes(self, writes, reads):
        assert_kept(follow(Clock(ppm=200, rate=writes), Clock(rate=reads), seconds=120))

    def test_a_clock_that_changes(self):
        """As quartz does when it warms up, only much faster."""
        course = follow(Clock(ppm=100, step_s=60, step_ppm=-200, jitter_s=0.001), Clock(), seconds=180)
        assert_kept(course)
        assert abs(course.drift_ppm + 100) < 10

    @pytest.mark.parametrize("late", ["writer", "reader"])
    def test_a_burst_after_a_hiccup_moves_nothing(self, late):
        """The system was away for 0.1 s, and the driver had it all: nothing was lost, so nothing may move."""
        writer, reader = Clock(ppm=50), Clock()
        hiccup = Clock(ppm=50 if late == "writer" else 0, burst_s=30)
        pair = (hiccup, reader) if late == "writer" else (writer, hiccup)
        course = follow(*pair, seconds=60, margin_s=0.15)
        assert_kept(course)

    @pytest.mark.parametrize("loses", ["writer", "reader"])
    def test_lost_samples_make_one_jump_and_then_all_is_as_before(self, loses):
        lossy = Clock(lost_s=30, lost=0.08)
        pair = (lossy, Clock()) if loses == "writer" else (Clock(), lossy)
        course = follow(*pair, seconds=60)
        assert course.jumps == 1
        after = course.after(31)
        assert after.worst_ms < LATENCY_MS
        assert after.worst_cents < PITCH_CENTS

    def test_a_device_that_was_away_for_long(self):
        course = follow(Clock(lost_s=30, lost=20), Clock(), seconds=90)
        assert course.jumps == 1
        assert course.after(52).worst_ms < LATENCY_MS


class TestSound:
    HZ = 997.0

    def sound(self, clock: Clock, seconds: float) -> np.ndarray:
        """A tone in the writer's samples, as it was at the true times."""
        samples = np.arange(int(clock.position(np.array([seconds + 1]))[0]) + clock.block)
        return (0.5 * np.sin(2 * np.pi * self.HZ * clock.time(samples)))[:, np.newaxis].astype(np.float32)

    @pytest.mark.parametrize(
        ("ppm", "writes", "reads"),
        [(200, 44_100, 44_100), (-200, 44_100, 44_100), (150, 48_000, 44_100), (-150, 22_050, 48_000)],
    )
    def test_a_tone_keeps_its_place_and_its_pitch(self, ppm, writes, reads):
        seconds = 20.0
        writer = Clock(ppm=ppm, rate=writes, jitter_s=0.001)
        reader = Clock(rate=reads, jitter_s=0.001, block=512)
        bridge = make_bridge(writer, reader)
        played = play(bridge, writer, reader, self.sound(writer, seconds), seconds=seconds)[:, 0]
        stats = bridge.stats()
        assert (stats.gaps, stats.jumps, stats.input_overflows) == (0, 0, 0)
        time_s = OFFSET_S + (reader.block + np.arange(len(played))) / reads
        window = reads // 10
        turns = played * np.exp(-2j * np.pi * self.HZ * time_s)
        turns = turns[: len(turns) // window * window].reshape(-1, window).mean(1)[20:]  # of what plays
        delay = -(np.unwrap(np.angle(turns)) + np.pi / 2) / (2 * np.pi * self.HZ)
        error = (delay - bridge.target / writes + 0.5 / self.HZ) % (1 / self.HZ) - 0.5 / self.HZ
        assert 1e3 * np.abs(np.unwrap(error, period=1 / self.HZ)).max() < LATENCY_MS
        assert 1200 / np.log(2) * np.abs(np.diff(delay)).max() * reads / window < PITCH_CENTS
        assert np.abs(2 * np.abs(turns) - 0.5).max() < 2e-3

    @pytest.mark.parametrize("loses", ["writer", "reader"])
    def test_what_is_lost_does_not_click(self, loses):
        seconds = 12.0
        lossy = Clock(lost_s=5.0, lost=0.2)
        writer, reader = (lossy, Clock()) if loses == "writer" else (Clock(), lossy)
        bridge = make_bridge(writer, reader)
        played = play(bridge, writer, reader, self.sound(Clock(), seconds), seconds=seconds)[:, 0]
        stats = bridge.stats()
        assert stats.jumps == 1
        assert (stats.gaps > 0) == (loses == "writer")
        steepest = 0.5 * 2 * np.pi * self.HZ / RATE
        assert np.abs(np.diff(played)).max() < 1.1 * steepest + 0.5 / 441
        assert np.abs(played[: 1 * RATE]).max() == 0.0  # until the clocks are known
        assert np.abs(played[-RATE:]).max() > 0.49

    def test_an_input_that_never_comes_is_silence(self):
        bridge = make_bridge(Clock(), Clock())
        block = np.ones((1_024, 1), np.float32)
        for k in range(200):
            bridge.read(block, k * 1_024 / RATE)
        assert not block.any()
        assert not bridge.stats().playing
        assert bridge.stats().gaps == 0

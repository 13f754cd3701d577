"""Several readers of one engine's peaks."""

from __future__ import annotations

from dataclasses import replace

from snapshots import STATS

from stream.stats import PeakReaders


def test_each_reader_sees_the_peaks_since_its_own_last_look():
    coming = iter([0.9, 0.1, 0.3, 0.2])
    peaks = PeakReaders(lambda: replace(STATS, peak_input=(level := next(coming)), peak_vocals=level / 2))
    assert peaks.read("panel").peak_input == 0.9
    assert peaks.read("page").peak_input == 0.1  # what was before its first look is not its own
    assert peaks.read("page").peak_input == 0.3
    panel = peaks.read("panel")
    assert (panel.peak_input, panel.peak_vocals) == (0.3, 0.15)

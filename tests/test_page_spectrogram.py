"""The columns of the live spectrograms."""

from __future__ import annotations

import numpy as np
import pytest
from signals import noise

from stream.control.page.spectrogram import (
    BANDS,
    COLUMNS_A_SECOND,
    FLOOR_DB,
    HIGHEST_HZ,
    LOWEST_HZ,
    TOP_DB,
    Spectrogram,
)

HZ = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS)
LEVEL_DB = 3.0  # between a tone's level and what its band shows: a window's scalloping


def tone(hz: float, level_db: float, rate: int) -> np.ndarray:
    one = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(rate) / rate)
    return np.stack([one, np.zeros_like(one)]).astype(np.float32)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 79_000])
@pytest.mark.parametrize("hz", [100.0, 440.0, 1_000.0, 7_040.0])
def test_a_tone_stands_in_its_own_band_with_its_level(rate, hz):
    columns = Spectrogram(rate).feed(tone(hz, -40.0, rate))
    mixture, vocals = columns[-5].astype(float)
    band = int(mixture.argmax())
    assert abs(np.log2(HZ[band] / hz)) < 0.1
    shown_db = FLOOR_DB + mixture[band] / 255 * (TOP_DB - FLOOR_DB) - 3.0 * np.log2(hz / 1_000)
    assert shown_db == pytest.approx(-40.0, abs=LEVEL_DB)
    assert vocals.max() == 0


def test_columns_do_not_depend_on_the_pieces():
    rate = 44_100
    audio = np.ascontiguousarray(0.1 * noise(rate).T)
    whole = Spectrogram(rate).feed(audio)
    pieces = Spectrogram(rate)
    parts = [pieces.feed(part) for part in np.split(audio, [1, 1_000, 1_000, 20_000], axis=1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.shape == (COLUMNS_A_SECOND, 2, BANDS)


@pytest.mark.parametrize("level", [0.0, np.nan, np.inf, 1e30])
def test_nothing_that_may_come_breaks_the_picture(level):
    columns = Spectrogram(44_100).feed(np.full((2, 10_000), level, np.float32))
    assert columns.dtype == np.uint8

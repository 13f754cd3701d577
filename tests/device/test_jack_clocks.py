"""Two streams with a bridge between them, over one JACK server: the clocks agree, the rest is as with two."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import App
from jack_server import Studio
from signals import tone
from test_jack import PAIR, RATE

pytestmark = pytest.mark.device

HZ = 440.0


def test_what_goes_in_comes_out_through_the_bridge(app: App, studio: Studio):
    process = app.start(*PAIR, "--model", "identity", "--mode", "mix", "--clocks", "two", "--latency", "safe")
    assert any(line.strip().startswith("clock bridge") for line in app.introduction)
    sent = 0.5 * tone(6 * RATE, HZ, RATE)
    heard, _ = studio.run(sent, freewheel=False)
    words = app.finish(process)
    assert "ppm apart" in words
    # Where it sounds, and it does for most of the time, it is the tone: same level, same pitch, no click.
    second = heard[: len(heard) // RATE * RATE].reshape(-1, RATE, 2)[:, :, 0]
    spectra = np.abs(np.fft.rfft(second * np.hanning(RATE), axis=1))
    loudest = second[np.argsort(spectra[:, round(HZ)])[-1]]
    spectrum = np.abs(np.fft.rfft(loudest * np.hanning(RATE)))
    assert int(spectrum.argmax()) == HZ
    assert abs(np.abs(loudest).max() - 0.5) < 0.01

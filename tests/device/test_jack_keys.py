"""A key pressed in a real terminal is heard in what a real session plays."""

from __future__ import annotations

import numpy as np
import pytest
from jack_server import Server, Studio
from screen import Screen
from signals import noise
from test_jack import HOP, IDENTITY_DB, PAIR, RATE, aligned, expected_delay

pytestmark = pytest.mark.device


def test_a_key_changes_what_is_heard(jack: Server, studio: Studio):
    options = (*PAIR, "--model", "identity", "--mode", "karaoke", "--block-size", str(HOP), "--wait")
    with Screen("-m", "stream.live", *options, **jack.environment) as screen:
        screen.see("? keys")
        sent = noise(2 * RATE)
        heard, _ = studio.run(sent, freewheel=True)
        assert 20 * np.log10(np.abs(heard).max() + 1e-12) < IDENTITY_DB / 2  # all of it is vocals
        screen.send(b"4")
        screen.see("preset mix")
        heard, offset = studio.run(sent, freewheel=True)
        np.testing.assert_array_equal(aligned(heard, offset, expected_delay(HOP), len(sent)), sent)
        screen.send(b"qq")
        screen.see("played")
        screen.ends_with(0)
        assert screen.mode() == screen.before

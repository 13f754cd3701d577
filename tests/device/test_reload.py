"""SIGHUP while audio flows: the model is taken anew without a gap, and a broken file changes nothing."""

from __future__ import annotations

import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import App
from jack_server import Studio
from signals import noise
from test_comeback import Words
from test_jack import PAIR, RATE

from stream.separation.separator import BUNDLED_MODEL

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here"),
    pytest.mark.skipif(not BUNDLED_MODEL.is_file(), reason="there is no bundled model"),
]


def test_a_model_is_swapped_while_audio_flows(app: App, studio: Studio, tmp_path: Path):
    file = tmp_path / "model.onnx"
    shutil.copy(BUNDLED_MODEL, file)
    process = app.start(*PAIR, "--model", str(file), "--vocals", "1", "--accompaniment", "0.5", "--wait")
    words = Words(process)
    sent = noise(8 * RATE)
    heard: list[np.ndarray] = []
    playing = threading.Thread(
        target=lambda: heard.append(studio.run(sent, freewheel=False, timeout_s=120)[0])
    )
    playing.start()
    process.send_signal(signal.SIGHUP)
    words.until("the model was loaded anew: live on cpu")
    file.write_bytes(b"half a mod")
    process.send_signal(signal.SIGHUP)
    words.until("the new model is not used, live on cpu")
    assert any(str(file) in line for line in words.lines)
    playing.join(120)
    out = words.end(process)
    assert "without vocals 0.00 s in 0 gaps" in out
    # Half of everything and the vocals besides: where a stretch were missing, there would be silence.
    # What the network leaves before and after is far below, and comes and goes.
    loud = np.flatnonzero(np.abs(heard[0]).max(axis=1) > 0.01)
    assert loud[-1] - loud[0] > len(sent) - RATE // 10
    assert np.diff(loud).max() < 64

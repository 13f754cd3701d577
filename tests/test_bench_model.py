"""The model's measurements run and are complete. Their figures are not judged here."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported import tiny

from bench import model


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "SECONDS", 0.01)
    monkeypatch.setattr(model, "MATRIX", 64)


def test_every_step_and_block_is_measured() -> None:
    text = model.measure(tiny()[1])
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert [row for row in rows if ", " in row and row[0].isdigit()] == [
        f"{steps}, {hops}" for steps in (1, 2, 3) for hops in (1, 2, 4, 8)
    ]
    assert "first vocals: " in text
    assert "| 128 | " in text  # the latency at blocks of one hop


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    assert model.NO_MODEL in model.measure(tmp_path / "none.onnx")


def test_the_networks_work_is_counted() -> None:
    """Seconds outside of the network are a part of all of them, and the work is the evaluations'."""
    seconds, own_s, gflops = model.timed(tiny()[1], "cpu", steps=2, hops=4, threads=1)
    assert 0 < own_s < seconds.mean()
    assert gflops > 0

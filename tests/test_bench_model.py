"""The model's measurements run and are complete. Their figures are not judged here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported import tiny
from signals import residual_db, tone

from bench import model, peer, presets
from diffvs import PRESETS
from diffvs.evaluation.spleeter import BINS, FRAMES
from stream.separation.separator import ModelError


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "SECONDS", 0.01)
    monkeypatch.setattr(model, "ROUNDS", 1)
    monkeypatch.setattr(model, "MATRIX", 64)


def test_every_step_and_block_is_measured() -> None:
    text = model.measure(tiny()[1])
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    on_the_processor = [row for row in rows if ", " in row and row[0].isdigit() and " on " not in row]
    assert on_the_processor == [f"{steps}, {hops}" for steps in (1, 2, 3) for hops in (1, 2, 4, 8)]
    assert "first vocals: " in text
    assert "| 128 | " in text  # the latency at blocks of one hop


def test_the_quickest_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rows of a round are disturbed alike: most in the first, least in the second."""
    disturbances_s = iter([0.05] * 2 + [0.01] * 2 + [0.03] * 2)

    def timed(path: Path, provider: str, steps: int, hops: int, threads: int) -> model.Timing:
        if provider != "cpu":
            raise ModelError("no GPU")
        return model.Timing(np.full(5, next(disturbances_s)), 0.001, 1.0)

    monkeypatch.setattr(model, "ROUNDS", 3)
    monkeypatch.setattr(model, "STEPS", (1,))
    monkeypatch.setattr(model, "BLOCK_HOPS", (1,))
    monkeypatch.setattr(model, "timed", timed)
    row = next(line for line in model.measure(tiny()[1]).splitlines() if line.startswith("| 1, 1 |"))
    assert row.split("|")[2].strip() == "10.00"


def test_a_gpu_adds_rows_on_one_thread_without_the_processors_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(path: Path, provider: str, steps: int, hops: int, threads: int) -> model.Timing:
        assert provider == "cpu" or threads == 1
        return model.Timing(np.full(5, 0.001 if provider == "cuda" else 0.01), 0.0001, 1.0)

    monkeypatch.setattr(model, "timed", timed)
    rows = [line.split("|")[1:-1] for line in model.measure(tiny()[1]).splitlines() if " on cuda |" in line]
    assert [row[0].strip() for row in rows] == [
        f"{steps}, {hops} on cuda" for steps in (1, 2, 3) for hops in (1, 2, 4, 8)
    ]
    assert {row[1].strip() for row in rows} == {"1.00"}
    assert {row[6].strip() + row[7].strip() for row in rows} == {""}


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    assert model.NO_MODEL in model.measure(tmp_path / "none.onnx")


def test_the_networks_work_is_counted() -> None:
    """Seconds outside of the network are a part of all of them, and the work is the evaluations'."""
    seconds, own_s, gflops = model.timed(tiny()[1], "cpu", steps=2, hops=4, threads=1)
    assert 0 < own_s < seconds.mean()
    assert gflops > 0


def test_presets_of_both_kinds_are_measured_where_their_provider_is() -> None:
    text = presets.measure({"cpu": ("tiny", "tiny-window"), "nowhere": ("tiny",)})
    cells = [line.split("|") for line in text.splitlines() if " on " in line and line.startswith("|")]
    measured = [(preset.strip(), int(steps)) for _, preset, steps, *_ in cells]
    most = PRESETS["tiny-window"].edm.steps
    assert measured == [
        *(("tiny on cpu", steps) for steps in (1, 2)),
        *(("tiny-window on cpu", steps) for steps in sorted({1, 2, most})),
    ]


class Everything:
    """A network that hears nothing but the one source."""

    def __init__(self, gain: float):
        self._gain = gain

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert feed["magnitude"].shape == (1, 2, FRAMES, BINS)
        return [self._gain * feed["magnitude"]]


@pytest.mark.parametrize(("block", "lookahead"), peer.PEER_BLOCKS)
def test_the_peers_blocks_are_put_together_where_they_belong(block: int, lookahead: int) -> None:
    mixture = tone(44_100, 1_000, 44_100)
    run = peer.run_spleeter([Everything(1), Everything(0)], mixture, block, lookahead)
    assert residual_db(run.vocals, mixture) < -60
    assert run.latency == (block + lookahead) * 1_024 + 3_072


def test_ours_is_no_later_than_the_peer() -> None:
    mixture = tone(20_000, 1_000, 44_100)
    run = peer.run_ours(tiny()[1], mixture, latency=1_000)
    assert run.latency <= 1_000
    assert run.vocals.shape == mixture.shape


def test_without_the_peer_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "NEEDED", ("no such package",))
    assert "pip install" in peer.measure(tiny()[1])

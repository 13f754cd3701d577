"""The paper's family trains by the same command as the live network, and its checkpoints work alike."""

import math

import torch
from train_rig import batch, log_rows, numbered, training_cache

import diffvs.train
from diffvs import checkpoint
from diffvs.presets import PRESETS
from diffvs.sampling import default_sigmas, separate

WINDOW = PRESETS["tiny-window"]
STEPS = 24


def test_a_window_preset_learns_validates_and_separates(tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(diffvs.train, "batches", numbered(lambda number: batch(number % 2, model=WINDOW)))
    options = {
        "--preset": WINDOW.name,
        "--data": training_cache(tmp_path / "cache"),
        "--out": run,
        "--steps": STEPS,
        "--batch-size": 4,
        "--lr": 1e-2,
        "--warmup-steps": 2,
        "--workers": 0,
        "--log-every": 1,
        "--validate-seconds": 0.2,
        "--example-seconds": 0.1,
        "--device": "cpu",
    }
    assert diffvs.train.main([str(word) for pair in options.items() for word in pair]) == 0

    losses = [float(row["loss"]) for row in log_rows(run)]
    assert len(losses) == STEPS
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    scores = log_rows(run, "validation.csv")
    assert scores
    assert all(math.isfinite(float(row["vocals_sdr"])) for row in scores)

    denoiser, facts = checkpoint.load(run)
    assert denoiser.config == WINDOW
    assert facts["step"] == STEPS
    song = batch(0, examples=1, model=WINDOW).mixture[0]
    vocals = separate(denoiser, song, default_sigmas(denoiser))
    assert vocals.shape == song.shape
    assert torch.isfinite(vocals).all()

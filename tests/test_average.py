"""The mean of checkpoints: of every weight, with the facts of all, and of one architecture only."""

import dataclasses

import pytest
import torch

from diffvs import checkpoint
from diffvs.average import main
from diffvs.edm import Denoiser
from diffvs.presets import PRESETS


@pytest.fixture
def pair(tmp_path):
    """Two folders with different weights of one model."""
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        model = PRESETS["tiny-pyramid"]
        checkpoint.save(tmp_path / name, model, Denoiser(model).state_dict(), {"step": seed})
    return tmp_path / "one", tmp_path / "two"


def test_every_weight_is_the_mean_and_one_that_is_named_twice_counts_twice(pair, tmp_path):
    one, two = pair
    assert main([str(one), str(two), str(two), "--out", str(tmp_path / "mean")]) == 0
    mean, facts = checkpoint.load(tmp_path / "mean")
    first, second = (checkpoint.load(folder)[0].state_dict() for folder in pair)
    assert mean.config == PRESETS["tiny-pyramid"]
    for name, weight in mean.state_dict().items():
        torch.testing.assert_close(weight, (first[name] + 2 * second[name]) / 3)
    assert [each["step"] for each in facts["mean_of"]] == [0, 1, 1]
    assert facts["commit"]


def test_what_has_no_mean_is_said(pair, tmp_path, capsys):
    one, _ = pair
    model = PRESETS["tiny-pyramid"]
    other = dataclasses.replace(model, spectrum=dataclasses.replace(model.spectrum, scale=2.0))
    checkpoint.save(tmp_path / "other", other, Denoiser(other).state_dict(), {})
    assert main([str(one), str(tmp_path / "other"), "--out", str(tmp_path / "mean")]) == 2
    assert "different networks" in capsys.readouterr().err
    assert main([str(one), str(tmp_path / "nothing"), "--out", str(tmp_path / "mean")]) == 2
    assert "not a checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()

"""Candidates are trained once each, in processes of their own, and become a table of what they learned."""

from argparse import Namespace
from dataclasses import replace

import pytest
from train_rig import TINY, training_cache

from diffvs import candidates
from diffvs.cost import cost
from diffvs.presets import PRESETS
from diffvs.training.log import SCORE_COLUMNS, SCORES

PAGE = f"before\n{candidates.BEGIN}\nold\n{candidates.END}\n"


def test_candidates_differ_and_may_all_run_live():
    models = candidates.candidates()
    assert len(models) >= 6
    assert models["live-scratch"][1] == PRESETS["live-scratch"]
    assert len({repr(replace(model, name="")) for _, model in models.values()}) == len(models)
    for _, model in models.values():
        assert cost(model).macs_per_second <= 3e9


@pytest.fixture
def few(monkeypatch):
    """Two candidates that learn in no time."""
    shorter = replace(TINY, segment_frames=24)
    found = {
        "small one": ("less", replace(TINY, name="small one")),
        "b/2": ("more", replace(shorter, name="b/2")),
    }
    monkeypatch.setattr(candidates, "candidates", lambda: found)
    return found


@pytest.mark.slow
def test_they_are_trained_once_and_compared(few, tmp_path, capsys):
    cache, out, page = training_cache(tmp_path / "cache"), tmp_path / "runs", tmp_path / "page.md"
    page.write_text(PAGE)
    options = ["--data", str(cache), "--out", str(out), "--steps", "3", "--write", str(page)]
    assert candidates.main([*options, "--at-once", "2"]) == 0
    text = page.read_text()
    assert "| small one | less |" in text
    assert "| b/2 | more |" in text
    assert "old" not in text
    assert {folder.name for folder in out.iterdir()} == {"small-one", "b-2", "steps.json"}
    capsys.readouterr()
    assert candidates.main(options) == 0
    assert "training for" not in capsys.readouterr().out
    assert page.read_text() == text


def test_twice_the_work_takes_longer_and_gets_fewer_steps(few, tmp_path):
    few["b/2"] = ("much more", replace(TINY, segment_frames=8 * TINY.segment_frames))
    options = Namespace(out=tmp_path, steps=100, threads=1)
    steps = candidates.steps_of(options)
    assert steps["small one"] == 100
    assert 5 < steps["b/2"] < 50  # an eighth, and the cost of each step that has no length
    few.pop("b/2")
    assert candidates.steps_of(options) == steps  # kept, so that a resumed comparison is fair


def test_a_run_that_was_interrupted_is_not_finished(tmp_path):
    folder = candidates.folder_of(tmp_path, "b/2")
    folder.mkdir()
    assert not candidates.is_finished(tmp_path, "b/2")
    (folder / SCORES).write_text(",".join(SCORE_COLUMNS) + "\n")
    assert not candidates.is_finished(tmp_path, "b/2")
    (folder / SCORES).write_text(",".join(SCORE_COLUMNS) + "\n3,1,1,song,1,2.0,2.0\n")
    assert candidates.is_finished(tmp_path, "b/2")


def test_a_candidate_that_cannot_be_trained_is_said(few, tmp_path, capsys):
    options = ["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "runs"), "--steps", "1"]
    few.pop("b/2")
    assert candidates.main(options) == 2
    said = capsys.readouterr()
    assert "small one: failed with 2, see" in said.out
    assert "no candidate in" in said.err

"""python -m diffvs.train: a run from its command to its files, and what may go wrong on the way."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from train_rig import TINY, batch, broken, log_rows, numbered, training_cache

import diffvs.train
import diffvs.training.run
from diffvs import checkpoint
from diffvs.training.options import parser
from diffvs.training.state import SaveError
from diffvs.training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent
LEARNED_DB = 2.0  # an untrained network scores 0, this one 3 after 25 steps


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return training_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def train(cache, tmp_path, monkeypatch):
    """Runs the command on quick batches, in tmp_path / "run"; `make(number)` makes another kind of batch."""

    def run(*options, make=batch, out=tmp_path / "run", preset="tiny"):
        monkeypatch.setattr(diffvs.train, "batches", numbered(make))
        common = [
            "--data",
            str(cache),
            "--out",
            str(out),
            "--workers",
            "0",
            "--log-every",
            "1",
            "--device",
            "cpu",
        ]
        common += ["--batch-size", "4", "--warmup-steps", "2", "--validate-seconds", "0.1"]
        common += ["--example-seconds", "0", "--steps", "1"]
        common += ["--preset", preset] if preset else []
        return diffvs.train.main([*common, *map(str, options)])

    return run


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """The folder of a run of 4 steps on batches from the cache, with worker processes."""
    out = tmp_path_factory.mktemp("finished") / "run"
    options = [
        "--preset",
        "tiny",
        "--data",
        cache,
        "--out",
        out,
        "--steps",
        4,
        "--batch-size",
        2,
        "--log-every",
        3,
    ]
    assert diffvs.train.main([*map(str, options)]) == 0
    return out


def test_a_run_leaves_a_checkpoint_logs_and_something_to_hear(finished):
    denoiser, facts = checkpoint.load(finished)
    assert denoiser.config == TINY
    assert facts["step"] == 4
    assert facts["seconds_heard"] == pytest.approx(4 * 2 * TINY.segment / 44_100)
    assert facts["training"]["steps"] == 4
    assert {"machine", "torch", "commit", "date", "data_hours", "validation"} <= facts.keys()

    rows = log_rows(finished, without=())
    assert [row["step"] for row in rows] == ["3", "4"]
    assert all(float(row["loss"]) > 0 and float(row["gradient_norm"]) > 0 for row in rows)
    assert float(rows[-1]["hours_heard"]) > 0
    scores = log_rows(finished, "validation.csv")
    assert [(row["song"], row["steps"]) for row in scores] == [("Song", "1"), ("Song", "2")]
    assert rows[-1]["sdr"] == scores[0]["vocals_sdr"]
    assert list((finished / "tensorboard").iterdir())

    best, best_facts = checkpoint.load(finished / "best")
    assert best_facts["validated_sdr"] == pytest.approx(float(rows[-1]["sdr"]), abs=1e-3)
    torch.testing.assert_close(best.state_dict(), denoiser.state_dict(), rtol=0, atol=0)

    heard = finished / "examples" / "step_00000004"
    files = {"mixture": heard.parent, "vocals-true": heard.parent, "vocals": heard, "accompaniment": heard}
    parts = {name: soundfile.read(folder / f"Song.{name}.flac")[0] for name, folder in files.items()}
    assert parts["vocals"].shape == (22_050, 2)
    # 16-bit files of three parts: half a step of rounding each
    assert abs(parts["mixture"] - parts["vocals"] - parts["accompaniment"]).max() < 1.5 / 32_768 * 1.01
    assert (heard / "Song.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_goes_on_exactly_where_a_signal_stopped_it(train, tmp_path, capsys):
    def interrupted(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch(number)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train("--steps", 6, out=whole) == 0
    assert train("--steps", 6, out=parts, make=interrupted) == 0
    assert "stopped; the same command goes on: step 3" in capsys.readouterr().err
    assert checkpoint.load(parts)[1]["step"] == 3
    assert train("--steps", 6, out=parts) == 0
    assert "goes on at step 3" in capsys.readouterr().err
    assert log_rows(parts) == log_rows(whole)
    one, other = (checkpoint.load(run)[0].state_dict() for run in (whole, parts))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_steps_that_are_done_again_are_logged_once(train, tmp_path):
    run = tmp_path / "run"
    assert train("--steps", 2) == 0
    with (run / "log.csv").open("a") as file:
        file.write("3,0,0,0,9,9,9,9,,0,0\n4,0,0,0,9,9")  # of a run that was killed
    assert train("--steps", 4) == 0
    rows = log_rows(run)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert all(row["loss"] != "9" for row in rows)


@pytest.mark.parametrize(("preset", "rate"), [("tiny", "0.004"), ("tiny-pyramid", "0.0002")])
def test_the_learning_rate_is_the_models_own(train, capsys, preset, rate):
    assert train("--steps", 1, "--dry-run", preset=preset) == 0
    assert f'"learning_rate": {rate},' in capsys.readouterr().out


def test_what_changed_since_the_last_time_is_said(train, capsys):
    assert train("--steps", 1) == 0
    assert train("--steps", 2, "--lr", "0.005") == 0
    said = capsys.readouterr().err
    assert "steps was 1, is now 2" in said
    assert "learning_rate was 0.004, is now 0.005" in said


def test_a_second_signal_ends_at_once():
    code = """
import os, signal, time
from diffvs.training import stop
stop.ONE_WISH_S = 0.1
with stop.Stop() as wish:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)  # Ctrl-C reaches a process under torchrun twice
    time.sleep(0.2)
    print("alive", wish.wanted, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("never")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "alive True\n"
    assert done.returncode == -signal.SIGTERM


def test_help_is_the_committed_one():
    """After a change: COLUMNS=100 python -m diffvs.train --help > docs/help/diffvs.train.txt"""
    committed = ROOT / "docs" / "help" / "diffvs.train.txt"
    assert parser().format_help() == committed.read_text(encoding="utf-8")


def test_a_dry_run_tells_and_writes_nothing(train, tmp_path, capsys):
    assert train("--steps", 5, "--share-at-max", 1, "--dry-run") == 0
    said = capsys.readouterr().out
    for words in (
        '"share_at_max": 1.0',
        '"steps": 5',
        "million parameters",
        "train vocals",
        "would be written",
        "best/",
    ):
        assert words in said
    assert not (tmp_path / "run").exists()


def test_a_stage_starts_from_the_weights_of_another(train, finished, tmp_path):
    options = ("--start-from", finished, "--finetune-sampler", 2, "--segment-frames", 24, "--lr", 0.001)
    assert train(*options, "--steps", 2, preset=None) == 0
    denoiser, facts = checkpoint.load(tmp_path / "run")
    assert denoiser.config.edm.steps == 2
    assert denoiser.config.segment_frames == 24
    assert facts["training"]["finetune_sampler"] == 2
    assert facts["started_from"]["step"] == 4
    rows = log_rows(tmp_path / "run")
    assert rows[-1]["sdr"] == log_rows(tmp_path / "run", "validation.csv")[1]["vocals_sdr"]  # of 2 steps


def test_a_rehearsal_measures_what_it_learned_by_heart(train, tmp_path):
    seen = []

    def make(number):
        seen.append(number)
        return batch(number)

    options = ("--overfit", 1, "--lr", 0.02, "--share-at-max", 1, "--validate-steps", 1)
    assert train(*options, "--steps", 25, make=make) == 0
    assert seen == [0]
    (score,) = log_rows(tmp_path / "run", "validation.csv")
    assert (score["song"], score["steps"]) == ("overfit", "1")
    assert float(score["vocals_sdr"]) > LEARNED_DB


# What goes wrong on the way


def test_a_bad_batch_is_named_kept_and_passed_over(train, tmp_path, caplog):
    make = lambda number: broken(number) if number == 1 else batch(number)  # noqa: E731
    assert train("--steps", 3, make=make) == 0
    assert "batch 1 is skipped: loss nan, gradient norm nan; examples 6 of seed 0" in caplog.text
    kept = json.loads((tmp_path / "run" / "bad_batches" / "batch_00000001.json").read_text())
    assert kept["batch"] == 1
    (example,) = kept["examples"]
    assert (example["example"], example["loss"], example["audio_is_finite"]) == (6, "nan", False)
    sound = checkpoint.load_file(tmp_path / "run" / "bad_batches" / "batch_00000001.safetensors")
    torch.testing.assert_close(sound["mixture"], broken(1).mixture[2:3], rtol=0, atol=0, equal_nan=True)
    rows = log_rows(tmp_path / "run")
    assert [row["skipped"] for row in rows] == ["0", "1", "1"]
    assert math.isnan(float(rows[1]["loss"]))


def test_too_many_bad_batches_end_the_run(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(diffvs.training.run, "BAD_IN_A_ROW", 3)
    assert train("--steps", 1) == 0
    before = (tmp_path / "run" / "trainer.pt").read_bytes()
    assert train("--steps", 100, make=broken) == 2
    said = capsys.readouterr().err
    assert "3 batches in a row gave a loss or gradient that is not finite" in said
    assert "--lr" in said
    assert (tmp_path / "run" / "trainer.pt").read_bytes() == before


def test_batches_that_cannot_be_made_are_passed_over(train, tmp_path, caplog):
    def make(number):
        if number in (1, 2):
            raise OSError(f"no disk for {number}")
        return batch(number)

    assert train("--steps", 4, make=make) == 0
    said = caplog.text
    assert "batch 1 could not be made (OSError: no disk for 1)" in said
    assert [row["step"] for row in log_rows(tmp_path / "run")] == ["1", "4"]
    assert checkpoint.load(tmp_path / "run")[1]["skipped"] == 2


def test_without_any_batch_the_run_ends_saved(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(diffvs.training.run, "BAD_IN_A_ROW", 3)

    def make(number):
        if number > 0:
            raise OSError("the disk is gone")
        return batch(number)

    assert train("--steps", 100, make=make) == 2
    assert "could not be made (the disk is gone)" in capsys.readouterr().err
    assert checkpoint.load(tmp_path / "run")[1]["step"] == 1 + 3


def test_a_save_that_fails_is_tried_again(train, tmp_path, monkeypatch, caplog, capsys):
    calls, save = [], Trainer.save

    def failing(self, folder, facts):
        calls.append(self.step)
        if self.step < 3:
            raise SaveError("no space")
        save(self, folder, facts)

    monkeypatch.setattr(Trainer, "save", failing)
    assert train("--steps", 3, "--save-minutes", 1e-9) == 0
    assert calls == [1, 2, 3]
    assert "no space; the run goes on" in caplog.text
    assert checkpoint.load(tmp_path / "run")[1]["step"] == 3

    def full(self, folder, facts):
        raise SaveError("no space at all")

    monkeypatch.setattr(Trainer, "save", full)
    assert train("--steps", 4) == 2
    assert "error: no space at all" in capsys.readouterr().err


def test_a_validation_that_fails_costs_nothing_but_itself(train, tmp_path, monkeypatch, caplog):
    def failing(*_):
        raise OSError("unreadable song")

    monkeypatch.setattr("diffvs.training.validation.open_songs", failing)
    assert train("--steps", 2, "--validate-minutes", 1e-9) == 0
    assert "validation at step 1 failed: unreadable song" in caplog.text
    assert len(log_rows(tmp_path / "run")) == 2


def test_a_signal_breaks_off_a_validation(train, tmp_path, monkeypatch):
    import diffvs.training.validation

    separate = diffvs.training.validation.separate

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return separate(*arguments)

    monkeypatch.setattr(diffvs.training.validation, "separate", signalled)
    assert train("--steps", 9, "--validate-minutes", 1e-9) == 0
    assert checkpoint.load(tmp_path / "run")[1]["step"] == 1
    assert log_rows(tmp_path / "run", "validation.csv") == []


def test_a_cache_without_validation_songs_is_enough(train, cache, tmp_path, caplog):
    shutil.copytree(cache / "train", tmp_path / "cache" / "train")
    assert train("--steps", 1, "--data", tmp_path / "cache") == 0
    assert "holds no validation song" in caplog.text
    assert log_rows(tmp_path / "run")[0]["sdr"] == ""


# What is refused at the door


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "lively"), "there is no preset lively; there are live, "),
        (("--data", "nowhere"), "there is no folder nowhere: make it with python -m diffvs.data.prepare"),
        (("--batch-size", 0), "batch_size must be more than 0, got 0"),
        (("--ema-max", 1.5), "ema_max must lie in 0..1, got 1.5"),
        (("--share-at-max", -1), "share_at_max must lie in 0..1, got -1.0"),
        (("--sigma-max", 0.01), "sigma_min < sigma_max is needed"),
        (("--temperature", -1), "temperature must be 0 or above, got -1.0"),
        (("--finetune-sampler", 0), "--finetune-sampler must be at least 1, got 0"),
        (("--segment-frames", 0), "segment_frames must be at least 1, got 0"),
        (("--overfit", 0), "--overfit must be at least 1, got 0"),
        (("--save-minutes", 0), "save_minutes must be more than 0"),
        (("--start-from", "nowhere"), "nowhere is not a checkpoint"),
        (("--out", os.devnull), "cannot be written"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_bad_options_are_one_sentence(train, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    assert train("--steps", 1, *options) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") or "\nerror: " in said
    assert words in said
    assert "Traceback" not in said


def test_an_empty_cache_is_refused(train, tmp_path, capsys):
    (tmp_path / "cache").mkdir()
    assert train("--data", tmp_path / "cache") == 2
    assert "holds no prepared audio: make it with" in capsys.readouterr().err


def test_folders_of_another_model_are_refused(train, finished, tmp_path, capsys):
    assert train("--out", finished, preset="tiny-window") == 2
    assert "holds a model tiny that does not fit the preset tiny-window" in capsys.readouterr().err
    assert train("--start-from", finished, preset="tiny-window") == 2
    assert "does not fit" in capsys.readouterr().err


def test_a_checkpoint_alone_is_not_overwritten(train, finished, capsys):
    assert train("--out", finished / "best") == 2
    assert "no trainer.pt to resume it: use --start-from" in capsys.readouterr().err


def test_a_corrupt_state_is_refused(train, finished, tmp_path, capsys):
    run = tmp_path / "copy"
    shutil.copytree(finished, run)
    (run / "trainer.pt").write_bytes(b"PK not a zip file")
    assert train("--steps", 9, "--out", run) == 2
    said = capsys.readouterr().err
    assert "trainer.pt cannot be read" in said
    assert "--start-from" in said
    (run / "config.json").write_text("{")
    assert train("--steps", 9, "--out", run) == 2
    assert "config.json cannot be read" in capsys.readouterr().err


def test_too_few_gpus_are_named(train, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train("--device", "cuda") == 2
    assert "PyTorch finds no device cuda" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert train("--device", "cuda") == 2
    assert "process 1 of this machine needs a GPU of its own, PyTorch finds 1" in capsys.readouterr().err

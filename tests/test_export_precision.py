"""fp16 and int8: smaller, close enough, verified, and refused when they cost too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from exported import RATE, checkpoint_folder, export
from signals import noise

from export import quality
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel

HOP = 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("precision"))


def test_half_and_quarter_precision_are_smaller_and_stream_all_the_same(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folder, tmp_path / "fp32.onnx") == 0
    with np.load(tmp_path / "fp32.golden.npz") as golden:
        soundfile.write(tmp_path / "song.wav", golden["mixture"], RATE, subtype="FLOAT")
    song = ["--calibration", str(tmp_path / "song.wav")]
    assert export(folder, tmp_path / "fp16.onnx", "--precision", "fp16") == 0
    assert export(folder, tmp_path / "int8.onnx", "--precision", "int8", *song) == 0
    printed = capsys.readouterr().out
    assert printed.count("precision    size MB    real time    vocals SDR      loss") == 3
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("fp32", "fp16", "int8")]
    assert sizes[1] < 0.9 * sizes[0]
    mixture = noise(40 * HOP)
    for name in ("fp16", "int8"):
        model = OnnxModel(tmp_path / f"{name}.onnx", provider="cpu")
        assert model.spec.precision == name
        separator = DiffusionSeparator(model)
        separator.prepare(8)
        whole = np.concatenate(
            [separator.process(mixture[i : i + 8 * HOP]).copy() for i in range(0, 40 * HOP, 8 * HOP)]
        )
        separator.reset()
        single = np.concatenate(
            [separator.process(mixture[i : i + HOP]).copy() for i in range(0, 40 * HOP, HOP)]
        )
        np.testing.assert_array_equal(single, whole)


def test_int8_asks_for_a_song(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, tmp_path / "m.onnx", "--precision", "int8") == 2
    assert "--calibration SONG" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_costs_too_much_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(quality.LOSS_DB, "fp16", -99.0)
    assert export(folder, tmp_path / "m.onnx", "--precision", "fp16") == 2
    assert "fp16 costs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

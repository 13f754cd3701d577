"""fp16 and int8: smaller, close enough, verified, and refused when they cost too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from exported import RATE, checkpoint_folder, export, exported
from signals import noise

from diffvs.presets import PRESETS
from export import quality
from export.precision import to_int8
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


def test_a_pyramid_keeps_what_works_in_full_resolution_in_fp32(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(exported(PRESETS["tiny-pyramid"])[1].read_bytes())
    convolutions = {node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"}
    to_int8(path, noise(RATE))
    graph = onnx.load(path).graph
    dequantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    fine = {node.name for node in graph.node if node.op_type == "Conv" and node.input[1] not in dequantised}
    assert fine == {name for name in convolutions if "/down.2/" not in name and "/up.2/" not in name}
    assert fine < convolutions


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

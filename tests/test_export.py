"""An export that cannot prove itself does not exist; what is exported is small, named and complete."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import torch
from denoisers import awake
from exported import checkpoint_folder, export, tiny, with_metadata
from signals import noise

import diffvs.edm
import diffvs.sampling
import stream.separation.model
from diffvs.presets import PRESETS
from export.__main__ import main, parser
from export.convert import ExportError, convert, make_spec
from export.verify import verify
from stream.render import main as render
from stream.separation import sampler
from stream.separation.hardware import processor
from stream.separation.load import RunOptions, load_separator
from stream.separation.model import OnnxModel
from stream.separation.proof import golden_path, prove, run_stream
from stream.separation.separator import ModelError
from stream.separation.spec import SCHEMA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("export"))


def test_a_checkpoint_becomes_a_model_with_its_golden_pair(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "m.onnx"
    assert export(folder, output, "--licence", "CC0") == 0
    assert sorted(path.name for path in output.parent.iterdir()) == ["m.golden.npz", "m.onnx"]
    model = OnnxModel(output, provider="cpu")
    assert (model.spec.name, model.spec.licence, model.spec.training["step"]) == ("tiny", "CC0", 7)
    with np.load(golden_path(output)) as golden:
        vocals = run_stream(model, golden["mixture"], model.spec.steps)
        np.testing.assert_allclose(vocals, golden["vocals"], atol=1e-4 * golden["vocals"].std())


def test_what_computes_something_else_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = awake(PRESETS["tiny"], seed=1)
    monkeypatch.setattr("export.__main__.convert", lambda _, spec, path: convert(other, spec, path))
    output = tmp_path / "m.onnx"
    output.write_text("the model of yesterday")
    assert export(folder, output) == 2
    assert "differs from PyTorch by" in capsys.readouterr().err
    assert output.read_text() == "the model of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_a_state_that_is_not_handed_on_is_noticed(tmp_path: Path) -> None:
    denoiser, path = tiny()
    model = onnx.load(path)
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "next_state_3":
                node.output[index] = "lost"
    zero = onnx.helper.make_node("Sub", ["lost", "lost"], ["next_state_3"])
    model.graph.node.append(zero)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="differs"):
        verify(denoiser, tmp_path / "m.onnx")


def test_no_checkpoint_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--output", str(tmp_path / "m.onnx")]) == 2
    error = capsys.readouterr().err
    assert "is not a checkpoint" in error
    assert error.count("\n") == 1


def test_the_graph_holds_what_a_stream_needs_and_no_training() -> None:
    denoiser, path = tiny()
    graph = onnx.load(path).graph
    states = [f"state_{index}" for index in range(len(denoiser.state_shapes()))]
    assert [item.name for item in graph.input] == ["mixture", "noisy", "sigma", *states]
    assert [item.name for item in graph.output] == ["denoised", *(f"next_{name}" for name in states)]
    # The weights are normalised in training, in every forward pass; here that is done.
    operators = {node.op_type for node in graph.node}
    assert not operators & {"ReduceL2", "ReduceSum", "Dropout", "Where", "Expand"}
    weights = {item.name for item in graph.initializer if math.prod(item.dims) > 1}
    assert not [node for node in graph.node if node.op_type == "Div" and node.input[0] in weights]
    assert {node.domain for node in graph.node} == {""}
    values = sum(math.prod(item.dims) for item in graph.initializer)
    assert values < 1.1 * sum(parameter.numel() for parameter in denoiser.parameters())


def test_the_description_is_the_checkpoints() -> None:
    denoiser, path = tiny(lookahead_frames=3, noisy_gain=True)
    spec, config = OnnxModel(path, provider="cpu").spec, denoiser.config
    for part in (config.spectrum, config.edm):
        for field in dataclasses.fields(part):
            if hasattr(spec, field.name):
                assert getattr(spec, field.name) == getattr(part, field.name)
    assert spec.lookahead_frames == 3
    assert spec.latency == config.spectrum.latency + 3 * config.spectrum.hop_length
    assert spec.context_frames == config.network.context_frames


def test_a_model_that_needs_the_whole_song_is_refused() -> None:
    config = dataclasses.replace(
        PRESETS["tiny"], spectrum=dataclasses.replace(PRESETS["tiny"].spectrum, peak_normalise=True)
    )
    with pytest.raises(ExportError, match="peak of the whole song"):
        make_spec(awake(config), {}, licence="", attribution="")


def test_the_window_of_a_live_window_model_is_chosen_at_export(tmp_path: Path) -> None:
    denoiser = awake(PRESETS["tiny-window"])
    spec = make_spec(denoiser, {}, licence="", attribution="", stride=4, lookahead=0)
    convert(denoiser, spec, tmp_path / "m.onnx")
    verify(denoiser, tmp_path / "m.onnx")
    assert spec.latency == 512 - 128 + 3 * 128
    with pytest.raises(ModelError, match="window_frames = 32, it must be above what is used"):
        make_spec(denoiser, {}, licence="", attribution="", stride=30)
    with pytest.raises(ExportError, match="is causal"):
        make_spec(awake(PRESETS["tiny"]), {}, licence="", attribution="", stride=4)


def test_broken_files_are_told_apart(tmp_path: Path) -> None:
    _, path = tiny()
    spec = OnnxModel(path, provider="cpu").spec
    whole = path.read_bytes()
    newer = spec.to_json().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}')
    other_bins = dataclasses.replace(spec, bins=64).to_json()
    (tmp_path / "random.onnx").write_bytes(np.random.default_rng(0).bytes(5_000))
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    files = {
        tmp_path / "missing.onnx": "there is no model file",
        tmp_path / "random.onnx": "not a model that ONNX Runtime can load",
        tmp_path / "empty.onnx": "not a model that ONNX Runtime can load",
        tmp_path / "truncated.onnx": "not a model that ONNX Runtime can load",
        with_metadata(path, None, tmp_path / "foreign.onnx"): "not one of this program's models",
        with_metadata(path, newer, tmp_path / "newer.onnx"): "update this program",
        with_metadata(path, other_bins, tmp_path / "unfit.onnx"): "do not fit together",
    }
    for file, reason in files.items():
        with pytest.raises(ModelError) as caught:
            OnnxModel(file, provider="cpu")
        assert reason in str(caught.value), file.name
        assert file.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_product_refuses_a_broken_model_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "song.wav", noise(1_000), 44_100)
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    assert render([str(tmp_path / "song.wav"), "--model", str(tmp_path / "m.onnx")]) == 2
    error = capsys.readouterr().err
    assert "m.onnx is not a model that ONNX Runtime can load" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("provider", "help"),
    [
        ("tensorrt", "install one that has it, or give --provider cpu"),
        ("gpu", "choose auto, cpu, cuda, tensorrt"),
    ],
)
def test_a_provider_that_is_not_there_is_refused(provider: str, help: str) -> None:
    with pytest.raises(ModelError, match=f"provider {provider}.*{help}"):
        OnnxModel(tiny()[1], provider=provider)


def test_what_is_no_cpu_has_to_prove_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onnx"
    assert export(folder, output) == 0
    good = OnnxModel(output, provider="cpu")
    prove(good, output)
    # Another model under the same name stands in for a driver that computes nonsense.
    wrong = awake(PRESETS["tiny"], seed=1)
    convert(wrong, good.spec, output)
    with pytest.raises(ModelError, match="computes something else than it should"):
        prove(OnnxModel(output, provider="cpu"), output)
    load_separator(str(output))  # the CPU is trusted
    monkeypatch.setattr("stream.separation.model_file.TRUSTED", ())
    with pytest.raises(ModelError, match="computes something else than it should"):
        load_separator(str(output))
    golden_path(output).write_bytes(b"not a golden pair")
    with pytest.raises(ModelError, match="is damaged"):
        load_separator(str(output))
    golden_path(output).unlink()
    load_separator(str(output))  # nothing to compare with


def test_a_provider_that_is_listed_but_gives_way_to_the_cpu_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As onnxruntime-gpu does without a GPU: it lists CUDA, and makes a session on the CPU without a word."""
    if OnnxModel(tiny()[1]).provider == "cuda":
        pytest.skip("the CUDA of this machine does not give way")
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    severities: list[int] = []
    ort = stream.separation.model.ort
    monkeypatch.setattr(ort, "get_available_providers", lambda: listed)
    monkeypatch.setattr(ort, "set_default_logger_severity", severities.append)
    with pytest.raises(ModelError, match="provider cuda cannot be used here; what it lacks is said above"):
        OnnxModel(tiny()[1], provider="cuda")
    assert severities == [2, 2]
    assert OnnxModel(tiny()[1], provider="auto").provider == "cpu"
    assert severities[2:] == [4, 2, 4, 2]  # and nobody is alarmed by a GPU that was not asked for


def test_live_and_without_steps_the_quality_follows_the_load(tmp_path: Path) -> None:
    _, path = tiny()
    spec = dataclasses.replace(OnnxModel(path, provider="cpu").spec, steps=2)
    file = str(with_metadata(path, spec.to_json(), tmp_path / "m.onnx"))

    def status(**run: Any) -> str:
        return load_separator(file, run=RunOptions(provider="cpu", **run))[0].status

    assert status() == f"tiny on cpu ({processor()}), 3 evaluations"
    assert status(live_hops=1.0).endswith(", 3 of 3 evaluations")
    assert status(live_hops=1.0, steps=1).endswith(", 1 evaluation")


def test_help_is_the_committed_one() -> None:
    """After a change: COLUMNS=100 python -m export --help > docs/help/export.txt"""
    committed = Path(__file__).parent.parent / "docs" / "help" / "export.txt"
    assert parser().format_help() == committed.read_text()


# What exists twice, in torch and in NumPy, is the same; the transforms: test_transforms.py.


def test_the_samplers_agree() -> None:
    sigmas = sampler.karras_sigmas(4, 0.05, 5.0, 7.0)
    assert sigmas == diffvs.edm.karras_sigmas(4, 0.05, 5.0, 7.0)
    x = noise(64).reshape(1, 4, 16, 2)
    target = noise(64, seed=1).reshape(1, 4, 16, 2)
    levels = sampler.evaluation_sigmas(sigmas)
    estimates = list(sampler.heun(lambda x, j: target + x * np.float32(levels[j] / 9), x, sigmas))
    visited: list[float] = []

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        visited.append(float(sigma[0]))
        return torch.from_numpy(target) + x * sigma.view(-1, 1, 1, 1) / 9

    expected = diffvs.edm.heun(denoise, torch.from_numpy(x), sigmas)
    np.testing.assert_allclose(estimates[-1], expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(levels, visited, rtol=1e-6)
    assert len(estimates) == len(levels) == 2 * 4 - 1


def test_the_noise_is_the_same_bit_for_bit() -> None:
    out = np.empty((1, 4, 16, 5), np.float32)
    sampler.frame_noise(3, 11, 1.0, out)
    np.testing.assert_array_equal(out, diffvs.sampling.frame_noise(3, 5, 16, seed=11).numpy())

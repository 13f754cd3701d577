"""On an NVIDIA GPU: the vocals are the processor's, to the rounding of TF32, and the bench has its rows."""

from __future__ import annotations

import numpy as np
import pytest
from exported import exported
from signals import noise
from train_rig import training_cache

from bench import model, presets
from diffvs import checkpoint
from diffvs.presets import PRESETS
from diffvs.train import main
from stream.demo import load_song
from stream.separation.model import OnnxModel
from stream.separation.model_file import load
from stream.separation.proof import relative, run_stream
from stream.separation.separator import BUNDLED_MODEL, ModelError

pytestmark = pytest.mark.gpu

TOLERANCE = 0.01  # relative, of the root mean square: TF32 rounds to 11 bits
STEPS = 2


@pytest.fixture(scope="module")
def provider() -> str:
    try:
        OnnxModel(BUNDLED_MODEL, provider="cuda")
    except ModelError as error:
        pytest.skip(str(error))
    return "cuda"


@pytest.mark.parametrize("preset", ["tiny", "tiny-pyramid", "tiny-window"])
def test_every_kind_computes_what_the_processor_computes(provider: str, preset: str) -> None:
    path, mixture = exported(PRESETS[preset])[1], noise(44_100)
    on_gpu, on_cpu = (
        run_stream(OnnxModel(path, provider=name), mixture, STEPS) for name in (provider, "cpu")
    )
    assert relative(on_gpu, on_cpu) <= TOLERANCE


def test_the_bundled_model_is_let_near_a_stage_and_forgets_what_was_before(provider: str) -> None:
    separator = load(BUNDLED_MODEL, provider=provider)  # compares with its golden pair
    separator.prepare(4)
    block = np.ascontiguousarray(load_song(44_100)[0][: 4 * separator.hop_length])
    first = separator.process(block).copy()
    separator.process(block)
    separator.reset()
    assert relative(separator.process(block), first) <= TOLERANCE


def test_the_bench_has_its_rows(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "SECONDS", 0.1)
    monkeypatch.setattr(model, "ROUNDS", 1)
    assert f"| 1, 8 on {provider} |" in model.measure()
    assert f"| tiny-window on {provider} |" in presets.measure({provider: ("tiny", "tiny-window")})


def test_training_runs(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    cache, run = training_cache(tmp_path / "cache"), tmp_path / "run"
    options = ["--device", "cuda", "--preset", "tiny", "--steps", "2", "--batch-size", "2"]
    assert main(["--data", str(cache), "--out", str(run), *options]) == 0
    assert checkpoint.load(run)[1]["step"] == 2

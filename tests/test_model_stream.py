"""The exported model, streamed: equal to the whole song in torch for any blocks, and alive through NaN."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from denoisers import changed
from exported import exported, separator, sick_when_loud, tiny
from onnxruntime import OrtValue
from signals import noise

from diffvs import checkpoint
from diffvs.edm import Denoiser, karras_sigmas
from diffvs.presets import PRESETS
from diffvs.sampling import separate_causal
from stream.demo import load_song
from stream.engine import Engine
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.proof import prove, relative
from stream.separation.separator import BUNDLED_MODEL, Audio, ModelError

TOLERANCE = 1e-4  # relative, of the root mean square; float32 sums in another order give about 1e-6
HOP = 128


def whole_song(denoiser: Denoiser, mixture: Audio, steps: int) -> Audio:
    edm = denoiser.config.edm
    sigmas = karras_sigmas(steps, edm.sigma_min, edm.sigma_max, edm.rho)
    return separate_causal(denoiser, torch.from_numpy(mixture.T.copy()), sigmas).numpy().T


def streamed(stream: DiffusionSeparator, mixture: Audio, hops: list[int]) -> Audio:
    """All that comes out of blocks of so many hops, in turn, without the delay."""
    hop = stream.hop_length
    padded = np.concatenate([mixture, np.zeros((stream.latency + max(hops) * hop, 2), np.float32)])
    pieces, start, turn = [], 0, 0
    while start < len(mixture) + stream.latency:
        stop = start + hops[turn % len(hops)] * hop
        pieces.append(stream.process(np.ascontiguousarray(padded[start:stop])).copy())
        start, turn = stop, turn + 1
    return np.concatenate(pieces)[stream.latency :][: len(mixture)]


FEATURES = {
    "plain": {},
    "lookahead": {"lookahead_frames": 3},
    "two blocks per level": {"blocks": 2},
    "no frequency mixer": {"frequency_bottleneck": 0},
    "one band, long context": {"bands": 1, "dilations": (4, 8)},
}


@pytest.mark.parametrize(
    ("feature", "steps"), [*((feature, 2) for feature in FEATURES), ("plain", 1), ("plain", 3)]
)
def test_the_stream_is_the_whole_song(feature: str, steps: int) -> None:
    denoiser, path = tiny(**FEATURES[feature])
    mixture = noise(61 * HOP + 17)
    ragged = [int(k) for k in np.random.default_rng(steps).integers(0, 9, 40)]
    estimate = streamed(separator(path, steps), mixture, [1, *ragged])
    reference = whole_song(denoiser, mixture, steps)
    assert np.linalg.norm(reference) > 0.1 * np.linalg.norm(mixture)  # there is something to compare
    assert relative(estimate, reference) <= TOLERANCE


@pytest.mark.parametrize("temperature", [0.0, 0.4])
def test_the_stream_starts_from_the_noise_that_the_model_asks_for(temperature: float) -> None:
    config = PRESETS["tiny"]
    edm = dataclasses.replace(config.edm, temperature=temperature)
    denoiser, path = exported(dataclasses.replace(config, edm=edm))
    mixture = noise(20 * HOP)
    estimate = streamed(separator(path, 2), mixture, [3, 1])
    assert relative(estimate, whole_song(denoiser, mixture, 2)) <= TOLERANCE
    assert relative(estimate, whole_song(exported(config)[0], mixture, 2)) > 100 * TOLERANCE


def test_a_short_synthesis_is_the_whole_song_and_early() -> None:
    config = PRESETS["tiny"]
    spectrum = dataclasses.replace(config.spectrum, n_fft=1_024, synthesis_length=3 * HOP)
    denoiser, path = exported(dataclasses.replace(config, spectrum=spectrum))
    mixture = noise(40 * HOP)
    stream = separator(path, 2)
    assert stream.latency == 2 * HOP
    assert relative(streamed(stream, mixture, [3, 1]), whole_song(denoiser, mixture, 2)) <= TOLERANCE


@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_pyramid_streams_the_whole_song(lookahead: int, steps: int) -> None:
    # ONNX Runtime's blocks depend on the size: of fewer than 65 frequencies it sums the 180 products of the
    # first layer in another order frame by frame than of several frames at once. The bundled model has 512.
    config = changed("tiny-pyramid", lookahead_frames=lookahead, bins=256)
    spectrum = dataclasses.replace(config.spectrum, n_fft=1_024, bins=512, level_seconds=0.02)
    denoiser, path = exported(dataclasses.replace(config, spectrum=spectrum))
    mixture = noise(60 * HOP)
    stream = separator(path, steps)
    estimate, reference = streamed(stream, mixture, [3, 1, 8]), whole_song(denoiser, mixture, steps)
    assert np.linalg.norm(reference) > 0.1 * np.linalg.norm(mixture)
    assert relative(estimate, reference) <= TOLERANCE
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, mixture, [1]), estimate)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_the_stream_follows_the_level_as_the_whole_song_does(lookahead: int) -> None:
    config = changed("tiny", lookahead_frames=lookahead)
    followed = dataclasses.replace(config, spectrum=dataclasses.replace(config.spectrum, level_seconds=0.02))
    denoiser, path = exported(followed)
    mixture = noise(60 * HOP)
    mixture[: 5 * HOP], mixture[20 * HOP : 40 * HOP] = 0, 30 * mixture[20 * HOP : 40 * HOP]
    stream, reference = separator(path, 2), whole_song(denoiser, mixture, 2)
    estimate = streamed(stream, mixture, [3, 1, 8])
    assert relative(estimate, reference) <= TOLERANCE
    assert relative(whole_song(exported(config)[0], mixture, 2), reference) > 100 * TOLERANCE
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, mixture, [1]), estimate)


@pytest.mark.skipif(not BUNDLED_MODEL.is_file(), reason="no model is bundled")
def test_the_bundled_model_streams_what_its_checkpoint_says_and_proves_it() -> None:
    model = OnnxModel(BUNDLED_MODEL, provider="cpu")
    prove(model, BUNDLED_MODEL)
    denoiser, _ = checkpoint.load(BUNDLED_MODEL.with_suffix(""))
    mixture = load_song(model.spec.sample_rate)[0][: 3 * model.spec.sample_rate]
    stream = separator(BUNDLED_MODEL, model.spec.steps)
    reference = whole_song(denoiser, mixture, model.spec.steps)
    single = streamed(stream, mixture, [1])
    assert relative(single, reference) <= TOLERANCE
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, mixture, [2, 5]), single)


@pytest.mark.parametrize("block", [100, 128, 333, 1024])
def test_through_the_engine_it_is_the_whole_song_for_any_block(block: int) -> None:
    denoiser, path = tiny(lookahead_frames=3, noisy_gain=True)
    mixture = noise(40 * HOP)
    engine = Engine(separator(path, 2), threaded=False)
    engine.prepare(block)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    blocks = -(-(len(mixture) + engine.latency) // block)
    fed = np.zeros((blocks * block, 2), np.float32)
    fed[: len(mixture)] = mixture
    played = np.empty_like(fed)
    for start in range(0, len(fed), block):
        engine.process(fed[start : start + block], played[start : start + block])
    estimate = played[engine.latency :][: len(mixture)]
    assert relative(estimate, whole_song(denoiser, mixture, 2)) <= TOLERANCE


def test_the_same_bits_for_any_blocks_after_a_reset_and_after_a_restart() -> None:
    _, path = tiny(lookahead_frames=3, noisy_gain=True)
    mixture = noise(50 * HOP)
    stream = separator(path, 2)
    first = streamed(stream, mixture, [1])
    for hops in ([1], [2], [3, 1], [8], [5, 0, 7]):
        stream.reset()
        np.testing.assert_array_equal(streamed(stream, mixture, hops), first)
    np.testing.assert_array_equal(streamed(separator(path, 2), mixture, [4]), first)


def test_inputs_that_have_to_be_copied_to_a_device_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor stands in for a device with a memory of its own: it is given copies, never the arrays."""
    _, path = tiny()
    mixture = noise(40 * HOP)
    shared = streamed(separator(path, 2), mixture, [3, 1])
    monkeypatch.setattr(OnnxModel, "_value", lambda self, array: OrtValue.ortvalue_from_numpy(array.copy()))
    stuck = streamed(separator(path, 2), mixture, [3, 1])
    assert not np.array_equal(stuck, shared)  # so without copying it would be noticed
    copying = separator(path, 2)
    copying.model._device = "elsewhere"
    np.testing.assert_array_equal(streamed(copying, mixture, [3, 1]), shared)


def test_more_hops_than_one_run_of_the_network_takes() -> None:
    _, path = tiny()
    mixture = noise(40 * HOP)
    once = streamed(separator(path, 1, max_hops=21), mixture, [21])
    np.testing.assert_array_equal(once, streamed(separator(path), mixture, [1]))


def test_the_past_is_forgotten_by_reset() -> None:
    _, path = tiny()
    stream, mixture = separator(path), noise(20 * HOP)
    fresh = streamed(stream, mixture, [4])
    loud = streamed(stream, mixture, [4])  # goes on from the tail of the first
    assert not np.array_equal(fresh, loud)
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, mixture, [4]), fresh)


def test_steps_are_refused_below_one() -> None:
    with pytest.raises(ModelError, match="steps must be at least 1, got 0"):
        separator(tiny()[1], 0)


def test_nan_is_counted_and_the_show_goes_on(tmp_path: Path) -> None:
    _, path = tiny()
    mixture = noise(60 * HOP)
    mixture[20 * HOP : 21 * HOP] *= 1_000
    stream = separator(sick_when_loud(path, tmp_path / "sick.onnx"))
    engine = Engine(stream, threaded=False)
    engine.prepare(HOP)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    output = np.empty_like(mixture)
    for start in range(0, len(mixture), HOP):
        engine.process(mixture[start : start + HOP], output[start : start + HOP])
    stats = engine.stats()
    assert stats.non_finite_hops == 1  # the next frame would hold the loud hop too, had it not been forgotten
    assert stats.crashes == 0
    assert np.isfinite(output).all()
    # Its state did not stay poisoned: what follows is what a separator that starts there says.
    fresh = separator(path)
    restart = 21 * HOP
    tail = streamed(fresh, mixture[restart:], [1])
    delay = engine.latency
    settled = 4 * HOP
    heard = output[restart + delay + settled :]
    np.testing.assert_allclose(heard, tail[settled:][: len(heard)], atol=1e-5)

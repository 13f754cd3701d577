"""A model that sees windows, live: the same as without streaming for any blocks, at its stated latency."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from exported import exported
from signals import noise

from diffvs.presets import PRESETS
from export.verify import separate_sliding
from stream.engine import Engine
from stream.separation.anytime import Anytime
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.kinds import make_separator
from stream.separation.load import load_separator
from stream.separation.model import OnnxModel
from stream.separation.proof import relative
from stream.separation.sampler import model_sigmas
from stream.separation.separator import Audio, ModelError
from stream.separation.window import WindowSeparator

TOLERANCE = 1e-4  # relative, of the root mean square
STEPS = 2
TINY = PRESETS["tiny-window"]
HOP, WINDOW, STRIDE = 128, 32, 8
UNNORMALISED = dataclasses.replace(TINY, spectrum=dataclasses.replace(TINY.spectrum, peak_normalise=False))


def separator(config=TINY, steps: int = STEPS, anytime: Anytime | None = None) -> WindowSeparator:
    model = OnnxModel(exported(config)[1], provider="cpu")
    result = WindowSeparator(model, steps=steps, anytime=anytime)
    result.prepare(11)
    return result


def streamed(stream: WindowSeparator, mixture: Audio, hops: list[int]) -> Audio:
    padded = np.concatenate([mixture, np.zeros((stream.latency + 11 * HOP, 2), np.float32)])
    pieces, start, turn = [], 0, 0
    while start < len(mixture) + stream.latency:
        stop = start + hops[turn % len(hops)] * HOP
        pieces.append(stream.process(np.ascontiguousarray(padded[start:stop])).copy())
        start, turn = stop, turn + 1
    return np.concatenate(pieces)[stream.latency :][: len(mixture)]


COOL = dataclasses.replace(TINY, edm=dataclasses.replace(TINY.edm, temperature=0.4))


@pytest.mark.parametrize(
    "config", [TINY, UNNORMALISED, COOL], ids=["peak of the window", "as it comes", "less noise"]
)
def test_the_stream_is_what_the_windows_say(config) -> None:
    denoiser, path = exported(config)
    spec = OnnxModel(path, provider="cpu").spec
    mixture = noise(50 * HOP + 17)
    mixture[20 * HOP : 30 * HOP] *= 4  # louder, so that the windows' peaks differ
    waveform = torch.from_numpy(mixture.T.copy())
    reference = separate_sliding(denoiser, waveform, model_sigmas(spec, STEPS), spec).numpy().T
    assert relative(streamed(separator(config), mixture, [3, 1, 0, 9]), reference) <= TOLERANCE


def test_the_same_bits_for_any_blocks_after_a_reset_and_after_a_restart() -> None:
    mixture = noise(50 * HOP)
    stream = separator()
    first = streamed(stream, mixture, [1])
    for hops in ([8], [3, 1], [11], [5, 0, 7]):
        stream.reset()
        np.testing.assert_array_equal(streamed(stream, mixture, hops), first)
    np.testing.assert_array_equal(streamed(separator(), mixture, [4]), first)


def test_half_the_input_is_half_the_vocals() -> None:
    """Since each window is divided by its peak."""
    mixture = noise(50 * HOP)
    stream = separator()
    whole = streamed(stream, mixture, [8])
    stream.reset()
    assert relative(streamed(stream, mixture / 2, [8]), whole / 2) <= TOLERANCE


def test_latency_is_the_transforms_the_lookaheads_and_a_strides() -> None:
    stream = separator()
    assert stream.lookahead == (STRIDE + STRIDE - 1) * HOP
    assert stream.latency == 512 - HOP + stream.lookahead
    engine = Engine(stream)
    engine.prepare(HOP)
    assert engine.budget.algorithmic + engine.budget.lookahead == stream.latency


def test_strides_are_cross_faded() -> None:
    """Without the fade, the estimate of a frame comes from one window; with it, from two that follow."""
    mixture = noise(50 * HOP)
    faded = streamed(separator(), mixture, [8])
    hard = separator()
    hard._fade = np.ones_like(hard._fade)
    assert 0.001 < relative(streamed(hard, mixture, [8]), faded) < 1


def test_a_near_deadline_takes_the_evaluations_there_are() -> None:
    now_s = 0.0
    calls = 0
    anytime = Anytime(3, hop_s=HOP / 44_100, share=0.8, clock=lambda: now_s)
    stream = separator(anytime=anytime)
    evaluate = stream.model.evaluate

    def timed(noisy, evaluation):
        nonlocal now_s, calls
        now_s += cost_s
        calls += 1
        return evaluate(noisy, evaluation)

    stream.model.evaluate = timed
    for share, expected in ((0.1, 3), (0.45, 2), (2.0, 1)):
        cost_s = share * 0.8 * STRIDE * HOP / 44_100
        stream.process(noise(STRIDE * HOP))  # learns the cost
        calls = 0
        for _ in range(4):
            stream.process(noise(STRIDE * HOP))
        assert calls == 4 * expected


def test_the_loader_takes_either_kind() -> None:
    _, path = exported(TINY)
    stream, _ = load_separator(str(path))
    assert stream.status.startswith("tiny-window on cpu")
    with pytest.raises(ModelError, match="kind window"):
        DiffusionSeparator(OnnxModel(path, provider="cpu"))
    causal = OnnxModel(exported(PRESETS["tiny"])[1], provider="cpu")
    assert isinstance(make_separator(causal), DiffusionSeparator)
    with pytest.raises(ModelError, match="kind causal"):
        WindowSeparator(causal)

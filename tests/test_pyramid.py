"""The pyramid streams exactly, hears no future, and gives shares of the mixture."""

import dataclasses
from pathlib import Path

import pytest
import torch
from denoisers import SIGMA, assert_same, awake, changed, image, streamed
from torch import nn

from diffvs.config import PyramidUNetConfig
from diffvs.edm import Denoiser
from diffvs.layers import Context
from diffvs.presets import PRESETS
from diffvs.pyramid import NarrowConv

TINY = PRESETS["tiny-pyramid"]


@pytest.mark.parametrize("chunks", [[1] * 80, [3, 1, 4, 2, 8, 62], [80], [79, 1]])
@pytest.mark.parametrize("lookahead", [0, 2])
def test_streaming_equals_the_whole(chunks, lookahead):
    denoiser = awake(changed("tiny-pyramid", lookahead_frames=lookahead))
    noisy, mixture = image(TINY, 80, seed=1), image(TINY, 80, seed=2)
    assert_same(streamed(denoiser, noisy, mixture, chunks), denoiser(noisy, SIGMA, mixture))


def test_the_live_preset_streams_exactly():
    denoiser = awake(PRESETS["live"])
    noisy, mixture = image(denoiser.config, 6, seed=1), image(denoiser.config, 6, seed=2)
    assert_same(streamed(denoiser, noisy, mixture, [1, 3, 2]), denoiser(noisy, SIGMA, mixture))


def test_the_future_leaves_the_past_alone():
    denoiser = awake(TINY)
    noisy, mixture = image(TINY, 20, seed=1), image(TINY, 20, seed=2)
    before = denoiser(noisy, SIGMA, mixture)
    for changed_image in (noisy, mixture):
        changed_image[..., 12:] += 3
        after = denoiser(noisy, SIGMA, mixture)
        assert torch.equal(after[..., :12], before[..., :12])
        assert not torch.isclose(after[..., 12], before[..., 12]).all()
        before = after


def test_the_past_is_heard_as_far_as_announced_and_no_further():
    denoiser, context = awake(TINY), TINY.network.context_frames
    noisy, mixture = torch.zeros(1, 4, 128, context + 5), image(TINY, context + 5, seed=2)
    before = denoiser(noisy, SIGMA, mixture)
    mixture[..., 1] += 10
    heard = (denoiser(noisy, SIGMA, mixture) != before).any(1).any(1)[0].nonzero().flatten()
    assert (int(heard[0]), int(heard[-1])) == (1, 1 + context)


def test_the_state_is_shaped_as_announced():
    denoiser = awake(TINY)
    shapes = denoiser.state_shapes()
    # Down and up in order: (channels, frames, frequencies); last that of the last layer.
    down = [(10, 2, 64), (4, 4, 32), (4, 8, 16)]
    up = [(12, 8, 8), (6, 4, 16), (4, 2, 32)]
    assert shapes == [*down, *up, (3, 3, 64)]
    context = Context([torch.zeros(2, *shape) for shape in shapes])
    noisy, mixture = (image(TINY, 3, seed=seed, batch=2) for seed in (1, 2))
    sigma = torch.tensor([0.8, 5.0])
    started = denoiser(noisy, sigma, mixture, context)
    assert [tuple(state.shape) for state in context.next] == [(2, *shape) for shape in shapes]
    assert_same(started, denoiser(noisy, sigma, mixture))


def test_training_computes_what_evaluation_computes():
    denoiser = awake(TINY)
    noisy, mixture = image(TINY, 6, seed=1), image(TINY, 6, seed=2)
    evaluated = denoiser(noisy, SIGMA, mixture)
    assert_same(denoiser.train()(noisy, SIGMA, mixture), evaluated)


@pytest.mark.parametrize(("logit", "share"), [(-40.0, 0.0), (0.0, 0.5), (40.0, 1.0)])
def test_the_mask_is_the_root_of_a_share_of_amplitudes(logit, share):
    """At an exponent of 0.5: the vocals have that share of the mixture's amplitudes, highs included."""
    denoiser = awake(TINY)
    network = denoiser.network
    nn.init.zeros_(network.leave.weight)
    nn.init.zeros_(network.leave.bias)
    network.leave.bias[:2] = logit
    nn.init.zeros_(network.highs.leave.weight)
    nn.init.zeros_(network.highs.leave.bias)
    mixture, noisy = image(TINY, 4, seed=2), torch.zeros(1, 4, 128, 4)
    sigma = torch.tensor([1e4])  # c_out is sigma_data, c_skip nothing
    answer = denoiser(noisy, sigma, mixture)
    assert torch.allclose(answer, share**0.5 * mixture, atol=1e-4)


def test_full_scale_and_silence_have_gradients():
    denoiser = Denoiser(TINY).train()
    for scale in (0.0, 1e3):
        denoiser.zero_grad()
        answer = denoiser(torch.zeros(1, 4, 128, 4), SIGMA, scale * image(TINY, 4, seed=2))
        answer.square().mean().backward()
        gradients = [parameter.grad for parameter in denoiser.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_the_noise_level_is_heard():
    denoiser = awake(TINY)
    noisy, mixture = torch.zeros(1, 4, 128, 4), image(TINY, 4, seed=2)
    masks = [
        denoiser.network(torch.cat([noisy, mixture], 1), torch.tensor([c]), Context()) for c in (0.1, 0.9)
    ]
    assert not torch.allclose(*masks)


def test_a_narrow_convolution_is_a_convolution():
    """Three linear steps make one; only the middle one has a past."""
    torch.manual_seed(0)
    layer = NarrowConv((5, 7), (3, 4), (3, 6), stride=2, dilation=2, embedding=8).eval()
    x, embedding = torch.randn(1, 5, 9, 16), torch.zeros(1, 8)
    with torch.no_grad():
        whole = torch.einsum(
            "oc,cdtf,di->oitf",
            layer.expand.weight[..., 0, 0],
            layer.spread.weight,
            layer.reduce.weight[..., 0, 0],
        )
        nn.init.zeros_(layer.reduce.bias)
        padded = nn.functional.pad(x, (2, 2, 4, 0))
        expected = nn.functional.conv2d(padded, whole, layer.expand.bias, stride=(1, 2), dilation=(2, 1))
        assert_same(layer(x, embedding, Context()), expected)
    assert layer.past_frames == 4


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"bins": 100}, "bins must be a multiple of 8 and at least 16, got 100"),
        ({"widths": (4, 8)}, "ranks must be given for each level of widths, got 3 and 3 for 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(network, message):
    with pytest.raises(ValueError, match=message):
        changed("tiny-pyramid", **network)


def test_bins_above_must_split_into_bands():
    spectrum = dataclasses.replace(TINY.spectrum, bins=67)
    with pytest.raises(ValueError, match="67 bins do not leave 4 equal bands above 64"):
        Denoiser(dataclasses.replace(TINY, spectrum=spectrum))


def test_without_bins_above_there_are_no_highs():
    spectrum = dataclasses.replace(TINY.spectrum, bins=64)
    denoiser = awake(dataclasses.replace(TINY, spectrum=spectrum))
    assert denoiser.network.highs is None
    assert denoiser(image(denoiser.config, 3), SIGMA, image(denoiser.config, 3, seed=1)).shape == (
        1,
        4,
        64,
        3,
    )


def test_the_docs_show_the_state_of_live():
    with torch.device("meta"):
        shapes = Denoiser(PRESETS["live"]).state_shapes()
    page = (Path(__file__).resolve().parent.parent / "docs" / "network.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[2:5] for line in page.splitlines() if line.startswith(("| down", "| up", "| last"))
    ]
    assert [tuple(map(int, row)) for row in rows] == shapes


def test_the_defaults_are_of_six_levels():
    config = PyramidUNetConfig()
    assert len(config.widths) == 6
    assert config.context_frames == 4 * 63 + 3

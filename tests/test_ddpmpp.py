"""The paper's family: its published size, its attention, its window, and that it learns."""

import dataclasses
import math

import pytest
import torch
from denoisers import assert_same, awake, changed, image
from torch import nn

import diffvs
from diffvs.attention import attend, rotate
from diffvs.config import DdpmppConfig
from diffvs.ddpmpp import DdpmppUNet, SelfAttention, _resampled
from diffvs.edm import Denoiser, heun
from diffvs.layers import Context
from diffvs.presets import PRESETS
from diffvs.sampling import default_sigmas

WINDOWS = [name for name, model in PRESETS.items() if model.network.kind == "window"]
TINY = PRESETS["tiny-window"]
FLOAT32_ANGLES = 1e-5  # of up to 20 radians


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_ddpmpp_has_its_published_size():
    with torch.device("meta"):
        network = DdpmppUNet(3, 3, 32, DdpmppConfig())
    # Known to have 55.7 million parameters for colour images, https://arxiv.org/abs/2206.00364; by hand:
    embedding = 129 * 512 + 513 * 512
    same = (
        2 * 256 + 9 * 256 * 256 + 256 + 513 * 256 + 2 * 256 + 9 * 256 * 256 + 256
    )  # a block of 256 channels
    resampling = same + 257 * 256  # its skip is a convolution
    attention = 2 * 256 + 257 * 768 + 257 * 256

    def wider(channels):  # the block that goes from so many channels to 256
        return same + 2 * (channels - 256) + 9 * (channels - 256) * 256 + (channels + 1) * 256

    encoder = wider(128) + 3 * same + 2 * resampling + 8 * same + 4 * attention
    decoder = 2 * resampling + 14 * wider(512) + wider(384) + attention
    ends = 28 * 128 + 2 * 256 + (9 * 256 + 1) * 3
    assert parameters(network) == embedding + ends + encoder + 2 * same + attention + decoder == 55_732_739


def test_the_paper_preset_has_57_million_parameters():
    with torch.device("meta"):
        assert parameters(diffvs.build(PRESETS["paper"])) == pytest.approx(57e6, rel=0.03)


def test_the_paper_preset_is_what_the_paper_says():
    paper = PRESETS["paper"]
    assert paper.segment / paper.spectrum.sample_rate == pytest.approx(6, rel=0.02)
    assert paper.edm.steps == 7
    assert paper.spectrum.peak_normalise
    assert paper.network.attention == "dual-path"
    assert PRESETS["ddpmpp-norm"].spectrum == paper.spectrum
    assert PRESETS["ddpmpp"].network == DdpmppConfig()
    assert not PRESETS["ddpmpp"].spectrum.peak_normalise
    assert PRESETS["ddpmpp"].spectrum.exponent == 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built_and_fed(name):
    """Shapes only, on the meta device; one window, or a few frames."""
    model = PRESETS[name]
    frames = model.segment_frames if name in WINDOWS else 3
    with torch.device("meta"):
        denoiser = diffvs.build(model)
        noisy = torch.zeros(2, 4, model.spectrum.bins, frames)
        assert denoiser(noisy, torch.ones(2), noisy).shape == noisy.shape
    assert denoiser.causal == (name not in WINDOWS)


@pytest.mark.parametrize("attention", ["pixel", "dual-path"])
def test_every_pixel_hears_every_other(attention, monkeypatch):
    monkeypatch.setattr(nn.GroupNorm, "forward", lambda self, x: x)  # its statistics would carry it as well
    network = awake(changed("tiny-window", attention=attention)).network.double()  # float32 may round it away
    seen = torch.cat([image(TINY, 128, seed=1), image(TINY, 128, seed=2)], dim=1).double()  # far for 3x3s
    c_noise = torch.tensor([-0.05], dtype=torch.float64)
    before = network(seen, c_noise)
    seen[:, 4, 5, 3] += 10
    assert (network(seen, c_noise) != before).all()


def test_a_batch_does_not_mix_and_windows_may_be_longer():
    denoiser = awake(TINY)
    noisy, mixture = image(TINY, 48, seed=1, batch=3), image(TINY, 48, seed=2, batch=3)
    sigma = torch.tensor([0.1, 1.0, 5.0])
    together = denoiser(noisy, sigma, mixture)
    assert together.shape == noisy.shape
    for i in range(3):
        assert_same(together[i : i + 1], denoiser(noisy[i : i + 1], sigma[i : i + 1], mixture[i : i + 1]))


def test_the_noise_level_is_heard():
    denoiser = awake(TINY)
    features = image(TINY, 32).repeat(1, 2, 1, 1)
    one, other = (denoiser.network(features, torch.tensor([c_noise])) for c_noise in (-0.5, 0.4))
    assert (one - other).abs().mean() > 0.01


def test_a_window_has_no_past():
    denoiser = awake(TINY)
    assert denoiser.state_shapes() == []
    noisy, mixture = image(TINY, 32, seed=1), image(TINY, 32, seed=2)
    context = Context([])
    with_context = denoiser(noisy, torch.ones(1), mixture, context)
    assert context.next == []
    assert torch.equal(with_context, denoiser(noisy, torch.ones(1), mixture))


def test_a_fresh_network_answers_nearly_nothing():
    torch.manual_seed(0)
    denoiser = Denoiser(TINY).eval()
    noisy, mixture = image(TINY, 32, seed=1), image(TINY, 32, seed=2)
    c_skip = 0.5**2 / (0.5**2 + 0.8**2)
    torch.testing.assert_close(
        denoiser(noisy, torch.tensor([0.8]), mixture), c_skip * noisy, rtol=0, atol=1e-3
    )


def test_attention_is_softmax_of_scaled_products():
    """Two heads of two channels, three tokens, written out."""
    qkv = torch.randn(1, 12, 1, 3, generator=torch.Generator().manual_seed(0))
    queries, keys, values = qkv[0, :, 0].reshape(3, 2, 2, 3)
    for head in range(2):
        share = torch.softmax(queries[head].T @ keys[head] / math.sqrt(2), dim=-1)
        expected = values[head] @ share.T
        heard = attend(qkv, heads=2, rotary=False)[0, 2 * head : 2 * head + 2, 0]
        torch.testing.assert_close(heard, expected)


def test_rows_do_not_hear_each_other():
    qkv = torch.randn(2, 12, 5, 7, generator=torch.Generator().manual_seed(0))
    before = attend(qkv, heads=2, rotary=True)
    qkv[1, :, 3] += 1
    same = (attend(qkv, heads=2, rotary=True) == before).all(1).all(-1)
    assert (~same).nonzero().tolist() == [[1, 3]]


def test_rotary_products_depend_on_the_distance_alone():
    x, y = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    products = rotate(x.expand(20, 8)) @ rotate(y.expand(20, 8)).T
    for distance in range(-10, 11):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[0].expand_as(diagonal), rtol=0, atol=FLOAT32_ANGLES)
    assert products[0].unique().numel() == 20
    # The first token is not turned; the second turns its four pairs by 1, 1/10, 1/100 and 1/1000 radian.
    torch.testing.assert_close(rotate(x.expand(2, 8))[0], x)
    angles = torch.tensor([1, 0.1, 0.01, 0.001], dtype=torch.float64)
    turned = torch.complex(x[0::2], x[1::2]) * torch.polar(torch.ones_like(angles), angles)
    second = rotate(x.expand(2, 8))[1]
    torch.testing.assert_close(torch.complex(second[0::2], second[1::2]), turned, rtol=0, atol=FLOAT32_ANGLES)


def test_attention_stands_where_karras_et_al_put_it():
    with torch.device("meta"):
        network = DdpmppUNet(3, 3, 32, DdpmppConfig())

    def places(blocks):
        return "".join("A" if block.attention else block.resample or "." for block in blocks)

    assert places(network.encoder) == "....downAAAAdown...."
    assert places(network.middle) == "A."
    assert places(network.decoder) == ".....up....Aup....."


def test_levels_are_halved_and_doubled_by_boxes_of_two():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    halved = _resampled(x, "down")
    assert halved.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    doubled = _resampled(halved, "up")
    assert doubled[0, 0, 1].tolist() == [2.5, 2.5, 4.5, 4.5]
    assert torch.equal(_resampled(doubled, "down"), halved)
    assert _resampled(x, None) is x


@pytest.mark.parametrize(
    ("along", "heard"), [("time", (5, None)), ("frequency", (None, 2)), ("pixels", None)]
)
def test_attention_goes_along_its_axis(along, heard):
    torch.manual_seed(0)
    layer = SelfAttention(8, 2, along).requires_grad_(False)
    layer.norm = torch.nn.Identity()  # which would carry a change everywhere
    layer.project.weight.normal_()
    x = torch.randn(1, 8, 6, 4)
    before = layer(x)
    x[:, :, 5, 2] += 1
    reached = (layer(x) != before).any(1)[0]
    expected = torch.zeros(6, 4, dtype=torch.bool)
    if heard is None:
        expected[:] = True
    elif heard[0] is not None:
        expected[5] = True
    else:
        expected[:, 2] = True
    assert torch.equal(reached, expected)


def test_a_window_network_learns_to_copy_its_condition():
    """A few dozen steps on one example, alike in all bins, leave little of what a fresh network errs."""
    torch.manual_seed(0)
    denoiser = Denoiser(dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, dropout=0.0)))
    target = 0.5 * image(TINY, 8)[:, :, :1].expand(1, 4, 128, 8)
    noisy, sigma = target + 5 * image(TINY, 8, seed=1), torch.tensor([5.0])
    optimiser = torch.optim.Adam(denoiser.parameters(), 1e-2)
    errors = []
    for _ in range(20):
        error = (denoiser(noisy, sigma, target) - target).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


def test_dropout_is_for_training_alone():
    denoiser = awake(TINY)
    noisy, mixture, sigma = image(TINY, 32, seed=1), image(TINY, 32, seed=2), torch.ones(1)
    assert torch.equal(denoiser(noisy, sigma, mixture), denoiser(noisy, sigma, mixture))
    denoiser.train()
    assert not torch.equal(denoiser(noisy, sigma, mixture), denoiser(noisy, sigma, mixture))


def test_the_sampler_runs_on_a_window():
    denoiser = awake(TINY)
    mixture, noise = image(TINY, 32, seed=1), image(TINY, 32, seed=2)
    sigmas = default_sigmas(denoiser)
    vocals = heun(lambda x, sigma: denoiser(x, sigma, mixture), sigmas[0] * noise, sigmas)
    assert vocals.isfinite().all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"width": 6}, "multiple of 4, got 6"),
        ({"attention_level": 2}, r"0\.\.1, got 2"),
        ({"heads": 3}, "8 channels do not split into 3 heads of even size"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        changed("tiny-window", **values)


def test_bins_and_frames_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="128 bins do not split into 48 bands halved 1 times"):
        Denoiser(changed("tiny-window", bands=48))
    odd = image(TINY, 7)
    with pytest.raises(ValueError, match="multiple of 2 frames, got 7"):
        awake(TINY)(odd, torch.ones(1), odd)

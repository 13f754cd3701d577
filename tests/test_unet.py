"""The causal network streams exactly, hears what it may and no more, and means the same in training."""

import dataclasses
from pathlib import Path

import pytest
import torch
from denoisers import SIGMA, assert_same, awake, changed, image, streamed

from diffvs.config import CausalUNetConfig, EdmConfig, ModelConfig
from diffvs.edm import Denoiser, preconditioning
from diffvs.layers import BRANCH_GAIN, Context, FrequencyMixer, MPConv, normalise
from diffvs.presets import PRESETS

TINY = PRESETS["tiny"]
CAUSAL = [name for name, model in PRESETS.items() if model.network.kind == "causal"]


def random_chunks(total, seed):
    """Lengths that sum to `total`, many of them 1."""
    generator = torch.Generator().manual_seed(seed)
    chunks = []
    while sum(chunks) < total:
        longest = 2 if torch.rand([], generator=generator) < 0.5 else 9
        wanted = int(torch.randint(1, longest, [], generator=generator))
        chunks.append(min(wanted, total - sum(chunks)))
    return chunks


def inputs(config, frames):
    return image(config, frames, seed=1), image(config, frames, seed=2)


@pytest.mark.parametrize("name", CAUSAL)
def test_streaming_equals_the_whole(name):
    denoiser = awake(PRESETS[name])
    noisy, mixture = inputs(denoiser.config, frames=12)
    part = streamed(denoiser, noisy, mixture, random_chunks(12, seed=0))
    assert_same(part, denoiser(noisy, SIGMA, mixture))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_streaming_equals_the_whole_however_it_is_cut(lookahead, seed):
    denoiser = awake(changed("tiny", lookahead_frames=lookahead))
    frames = 3 * denoiser.config.network.context_frames  # every layer's past is used and replaced
    noisy, mixture = inputs(denoiser.config, frames)
    part = streamed(denoiser, noisy, mixture, random_chunks(frames, seed))
    assert_same(part, denoiser(noisy, SIGMA, mixture))


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_the_future_beyond_the_lookahead_leaves_the_past_alone(lookahead):
    denoiser = awake(changed("tiny", lookahead_frames=lookahead))
    noisy, mixture = inputs(denoiser.config, frames=20)
    before = denoiser(noisy, SIGMA, mixture)
    for changed_image in (noisy, mixture):
        changed_image[..., 12:] += 3
        after = denoiser(noisy, SIGMA, mixture)
        assert torch.equal(after[..., :12], before[..., :12])
        assert not torch.isclose(after[..., 12], before[..., 12]).any(1).all()
        before = after


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_an_answer_belongs_to_the_mixture_of_lookahead_frames_ago(lookahead):
    """A head that is nothing but the mask 1 answers with the mixture, so late."""
    denoiser = awake(changed("tiny", lookahead_frames=lookahead))
    denoiser.network.forward = lambda x, c_noise, context: torch.cat(
        [torch.ones_like(x[:, :4]) * torch.tensor([1, 0, 1, 0])[:, None, None], torch.zeros_like(x[:, :4])], 1
    )
    _, mixture = inputs(denoiser.config, frames=8)
    sigma = torch.tensor([1e4])  # c_skip is 0, c_out is sigma_data, which undoes the scaling of the condition
    answer = denoiser(torch.zeros_like(mixture), sigma, mixture)
    torch.testing.assert_close(answer[..., lookahead:], mixture[..., : 8 - lookahead], rtol=1e-4, atol=1e-4)
    assert not answer[..., :lookahead].any()


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_context_is_what_the_network_hears(blocks):
    config = changed("tiny", blocks=blocks)
    denoiser, context = awake(config), config.network.context_frames
    noisy, mixture = inputs(config, frames=context + 8)
    before = denoiser(noisy, SIGMA, mixture)
    mixture[..., 3] += 10
    heard = (denoiser(noisy, SIGMA, mixture) != before).any(0).any(0).any(0)
    assert heard.nonzero().flatten().tolist() == list(range(3, 3 + context + 1))


def test_every_frequency_of_a_frame_is_heard_by_every_other():
    denoiser = awake(PRESETS["tiny"])
    noisy, mixture = inputs(denoiser.config, frames=1)
    before = denoiser(noisy, SIGMA, mixture)
    mixture[:, :, 5] += 10
    assert (denoiser(noisy, SIGMA, mixture) != before).any(1).all()


@pytest.mark.parametrize("name", ["tiny", "live-scratch"])
def test_training_computes_what_evaluation_computes(name):
    denoiser = awake(PRESETS[name])
    noisy, mixture = inputs(denoiser.config, frames=6)
    evaluated = denoiser(noisy, SIGMA, mixture)
    trained = denoiser.train()(noisy, SIGMA, mixture)
    assert_same(trained, evaluated)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_the_state_is_shaped_as_announced_and_starts_as_silence(lookahead):
    denoiser = awake(changed("tiny", lookahead_frames=lookahead))
    shapes = denoiser.state_shapes()
    # Encoder, middle and decoder in order: (channels, frequencies, 2 * dilation); last the delayed mixture.
    blocks = [(8, 32, 2), (16, 16, 4), (16, 16, 4), (16, 16, 2), (16, 16, 4), (8, 32, 2)]
    assert shapes == blocks + [(4, 128, lookahead)] * (lookahead > 0)
    context = Context([torch.zeros(2, *shape) for shape in shapes])
    noisy, mixture = image(denoiser.config, 3, seed=1, batch=2), image(denoiser.config, 3, seed=2, batch=2)
    sigma = torch.tensor([0.8, 5.0])
    started = denoiser(noisy, sigma, mixture, context)
    assert [tuple(state.shape) for state in context.next] == [(2, *shape) for shape in shapes]
    assert_same(started, denoiser(noisy, sigma, mixture))


def test_a_state_of_another_network_is_refused():
    denoiser = awake(PRESETS["tiny"])
    noisy, mixture = inputs(denoiser.config, frames=1)
    state = [torch.zeros(1, *shape) for shape in denoiser.state_shapes()]
    with pytest.raises(ValueError, match="holds 5 tensors, the network needs more"):
        denoiser(noisy, SIGMA, mixture, Context(state[:-1]))


def test_examples_of_a_batch_do_not_meet():
    denoiser = awake(PRESETS["tiny"])
    noisy, mixture = image(denoiser.config, 5, seed=1, batch=3), image(denoiser.config, 5, seed=2, batch=3)
    sigma = torch.tensor([0.1, 1.0, 5.0])
    together = denoiser(noisy, sigma, mixture)
    for i in range(3):
        alone = denoiser(noisy[i : i + 1], sigma[i : i + 1], mixture[i : i + 1])
        assert_same(together[i : i + 1], alone)


def test_the_noise_level_is_heard():
    denoiser = awake(PRESETS["tiny"])
    x, mixture = inputs(denoiser.config, frames=2)
    c_noise = torch.tensor([-0.5]), torch.tensor([0.4])
    features = torch.cat([x, mixture], dim=1)
    one, other = (denoiser.network(features, value, Context()) for value in c_noise)
    assert (one - other).abs().mean() > 0.001


def test_a_fresh_network_answers_nothing_and_its_denoiser_with_the_skip():
    denoiser = Denoiser(PRESETS["tiny"])
    noisy, mixture = inputs(denoiser.config, frames=2)
    c_skip = 0.5**2 / (0.5**2 + 0.8**2)
    torch.testing.assert_close(denoiser(noisy, SIGMA, mixture), c_skip * noisy)


def test_weights_of_any_size_mean_the_same():
    """Only the direction of a magnitude-preserving weight counts."""
    denoiser = awake(PRESETS["tiny"])
    noisy, mixture = inputs(denoiser.config, frames=3)
    before = denoiser(noisy, SIGMA, mixture)
    for module in denoiser.modules():
        if isinstance(module, MPConv):
            module.weight.mul_(7.0)
    # The 1e-4 that keeps a weight of length 0 from dividing by it is felt by short weights a little more.
    torch.testing.assert_close(denoiser(noisy, SIGMA, mixture), before, rtol=1e-3, atol=5e-3)


def test_normalised_weights_have_unit_rows():
    weight = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    lengths = normalise(weight).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(5), rtol=1e-3, atol=0)


def test_layers_keep_the_magnitude_of_unit_input():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 64, 32, 20, generator=generator)
    torch.manual_seed(0)
    for kernel in ((1, 1), (3, 3)):
        answer = MPConv(64, 128, kernel)(x, Context()).detach()
        assert float(answer[:, :, 1:-1, 2:].std()) == pytest.approx(1, rel=0.1)
    denoiser = awake(
        ModelConfig(name="deep", network=CausalUNetConfig(widths=(32, 32, 32), dilations=(1, 1, 1), bands=16))
    )
    features = torch.randn(1, 8, 1024, 20, generator=generator)
    answer = denoiser.network(features, torch.zeros(1), Context()) / 0.7  # the gain of the last layer
    assert 0.5 < float(answer[..., 10:].std()) < 2


def test_the_mixer_is_the_sum_of_two_maps_along_frequency():
    torch.manual_seed(0)
    mixer = FrequencyMixer(frequencies=16, bottleneck=2)
    x = torch.randn(2, 3, 16, 5)
    hidden = torch.nn.functional.silu(torch.einsum("hf,bcft->bcht", normalise(mixer.narrow), x))
    expected = torch.einsum("fh,bcht->bcft", normalise(mixer.widen), hidden)
    ratio = mixer(x) / expected
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=0)
    wide = FrequencyMixer(frequencies=256, bottleneck=1)(torch.randn(4, 8, 256, 5))
    assert wide.std().item() == pytest.approx(BRANCH_GAIN, rel=0.1)  # what a branch brings to its trunk


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="128 bins do not split into 48 bands halved 1 times"):
        Denoiser(changed("tiny", bands=48))
    with pytest.raises(ValueError, match="one dilation per level: got 1 for 2 widths"):
        changed("tiny", dilations=(1,))


def test_twice_the_data_under_twice_the_noise_is_the_same_problem():
    config = dataclasses.replace(PRESETS["tiny"], edm=EdmConfig(sigma_data=1.0))
    one, two = awake(PRESETS["tiny"]), awake(config)
    for denoiser in (one, two):  # but the network is told the noise level itself: let it not listen
        for name, parameter in denoiser.named_parameters():
            if name.endswith("embed_gain"):
                parameter.zero_()
    noisy, mixture = inputs(config, frames=3)
    assert_same(two(2 * noisy, 2 * SIGMA, 2 * mixture), 2 * one(noisy, SIGMA, mixture))


def test_the_docs_show_the_state_of_live_scratch():
    with torch.device("meta"):
        shapes = Denoiser(PRESETS["live-scratch"]).state_shapes()
    page = (Path(__file__).resolve().parent.parent / "docs" / "network.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[2:5] for line in page.splitlines() if line.startswith(("| encoder", "| mid", "| dec"))
    ]
    assert [tuple(map(int, row)) for row in rows] == shapes


@pytest.mark.parametrize("sigma", [5.0, 1.0, 0.1])
def test_gains_of_the_noisy_image_can_cancel_its_noise(sigma, monkeypatch):
    """Without them c_skip lets noise through that the network would have to carry bin by bin."""
    denoiser = awake(changed("tiny", noisy_gain=True))
    noisy = sigma * image(TINY, 6, seed=1)
    c_skip, c_out, c_in, _ = preconditioning(torch.tensor(sigma), denoiser.sigma_data)
    output = torch.zeros(1, 12, TINY.spectrum.bins, 6)
    output[:, 8:] = -c_skip / (c_out * c_in)
    monkeypatch.setattr(denoiser.network, "forward", lambda *_: output)
    answer = denoiser(noisy, torch.tensor([sigma]), image(TINY, 6))
    assert float(answer.abs().max()) < 1e-5 * sigma


def test_a_fresh_network_has_no_gains_yet():
    """So that training may go on with them from weights without."""
    torch.manual_seed(0)
    without = Denoiser(TINY).eval().requires_grad_(False)
    denoiser = Denoiser(changed("tiny", noisy_gain=True)).eval().requires_grad_(False)
    missing, unexpected = denoiser.load_state_dict(without.state_dict(), strict=False)
    assert (sorted(missing), unexpected) == (["network.weigh.weight", "network.weigh_gain"], [])
    noisy, mixture, sigma = image(TINY, 4), image(TINY, 4, seed=1), torch.tensor([2.0])
    assert_same(denoiser(noisy, sigma, mixture), without(noisy, sigma, mixture))

"""The sampler over a whole song: equal however it is cut, aligned to the sample, reproducible."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from denoisers import assert_same, awake, changed
from signals import residual_db

from diffvs.edm import heun, karras_sigmas
from diffvs.presets import PRESETS
from diffvs.sampling import (
    StreamingSampler,
    default_sigmas,
    frame_noise,
    separate,
    separate_causal,
    separate_windows,
)
from diffvs.spectrum import analyse

TINY = PRESETS["tiny"]
SIGMAS = karras_sigmas(2, 0.05, 5.0)  # three evaluations
ONE_LOUD_STEP = [2e3, 0.0]  # so much noise that next to nothing of the noisy image is left in the answer


def song(samples, seed=0):
    """Swelling and fading noise (2, samples), low-passed so that no model drops any of it."""
    noise = np.random.default_rng(seed).standard_normal((2, samples + 31))
    smooth = np.stack([np.convolve(channel, np.hanning(32), "valid") for channel in noise])
    return torch.from_numpy((0.05 * smooth * np.hanning(samples)).astype(np.float32))


def answering_with_the_mixture(model):
    """A denoiser whose network is replaced by a mask of 1 (causal), or by the condition itself (window)."""
    denoiser = awake(model)

    def mask(x, c_noise, context):
        one = torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None, None].expand_as(x[:, :4])
        return torch.cat([one, torch.zeros_like(one)], dim=1)

    denoiser.network.forward = mask if denoiser.causal else lambda x, c_noise: x[:, 4:]
    return denoiser


def test_the_noise_of_a_frame_depends_on_its_number_alone():
    long = frame_noise(0, 12, bins=16)
    assert long.shape == (1, 4, 16, 12)
    assert torch.equal(frame_noise(4, 3, bins=16), long[..., 4:7])
    assert torch.equal(frame_noise(2**40 + 1, 1, bins=16), frame_noise(2**40, 2, bins=16)[..., 1:])
    assert long.unique().numel() == long.numel()
    assert not torch.equal(frame_noise(0, 12, bins=16, seed=1), long)


def test_the_noise_is_unit_normal():
    noise = frame_noise(1_000, 50, bins=1_024)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float((noise.abs() > 2).float().mean()) == pytest.approx(0.0455, abs=0.002)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_a_song_in_pieces_is_the_song(lookahead):
    denoiser = awake(changed("tiny", lookahead_frames=lookahead))
    wave = song(5_001)
    whole = separate_causal(denoiser, wave, SIGMAS)
    for frames in (1, 7, 40):
        assert_same(separate_causal(denoiser, wave, SIGMAS, piece_frames=frames), whole)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_a_model_that_follows_the_level_separates_at_any_level_alike(lookahead):
    spectrum = dataclasses.replace(TINY.spectrum, level_seconds=0.05)
    model = dataclasses.replace(changed("tiny", lookahead_frames=lookahead), spectrum=spectrum)
    denoiser, wave = awake(model), song(15_000)[:, 5_000:10_001]
    wave[:, 2_500:] *= 10
    whole = separate_causal(denoiser, wave, SIGMAS)
    assert_same(separate_causal(denoiser, wave, SIGMAS, piece_frames=7), whole)
    louder = separate_causal(denoiser, 8 * wave, SIGMAS)
    assert residual_db(louder.numpy() / 8, whole.numpy()) < -80
    echo = answering_with_the_mixture(model)
    vocals = separate_causal(echo, wave, ONE_LOUD_STEP, piece_frames=5)
    assert residual_db(vocals.numpy(), wave.numpy()) < -50  # each frame got its own level back


def test_streaming_is_sampling_the_whole_image_at_once():
    denoiser = awake(TINY)
    image = analyse(song(30 * 128)[None], TINY.spectrum)
    sampler = StreamingSampler(denoiser, SIGMAS)
    streamed = torch.cat([sampler.process(part) for part in image.split(4, dim=-1)], dim=-1)
    noise = frame_noise(0, 30, TINY.spectrum.bins)
    whole = heun(lambda x, sigma: denoiser(x, sigma, image), SIGMAS[0] * noise, SIGMAS)
    assert_same(streamed, whole)
    assert sampler.evaluations == 3
    assert sampler.frame == 30


def test_after_a_reset_everything_is_as_at_first():
    denoiser = awake(TINY)
    first, second = analyse(song(20 * 128)[None], TINY.spectrum).split(10, dim=-1)
    sampler = StreamingSampler(denoiser, SIGMAS)
    at_first = sampler.process(first)
    assert not torch.equal(sampler.process(first), at_first)  # the past and the noise are others
    sampler.process(second)
    sampler.reset()
    assert torch.equal(sampler.process(first), at_first)


@pytest.mark.parametrize("lookahead", [0, 1, 3])
@pytest.mark.parametrize("samples", [1_000, 1_024, 1_025, 4_999])
def test_vocals_are_aligned_to_the_sample(lookahead, samples):
    denoiser = answering_with_the_mixture(changed("tiny", lookahead_frames=lookahead))
    wave = song(samples)
    vocals = separate_causal(denoiser, wave, ONE_LOUD_STEP, piece_frames=5)
    assert residual_db(vocals.numpy(), wave.numpy()) < -60  # one sample off is above -20


@pytest.mark.parametrize("name", ["tiny", "tiny-window"])
@pytest.mark.parametrize("samples", [0, 1, 127, 129, 3_712, 3_713, 6_001])
def test_vocals_are_as_long_as_the_song(name, samples):
    denoiser = awake(PRESETS[name])
    vocals = separate(denoiser, torch.randn(2, samples), default_sigmas(denoiser))
    assert vocals.shape == (2, samples)
    assert vocals.isfinite().all()


@pytest.mark.parametrize("samples", [100, 3_712, 9_001])
def test_windows_are_aligned_faded_and_at_their_level(samples):
    spectrum = dataclasses.replace(PRESETS["tiny-window"].spectrum, bins=256)
    denoiser = answering_with_the_mixture(dataclasses.replace(PRESETS["tiny-window"], spectrum=spectrum))
    wave = song(samples)
    vocals = separate_windows(denoiser, wave, ONE_LOUD_STEP)
    assert residual_db(vocals.numpy(), wave.numpy()) < -60


def test_windows_share_the_noise_where_they_overlap():
    denoiser = answering_with_the_mixture(PRESETS["tiny-window"])
    heard, noises = denoiser.forward, []

    def listen(x, sigma, mixture):
        noises.append(x / sigma)
        return heard(x, sigma, mixture)

    denoiser.forward = listen
    separate_windows(denoiser, song(6_000), ONE_LOUD_STEP)
    assert len(noises) == 3
    stride = 14  # half of the 29 frames of a window that are whole
    for one, following in itertools.pairwise(noises):
        torch.testing.assert_close(one[..., stride:], following[..., :-stride])


@pytest.mark.parametrize("name", ["tiny", "tiny-window"])
def test_the_noise_is_as_strong_as_the_temperature_says(name):
    denoiser, seen = awake(PRESETS[name]), []
    denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def start(temperature):
        separate(denoiser, song(500), ONE_LOUD_STEP, temperature=temperature)
        return seen[-1]

    full, quarter, none = start(None), start(0.25), start(0.0)
    assert full.std() == pytest.approx(ONE_LOUD_STEP[0], rel=0.05)
    torch.testing.assert_close(quarter, full / 4)
    assert not none.any()


def test_the_temperature_is_the_models_own_unless_another_is_given():
    cool = awake(dataclasses.replace(TINY, edm=dataclasses.replace(TINY.edm, temperature=0.5)))
    wave = song(500)
    assert torch.equal(separate(cool, wave, SIGMAS), separate(awake(TINY), wave, SIGMAS, temperature=0.5))
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be 0 or above"):
            dataclasses.replace(TINY.edm, temperature=wrong)


def test_separation_follows_the_kind_of_model():
    wave = song(2_000)
    for name, method in (("tiny", separate_causal), ("tiny-window", separate_windows)):
        denoiser = awake(PRESETS[name])
        assert torch.equal(separate(denoiser, wave, SIGMAS), method(denoiser, wave, SIGMAS))


@pytest.mark.parametrize("name", ["tiny", "tiny-window"])
def test_progress_grows_to_the_end_of_the_song(name):
    told = []
    separate(awake(PRESETS[name]), song(140_000 if name == "tiny" else 9_000), ONE_LOUD_STEP, told.append)
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (140_000 if name == "tiny" else 9_000)


def test_sigmas_are_those_of_the_model_unless_steps_are_given():
    edm = dataclasses.replace(TINY.edm, steps=3, sigma_min=0.1, sigma_max=2.0, rho=5.0)
    denoiser = awake(dataclasses.replace(TINY, edm=edm))
    assert default_sigmas(denoiser) == karras_sigmas(3, 0.1, 2.0, 5.0)
    assert default_sigmas(denoiser, steps=1) == [pytest.approx(2.0), 0.0]

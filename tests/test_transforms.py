"""The live transform and back: the image of the training, and the input again at the latency of the spec."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from denoisers import awake
from signals import noise, residual_db

import diffvs.spectrum
from diffvs.config import SpectrumConfig
from diffvs.presets import PRESETS
from export.convert import make_spec
from stream.separation.separator import windows
from stream.separation.spec import ModelSpec
from stream.separation.spectrum import compress, expand, make_spectra, transforms

EXACT_DB = -120.0  # float32 there and back adds about -140 dB of rounding
# n_fft, hop_length, synthesis_length
SIZES = [
    (2048, 1024, 0),
    (256, 64, 256),
    (4096, 1024, 2048),
    (4096, 1024, 3072),
    (2048, 256, 512),
    (1280, 160, 480),
]


def sizes_of(n_fft: int, hop_length: int, synthesis_length: int, exponent: float = 0.5) -> SpectrumConfig:
    return SpectrumConfig(
        n_fft=n_fft,
        hop_length=hop_length,
        synthesis_length=synthesis_length,
        bins=n_fft // 16 * 7,
        exponent=exponent,
    )


def described(config: SpectrumConfig) -> ModelSpec:
    """What the export of a model with this spectrum says."""
    model = dataclasses.replace(PRESETS["tiny"], spectrum=config)
    return make_spec(awake(model), {}, licence="", attribution="")


@pytest.mark.parametrize("sizes", SIZES)
def test_the_network_sees_the_image_that_it_was_trained_with(sizes: tuple[int, int, int]) -> None:
    config = sizes_of(*sizes)
    spec = described(config)
    mixture = noise(20 * spec.hop_length)
    spectra, image = make_spectra(spec, 20), np.empty((1, 4, spec.bins, 20), np.float32)
    transforms(spec)[0].process(mixture, spectra)
    compress(spectra, spec, image)
    expected = diffvs.spectrum.analyse(torch.from_numpy(mixture.T.copy())[None], config).numpy()
    assert residual_db(image, expected) < EXACT_DB


@pytest.mark.parametrize("sizes", SIZES)
def test_an_image_sounds_as_in_training(sizes: tuple[int, int, int]) -> None:
    config = sizes_of(*sizes)
    spec = described(config)
    image = torch.randn(1, 4, spec.bins, 20, generator=torch.Generator().manual_seed(0))
    spectra, vocals = make_spectra(spec, 20), np.empty((20 * spec.hop_length, 2), np.float32)
    expand(image.numpy(), spec, spectra)
    transforms(spec)[1].process(spectra, vocals)
    expected = diffvs.spectrum.synthesise(image, config)[0].numpy().T
    assert spec.latency == config.latency
    assert residual_db(vocals[spec.latency :], expected[: -spec.latency]) < EXACT_DB


@pytest.mark.parametrize("sizes", SIZES)
def test_what_is_analysed_comes_back_at_the_latency_of_the_spec(sizes: tuple[int, int, int]) -> None:
    n_fft, hop, length = sizes
    spec = described(sizes_of(*sizes))
    assert spec.latency == (length or n_fft) - hop
    mixture = noise(8 * n_fft)
    spectra, back = make_spectra(spec, len(mixture) // hop), np.empty_like(mixture)
    analysis, synthesis = transforms(spec)
    analysis.process(mixture, spectra)
    synthesis.process(spectra, back)
    assert residual_db(back[spec.latency :], mixture[: -spec.latency]) < EXACT_DB
    assert np.abs(back[: spec.latency]).max() < 1e-6  # nothing comes before its time


@pytest.mark.parametrize(("n_fft", "hop", "length"), [(4096, 1024, 2048), (960, 120, 360), (12, 2, 4)])
def test_the_windows_are_those_of_the_definition(n_fft: int, hop: int, length: int) -> None:
    analysis, synthesis = windows(n_fft, hop, length)
    assert (analysis.shape, synthesis.shape) == ((n_fft,), (length,))
    rise, scale = n_fft - length / 2, math.sqrt(2 * hop / n_fft)
    for n in range(n_fft):
        wanted = math.sin(math.pi * n / 2 / rise) if n < rise else math.cos(math.pi * (n - rise) / length)
        assert analysis[n] == pytest.approx(scale * wanted, abs=1e-7)
    product = analysis[-length:] * synthesis
    hann = np.sin(np.pi * np.arange(length) / length) ** 2 * (2 * hop / length)
    np.testing.assert_allclose(product, hann, atol=1e-7)
    np.testing.assert_allclose(np.sum(product.reshape(-1, hop), axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("length", [0, 2048])
def test_a_synthesis_of_whole_frames_has_square_root_hann_windows(length: int) -> None:
    expected = np.sin(np.pi * np.arange(2048) / 2048) * (2 * 512 / 2048) ** 0.5
    for window in windows(2048, 512, length):
        np.testing.assert_allclose(window, expected, rtol=1e-6)


@pytest.mark.parametrize("sizes", SIZES)
def test_noise_is_as_loud_in_the_image_whatever_the_synthesis(sizes: tuple[int, int, int]) -> None:
    analysis, _ = windows(*sizes)
    assert np.sum(np.square(analysis, dtype=np.float64)) == pytest.approx(sizes[1], rel=1e-6)


@pytest.mark.parametrize("exponent", [0.334, 0.5, 1.0])
def test_amplitudes_are_compressed_as_in_training(exponent: float) -> None:
    config = sizes_of(128, 64, 0, exponent)
    spec = described(config)
    values = noise(2 * 5 * 65).view(np.complex64).reshape(5, 2, 65)
    linear = torch.view_as_real(torch.from_numpy(values[..., :56]))  # (frames, channels, bins, parts)
    expected = diffvs.spectrum.compress(linear.permute(1, 3, 2, 0).reshape(1, 4, 56, 5), config)
    image = np.empty((1, 4, 56, 5), np.float32)
    compress(values, spec, image)
    np.testing.assert_allclose(image, expected.numpy(), rtol=1e-5, atol=1e-6)
    back = np.zeros_like(values)
    expand(image, spec, back)
    np.testing.assert_allclose(back[..., :56], values[..., :56], rtol=1e-4, atol=1e-6)

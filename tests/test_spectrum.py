"""The representation: what goes in comes out, frames stand where they should, levels obey the exponent."""

import numpy as np
import pytest
import torch
from signals import residual_db

from diffvs.config import SpectrumConfig
from diffvs.presets import PRESETS
from diffvs.spectrum import (
    QUIET,
    RunningLevel,
    analyse,
    compress,
    expand,
    level,
    modulus,
    synthesise,
    windows,
)

CONFIGS = {
    "live": PRESETS["live"].spectrum,
    "paper": PRESETS["paper"].spectrum,
    "ddpmpp": PRESETS["ddpmpp"].spectrum,
    "overlap of 4": SpectrumConfig(n_fft=512, hop_length=128, bins=200, exponent=0.7),
    "short synthesis": SpectrumConfig(n_fft=4096, hop_length=1024, synthesis_length=2048, bins=2048),
    "short synthesis of 6 hops": SpectrumConfig(n_fft=512, hop_length=32, synthesis_length=192, bins=256),
    "all bins": SpectrumConfig(n_fft=64, hop_length=32, bins=33, exponent=0.3),
}
# Float32 has 24 bits: each of a transform and back adds about -140 dB of rounding.
EXACT_DB = -120
# The window's side lobes carry a little of a band-limited signal over the highest bin that is kept.
BAND_LIMITED_DB = -100


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    return request.param


def band_limited_noise(config: SpectrumConfig, frames: int, share: float, seed: int = 0) -> torch.Tensor:
    """Noise (1, 2, frames * hop) below `share` of the highest frequency that is kept, at about -20 dBFS.

    It swells and fades: a sudden start has every frequency.
    """
    samples = frames * config.hop_length
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((1, 2, samples)))
    spectrum[..., int(share * config.bins / config.n_fft * samples) :] = 0
    wave = np.fft.irfft(spectrum, samples) * np.hanning(samples) ** 2
    return torch.from_numpy((0.1 * wave / wave.std()).astype(np.float32))


def complete(waveform: torch.Tensor, config: SpectrumConfig) -> np.ndarray:
    """All but the last samples, whose later frames are not in the image."""
    return waveform[..., : waveform.shape[-1] - config.latency].numpy()


def test_band_limited_signals_come_back(config):
    wave = band_limited_noise(config, frames=24, share=0.5)
    back = synthesise(analyse(wave, config), config)
    assert back.shape == wave.shape
    assert residual_db(complete(back, config), complete(wave, config)) <= BAND_LIMITED_DB


@pytest.mark.parametrize("synthesis_length", [0, 32 * 2, 32 * 3])
def test_with_all_bins_everything_comes_back(synthesis_length):
    config = SpectrumConfig(n_fft=128, hop_length=32, bins=65, synthesis_length=synthesis_length)
    wave = band_limited_noise(config, frames=100, share=1.0)
    back = synthesise(analyse(wave, config), config)
    assert residual_db(complete(back, config), complete(wave, config)) <= EXACT_DB


def test_what_lies_above_the_kept_bins_is_gone():
    config = CONFIGS["overlap of 4"]
    samples = 40 * config.hop_length
    phase = torch.arange(samples) * (2 * np.pi * 240 / config.n_fft)  # bin 240 of 257, 200 are kept
    back = synthesise(analyse(phase.sin().expand(1, 2, -1), config), config)
    assert back[..., config.n_fft : -config.n_fft].abs().max() < 1e-2


@pytest.mark.parametrize("synthesis_length", [0, 128])
def test_a_frame_is_the_transform_of_the_samples_that_end_with_its_hop(synthesis_length):
    config = SpectrumConfig(
        n_fft=256, hop_length=64, synthesis_length=synthesis_length, bins=128, exponent=0.5, scale=3.0
    )
    wave = band_limited_noise(config, frames=12, share=1.0)
    frame = 7
    heard = wave[0, 1, (frame + 1) * 64 - 256 : (frame + 1) * 64].double().numpy()
    expected = np.fft.rfft(heard * windows(config)[0].double().numpy())[:128] / 256**0.5
    expected = 3.0 * np.sqrt(np.abs(expected)) * np.exp(1j * np.angle(expected))
    image = analyse(wave, config)
    np.testing.assert_allclose(image[0, 2, :, frame], expected.real, atol=1e-5)
    np.testing.assert_allclose(image[0, 3, :, frame], expected.imag, atol=1e-5)


def test_windows_overlap_add_to_one(config):
    analysis, synthesis = windows(config)
    product = analysis[-len(synthesis) :].double() * synthesis
    total = product.reshape(-1, config.hop_length).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-6, atol=0)


def test_channels_do_not_mix(config):
    wave = band_limited_noise(config, frames=4, share=0.5)
    wave[:, 1] = 0
    image = analyse(wave, config)
    assert not image[:, 2:].any()
    assert not synthesise(image, config)[:, 1].any()


def test_amplitudes_are_transformed_and_phases_kept(config):
    linear = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    compressed = compress(linear, config)
    torch.testing.assert_close(modulus(compressed), config.scale * modulus(linear) ** config.exponent)
    angle = torch.atan2(linear[:, 1::2], linear[:, 0::2])
    torch.testing.assert_close(torch.atan2(compressed[:, 1::2], compressed[:, 0::2]), angle)


def test_expanding_undoes_compressing_at_every_level(config):
    levels = torch.logspace(-5, 3, 40)
    angles = torch.linspace(-3.1, 3.1, 40)
    linear = torch.stack([levels * angles.cos(), levels * angles.sin()] * 2)[None, :, :, None]
    # Powers in float32 lose a few units in the last place; amplitudes near TINY lose a little more.
    torch.testing.assert_close(expand(compress(linear, config), config), linear, rtol=1e-5, atol=1e-10)


def test_a_level_goes_through_the_exponent(config):
    wave = band_limited_noise(config, frames=4, share=1.0)
    quiet, loud = analyse(wave, config), analyse(20 * wave, config)
    torch.testing.assert_close(loud, 20**config.exponent * quiet, rtol=1e-3, atol=1e-4 * config.scale)


def test_silence_is_silent_and_has_a_gradient(config):
    wave = torch.zeros(1, 2, 8 * config.hop_length)
    image = analyse(wave, config)
    assert not image.any()
    image.requires_grad_()
    back = synthesise(image, config)
    assert not back.any()
    back.sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()


def test_no_samples_make_no_frames_and_one_hop_makes_one(config):
    assert analyse(torch.zeros(1, 2, config.hop_length), config).shape == (1, 4, config.bins, 1)
    assert synthesise(torch.zeros(3, 4, config.bins, 1), config).shape == (3, 2, config.hop_length)


def test_the_level_is_the_peak_of_the_mixture_where_a_model_asks_for_it():
    mixtures = torch.tensor([[[0.1, -0.5], [0.2, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert level(mixtures, CONFIGS["paper"]).flatten().tolist() == pytest.approx([0.5, QUIET])
    assert level(mixtures, CONFIGS["live"]).flatten().tolist() == [1, 1]


def levels(waves: list[torch.Tensor], seconds: float = 0.5) -> np.ndarray:
    """The running level of each frame of (2, samples) one after the other, undone of the exponent."""
    config = SpectrumConfig(n_fft=256, hop_length=128, bins=129, level_seconds=seconds)
    image = analyse(torch.cat(waves, dim=1)[None], config)
    running = RunningLevel(config)
    pieces = [running.follow(piece) for piece in image.split(7, dim=-1)]
    whole = RunningLevel(config).follow(image)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), whole)
    return whole.flatten().numpy() ** (1 / config.exponent)


def noise(seconds: float, rms: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return rms * torch.randn(2, round(44_100 * seconds / 128) * 128, generator=generator)


def test_the_running_level_of_steady_noise_is_its_root_mean_square():
    assert levels([noise(3, 0.1)])[20:] == pytest.approx(0.1, rel=0.05)


def test_the_running_level_follows_an_onset_at_once_and_a_fall_as_slowly_as_asked():
    loud = levels([noise(2, 0.01), noise(1, 0.1)])
    onset = len(noise(2, 0)[0]) // 128
    assert loud[onset + 3 :].min() > 0.07
    quiet = levels([noise(2, 0.1), noise(6, 0.01)])
    # Powers 1 and 0.01, weighted by themselves and by age, are equal after ln(1e4) times 0.5 s.
    equal = onset + round(0.5 * np.log(1e4) * 44_100 / 128)
    assert quiet[equal] == pytest.approx(0.01 * 2**0.5, rel=0.1)
    assert quiet[-1] == pytest.approx(0.01, rel=0.1)


def test_a_pause_leaves_the_running_level_and_a_long_one_forgets_it():
    pause = levels([noise(2, 0.1), torch.zeros(2, 128 * 345)])  # 1 s
    assert pause[-1] == pytest.approx(0.1, rel=0.05)
    assert levels([noise(2, 0.1), torch.zeros(2, 128 * 345 * 30)])[-1] == pytest.approx(QUIET)
    assert levels([torch.zeros(2, 1280)]).tolist() == pytest.approx([QUIET] * 10)


def test_without_seconds_the_level_is_left_as_it_is():
    assert levels([noise(1, 0.1)], seconds=0.0).tolist() == [1] * 345


@pytest.mark.parametrize("shape", [(1, 1, 1024), (1, 2, 1000), (1, 3, 2048)])
def test_waveforms_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="multiple of 1024"):
        analyse(torch.zeros(shape), PRESETS["live"].spectrum)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"n_fft": 1000, "hop_length": 300}, "overlap-add, got 1000 and 300"),
        ({"n_fft": 1024, "hop_length": 1024, "bins": 512}, "times 2 or more"),
        ({"n_fft": 1024, "hop_length": 0}, "times 2 or more"),
        ({"synthesis_length": 1024}, "0 or 2 hops or more and at most n_fft, in whole hops, got 1024"),
        ({"n_fft": 4096, "synthesis_length": 2560}, "in whole hops, got 2560"),
        ({"synthesis_length": 3072}, "at most n_fft, in whole hops, got 3072"),
        ({"synthesis_length": -2048}, "got -2048"),
        ({"bins": 1026}, r"1\.\.1025 for n_fft 2048, got 1026"),
        ({"bins": 0}, "got 0"),
        ({"exponent": 0.0}, r"\(0, 1\], got 0.0"),
        ({"exponent": 1.5}, "got 1.5"),
        ({"level_seconds": -1.0}, "level_seconds must be 0 or above, got -1.0"),
        ({"level_seconds": 1.0, "peak_normalise": True}, "by its peak or by its running level"),
    ],
)
def test_impossible_sizes_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        SpectrumConfig(**values)

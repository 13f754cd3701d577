"""The models that have a name."""

from __future__ import annotations

from diffvs.config import (
    CausalUNetConfig,
    DdpmppConfig,
    EdmConfig,
    ModelConfig,
    PyramidUNetConfig,
    SpectrumConfig,
)

# The representation of the authors' earlier Moises-Light (https://arxiv.org/abs/2510.06785); 256 frames are
# 6 seconds. The scales bring the standard deviation of our own vocals, so transformed, to sigma_data.
_LINEAR = SpectrumConfig(n_fft=6_144, bins=2_048, exponent=1.0, scale=24.0)
_NORMALISED = SpectrumConfig(n_fft=6_144, bins=2_048, exponent=0.334, scale=4.0, peak_normalise=True)
# The defaults of Karras et al. (2022) and the paper's 7 steps. To what the paper tunes rho is not known.
_PAPER_EDM = EdmConfig(
    sigma_min=0.002, sigma_max=80.0, rho=7.0, p_mean=-1.2, p_std=1.2, share_at_max=0.0, steps=7
)

# At a running level of 1, the scale sets how bold the answer is: a network that hears less takes less.
_LEVELLED = SpectrumConfig(scale=1.8, level_seconds=3.0)
_FROM_ZEROS = EdmConfig(temperature=0.0)

_MODELS = (
    ModelConfig(
        name="live",
        network=PyramidUNetConfig(),
        # The resolution of 4096 samples at the delay of 2048.
        spectrum=SpectrumConfig(
            n_fft=4_096, synthesis_length=2_048, bins=2_048, scale=1.8, level_seconds=3.0
        ),
        edm=_FROM_ZEROS,
        segment_frames=256,
    ),
    ModelConfig(
        name="live-scratch",
        network=CausalUNetConfig(noisy_gain=True),
        spectrum=_LEVELLED,
        edm=_FROM_ZEROS,
    ),
    ModelConfig(
        name="live-large",
        network=CausalUNetConfig(bands=16, widths=(128, 160, 192, 224), embedding=512, noisy_gain=True),
        spectrum=_LEVELLED,
        edm=_FROM_ZEROS,
        segment_frames=256,
    ),
    ModelConfig(
        name="tiny",
        network=CausalUNetConfig(
            widths=(8, 16), dilations=(1, 2), middle_dilations=(2, 1), bands=4, embedding=16
        ),
        spectrum=SpectrumConfig(n_fft=256, hop_length=128, bins=128),
        segment_frames=32,
    ),
    ModelConfig(
        name="tiny-pyramid",
        network=PyramidUNetConfig(
            bins=64,
            widths=(4, 8, 12),
            down_ranks=((0, 0), (0, 6), (4, 6)),
            up_ranks=((4, 0), (6, 6), (0, 6)),
            head=3,
            high_bands=4,
            embedding=16,
        ),
        spectrum=SpectrumConfig(n_fft=512, synthesis_length=256, hop_length=128, bins=128),
        segment_frames=64,
    ),
    ModelConfig(name="ddpmpp", network=DdpmppConfig(), spectrum=_LINEAR, edm=_PAPER_EDM, segment_frames=256),
    ModelConfig(
        name="ddpmpp-norm",
        network=DdpmppConfig(bands=4),
        spectrum=_NORMALISED,
        edm=_PAPER_EDM,
        segment_frames=256,
    ),
    ModelConfig(
        name="paper",
        network=DdpmppConfig(bands=4, attention="dual-path", heads=4),
        spectrum=_NORMALISED,
        edm=_PAPER_EDM,
        segment_frames=256,
    ),
    ModelConfig(
        name="tiny-window",
        network=DdpmppConfig(bands=4, width=4, multipliers=(1, 2), blocks=1, attention="dual-path", heads=2),
        spectrum=SpectrumConfig(n_fft=512, hop_length=128, bins=128, peak_normalise=True),
        edm=EdmConfig(steps=2),
        segment_frames=32,
    ),
)
PRESETS: dict[str, ModelConfig] = {model.name: model for model in _MODELS}

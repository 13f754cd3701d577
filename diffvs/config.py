"""Every size and constant of a model, as frozen dataclasses with named presets.

A preset is saved beside the weights that it made (`checkpoint.py`) and crosses to the live engine as the
ModelSpec in the ONNX metadata. Lengths are in samples, at `sample_rate` Hz, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig:
    """How a waveform becomes the real-valued image that the network sees, and back."""

    sample_rate: int = 44_100
    n_fft: int = 2_048
    hop_length: int = 1_024
    bins: int = 1_024  # the lowest ones are kept, the rest is silence in the estimate
    exponent: float = 0.5  # amplitude transformation |X| -> scale * |X|^exponent
    scale: float = 7.0  # brings the vocals' standard deviation to about sigma_data
    peak_normalise: bool = (
        False  # divide by the mixture's peak first (offline only: a live stream has no peak yet)
    )

    def __post_init__(self) -> None:
        if self.n_fft % self.hop_length:
            raise ValueError(
                f"n_fft must be a multiple of hop_length, got {self.n_fft} and {self.hop_length}"
            )
        if not 0 < self.bins <= self.n_fft // 2 + 1:
            raise ValueError(
                f"bins must lie in 1..{self.n_fft // 2 + 1} for n_fft {self.n_fft}, got {self.bins}"
            )
        if not 0 < self.exponent <= 1:
            raise ValueError(f"exponent must lie in (0, 1], got {self.exponent}")

    @property
    def latency(self) -> int:
        """Samples by which analysis followed by synthesis delays its input."""
        return self.n_fft - self.hop_length

    @property
    def frame_rate(self) -> float:
        """STFT frames per second."""
        return self.sample_rate / self.hop_length


@dataclass(frozen=True, kw_only=True)
class EdmConfig:
    """Noise levels of training and sampling, in the letters of Karras et al. (2022)."""

    sigma_data: float = 0.5
    sigma_min: float = 0.05
    sigma_max: float = 5.0
    rho: float = 7.0
    p_mean: float = -0.8
    p_std: float = 1.3
    share_at_max: float = 0.8  # of the training examples are drawn at sigma_max, where every sampler starts
    steps: int = 1  # Heun steps when nobody asks for another number: 2 * steps - 1 network evaluations


@dataclass(frozen=True, kw_only=True)
class CausalUNetConfig:
    """The live network: a U-Net that halves frequency only, so that one frame is the grain of its latency."""

    kind: Literal["causal"] = "causal"
    bands: int = 32  # equal-width bands, stacked as channels
    widths: tuple[int, ...] = (96, 128, 160, 192)  # multiples of 32 keep the CPU's vector units full
    dilations: tuple[int, ...] = (1, 2, 4, 8)  # in time, per level
    middle_dilations: tuple[int, ...] = (16, 8)
    blocks: int = 1  # residual blocks per level and side
    embedding: int = 256
    frequency_bottleneck: int = 4  # the frequency mixer narrows each level's axis by this; 0 leaves it out
    lookahead_frames: int = 0

    def __post_init__(self) -> None:
        if len(self.dilations) != len(self.widths):
            raise ValueError(
                f"one dilation per level: got {len(self.dilations)} for {len(self.widths)} widths"
            )

    @property
    def context_frames(self) -> int:
        """Past frames that can reach one output frame."""
        per_level = 2 * sum(self.dilations) * self.blocks
        return 2 * per_level + 2 * sum(self.middle_dilations)


@dataclass(frozen=True, kw_only=True)
class DdpmppConfig:
    """The paper's family: EDM's DDPM++ U-Net over the whole time-frequency image, not causal."""

    kind: Literal["window"] = "window"
    bands: int = 1
    width: int = 128
    multipliers: tuple[int, ...] = (2, 2, 2)
    blocks: int = 4
    attention: Literal["pixel", "dual-path"] = "pixel"
    attention_level: int = 1
    dropout: float = 0.10
    lookahead_frames: int = 0


NetworkConfig = CausalUNetConfig | DdpmppConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One model, complete: signal, noise, network, and the length of the excerpts it is trained on."""

    name: str
    network: NetworkConfig
    spectrum: SpectrumConfig = field(default_factory=SpectrumConfig)
    edm: EdmConfig = field(default_factory=EdmConfig)
    segment_frames: int = 128

    @property
    def segment(self) -> int:
        """Samples of one training excerpt."""
        return self.segment_frames * self.spectrum.hop_length


PRESETS: dict[str, ModelConfig] = {
    "live": ModelConfig(name="live", network=CausalUNetConfig()),
    "tiny": ModelConfig(
        name="tiny",
        network=CausalUNetConfig(
            widths=(8, 16), dilations=(1, 2), middle_dilations=(2, 1), bands=4, embedding=16
        ),
        spectrum=SpectrumConfig(n_fft=256, hop_length=128, bins=128),
        segment_frames=32,
    ),
}

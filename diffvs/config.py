"""Every size and constant of a model, as frozen dataclasses; `presets.py` names some.

A preset is saved beside the weights that it made (`checkpoint.py`) and crosses to the live engine as the
ModelSpec in the ONNX metadata. Lengths are in samples, at `sample_rate` Hz, unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig:
    """How a waveform becomes the real-valued image that the network sees, and back."""

    sample_rate: int = 44_100
    n_fft: int = 2_048
    hop_length: int = 1_024
    synthesis_length: int = 0  # synthesis uses so many samples at the end of each frame; 0: all of it
    bins: int = 1_024  # the lowest ones are kept, the rest is silence in the estimate
    exponent: float = 0.5  # amplitude transformation |X| -> scale * |X|^exponent
    scale: float = 7.0  # brings the vocals' standard deviation to about sigma_data
    peak_normalise: bool = False  # divide by the mixture's peak first; a live stream does not know its peak
    level_seconds: float = 0.0  # divide each frame by the level of so much of the mixture's past; 0: do not

    def __post_init__(self) -> None:
        if self.hop_length < 1 or self.n_fft % self.hop_length or self.n_fft < 2 * self.hop_length:
            raise ValueError(
                "n_fft must be hop_length times 2 or more, so that windows overlap-add, "
                f"got {self.n_fft} and {self.hop_length}"
            )
        if self.synthesis_length and (
            self.synthesis_length % self.hop_length
            or not 2 * self.hop_length <= self.synthesis_length <= self.n_fft
        ):
            raise ValueError(
                "synthesis_length must be 0 or 2 hops or more and at most n_fft, in whole hops, "
                f"got {self.synthesis_length}"
            )
        if not 0 < self.bins <= self.n_fft // 2 + 1:
            raise ValueError(
                f"bins must lie in 1..{self.n_fft // 2 + 1} for n_fft {self.n_fft}, got {self.bins}"
            )
        if not 0 < self.exponent <= 1:
            raise ValueError(f"exponent must lie in (0, 1], got {self.exponent}")
        if not 0 <= self.level_seconds < math.inf:
            raise ValueError(f"level_seconds must be 0 or above, got {self.level_seconds}")
        if self.level_seconds and self.peak_normalise:
            raise ValueError("a mixture is divided by its peak or by its running level: choose one")

    @property
    def latency(self) -> int:
        """Samples by which analysis followed by synthesis delays its input."""
        return (self.synthesis_length or self.n_fft) - self.hop_length

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
    temperature: float = 1.0  # of the noise that samplers start from: 0 starts from its mean

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(
                f"0 < sigma_min < sigma_max is needed, got {self.sigma_min} and {self.sigma_max}"
            )
        if not 0 <= self.share_at_max <= 1:
            raise ValueError(f"share_at_max must lie in 0..1, got {self.share_at_max}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or above, got {self.temperature}")
        if self.rho <= 0 or self.p_std < 0 or self.steps < 1:
            raise ValueError(
                "rho and steps must be positive and p_std not negative, "
                f"got {self.rho}, {self.steps} and {self.p_std}"
            )


@dataclass(frozen=True, kw_only=True)
class CausalUNetConfig:
    """The live network: a U-Net that halves frequency only, so that one frame is the grain of its latency."""

    learning_rate: ClassVar[float] = 4e-3  # on weights that are normalised in the forward pass
    kind: Literal["causal"] = "causal"
    bands: int = 32  # equal-width bands, stacked as channels
    widths: tuple[int, ...] = (96, 128, 160, 192)  # multiples of 32 keep the CPU's vector units full
    dilations: tuple[int, ...] = (1, 2, 4, 8)  # in time, per level
    middle_dilations: tuple[int, ...] = (16, 8)
    blocks: int = 1  # residual blocks per level and side
    embedding: int = 256
    frequency_bottleneck: int = 4  # the frequency mixer narrows each level's axis by this; 0 leaves it out
    lookahead_frames: int = 0
    noisy_gain: bool = False  # the head also weighs the noisy image, so that noise can be cancelled

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
class PyramidUNetConfig:
    """The live network that starts from weights trained on many songs: each level halves the frequencies and
    doubles its step in time, as a U-Net of whole spectrograms would, but frame by frame."""

    learning_rate: ClassVar[float] = 2e-4  # on weights as they are, and worth keeping
    kind: Literal["pyramid"] = "pyramid"
    bins: int = 1_024  # that the pyramid sees; those above follow by bands
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512)  # channels of each level
    # Channels that a level's convolution works on, of those that come in and those that go out; 0: all.
    down_ranks: tuple[tuple[int, int], ...] = ((0, 0), (0, 0), (0, 0), (48, 64), (64, 96), (96, 128))
    up_ranks: tuple[tuple[int, int], ...] = ((32, 0), (48, 0), (48, 48), (64, 64), (96, 96), (96, 128))
    head: int = 8  # channels in full resolution, before the last layer
    high_bands: int = 16  # of equal width, above `bins`
    embedding: int = 128
    lookahead_frames: int = 0

    def __post_init__(self) -> None:
        if not len(self.widths) == len(self.down_ranks) == len(self.up_ranks):
            raise ValueError(
                "ranks must be given for each level of widths, "
                f"got {len(self.down_ranks)} and {len(self.up_ranks)} for {len(self.widths)}"
            )
        if self.bins % (1 << len(self.widths)) or self.bins < self.high_bands << 2:
            raise ValueError(
                f"bins must be a multiple of {1 << len(self.widths)} and at least "
                f"{self.high_bands << 2}, got {self.bins}"
            )

    @property
    def context_frames(self) -> int:
        """Past frames that can reach one output frame."""
        return 2 * 2 * ((1 << len(self.widths)) - 1) + 3


@dataclass(frozen=True, kw_only=True)
class DdpmppConfig:
    """The paper's family: the DDPM++ U-Net of Karras et al. (2022) over the whole time-frequency image.

    It sees a window of some seconds at once, so it is not causal. docs/network.md says which of these values
    are the paper's and which are ours.
    """

    learning_rate: ClassVar[float] = 4e-3
    kind: Literal["window"] = "window"
    bands: int = 1  # equal-width bands, stacked as channels
    width: int = 128  # channels of the first convolution; the embedding of the noise level is 4 times wider
    multipliers: tuple[int, ...] = (2, 2, 2)  # channels of each level, in widths
    blocks: int = 4  # residual blocks per level of the encoder; the decoder has one more
    attention: Literal["pixel", "dual-path"] = "pixel"
    attention_level: int = 1  # attention stands in the blocks of this level, and once in the middle
    heads: int = 1
    dropout: float = 0.10

    def __post_init__(self) -> None:
        if self.width < 4 or self.width % 4:
            raise ValueError(f"width must be a multiple of 4, got {self.width}")
        if not 0 <= self.attention_level < len(self.multipliers):
            raise ValueError(
                f"attention_level must lie in 0..{len(self.multipliers) - 1}, got {self.attention_level}"
            )
        for channels in (self.width * self.multipliers[i] for i in (self.attention_level, -1)):
            if channels % (2 * self.heads):
                raise ValueError(f"{channels} channels do not split into {self.heads} heads of even size")

    @property
    def lookahead_frames(self) -> int:
        """None: a window holds its future already."""
        return 0

    @property
    def frame_multiple(self) -> int:
        """A window is so many frames long, or a multiple of it: every level halves it."""
        return 1 << (len(self.multipliers) - 1)


CAUSAL = (CausalUNetConfig, PyramidUNetConfig)  # may be fed frame by frame
NetworkConfig = CausalUNetConfig | PyramidUNetConfig | DdpmppConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One model, complete: signal, noise, network, and the length of the excerpts it is trained on."""

    name: str
    network: NetworkConfig
    spectrum: SpectrumConfig = field(default_factory=SpectrumConfig)
    edm: EdmConfig = field(default_factory=EdmConfig)
    segment_frames: int = 128

    def __post_init__(self) -> None:
        if self.spectrum.level_seconds and not self.causal:
            raise ValueError(
                f"level_seconds is for causal networks, the network is of kind {self.network.kind}"
            )
        if self.segment_frames < 1:
            raise ValueError(f"segment_frames must be at least 1, got {self.segment_frames}")

    @property
    def causal(self) -> bool:
        """Whether frames may be fed as they come. If not, a window is answered as a whole."""
        return isinstance(self.network, CAUSAL)

    @property
    def segment(self) -> int:
        """Samples of one training excerpt."""
        return self.segment_frames * self.spectrum.hop_length

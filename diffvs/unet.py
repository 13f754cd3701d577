"""The causal U-Net of the live model: F in the letters of EDM, innocent of what the noise level means.

Frequency is halved level by level, time never: any number of frames may be fed, one at a time or a whole
song, and the answer is the same (`tests/test_unet.py`).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from diffvs.config import CausalUNetConfig
from diffvs.layers import (
    BRANCH_GAIN,
    FOURIER_FEATURES,
    SILU_GAIN,
    Context,
    FrequencyMixer,
    MPConv,
    add_branch,
    noise_features,
    noise_rates,
)


class ResidualBlock(nn.Module):
    """3x3 convolution, scaled by the noise level, 1x1 convolution; then the frequency mixer."""

    def __init__(self, channels: int, frequencies: int, dilation: int, config: CausalUNetConfig) -> None:
        super().__init__()
        self.spread = MPConv(channels, channels, (3, 3), dilation=dilation)
        self.blend = MPConv(channels, channels)
        self.embed = MPConv(config.embedding, channels)
        self.embed_gain = nn.Parameter(torch.zeros([]))
        bottleneck = config.frequency_bottleneck
        self.mixer = FrequencyMixer(frequencies, bottleneck) if bottleneck else None

    def forward(self, x: Tensor, embedding: Tensor, context: Context) -> Tensor:
        h = self.spread(silu(x), context, SILU_GAIN)
        h = h * (self.embed(embedding, Context(), self.embed_gain) + 1)
        x = add_branch(x, self.blend(silu(h), Context(), SILU_GAIN * BRANCH_GAIN))
        return x if self.mixer is None else add_branch(x, self.mixer(x))


class Level(nn.Module):
    """The residual blocks that share one frequency resolution."""

    def __init__(self, channels: int, frequencies: int, dilation: int, config: CausalUNetConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(channels, frequencies, dilation, config) for _ in range(config.blocks)
        )

    def forward(self, x: Tensor, embedding: Tensor, context: Context) -> Tensor:
        for block in self.blocks:
            x = block(x, embedding, context)
        return x


class CausalUNet(nn.Module):
    """(b, channels_in, bins, t), c_noise (b,) -> (b, channels_out, bins, t); 4 gains more if configured."""

    def __init__(self, channels_in: int, channels_out: int, bins: int, config: CausalUNetConfig) -> None:
        super().__init__()
        widths, depth = config.widths, len(config.widths)
        if bins % (config.bands * 2 ** (depth - 1)):
            raise ValueError(f"{bins} bins do not split into {config.bands} bands halved {depth - 1} times")
        frequencies = [bins // config.bands >> level for level in range(depth)]
        self.bands = config.bands
        # One constant channel lets layers without a bias learn offsets (EDM2).
        self.enter = MPConv((channels_in + 1) * config.bands, widths[0])
        self.embed_in = nn.Linear(2 * FOURIER_FEATURES, config.embedding)
        self.embed_out = nn.Linear(config.embedding, config.embedding)
        self.encoder = nn.ModuleList(
            Level(*level, config) for level in zip(widths, frequencies, config.dilations, strict=True)
        )
        self.down = nn.ModuleList(MPConv(a, b, (2, 1), stride=2) for a, b in pairwise(widths))
        self.middle = nn.ModuleList(
            ResidualBlock(widths[-1], frequencies[-1], dilation, config)
            for dilation in config.middle_dilations
        )
        self.join = nn.ModuleList(MPConv(2 * width, width) for width in widths)
        self.decoder = nn.ModuleList(
            Level(*level, config) for level in zip(widths, frequencies, config.dilations, strict=True)
        )
        self.up = nn.ModuleList(MPConv(b, 2 * a) for a, b in pairwise(widths))
        self.leave = MPConv(widths[0], channels_out * config.bands)
        self.leave_gain = nn.Parameter(torch.zeros([]))
        self.weigh = MPConv(widths[0], 4 * config.bands) if config.noisy_gain else None
        if self.weigh is not None:
            self.weigh_gain = nn.Parameter(torch.zeros([]))
        self.rates: Tensor
        self.register_buffer("rates", noise_rates(), persistent=False)

    def forward(self, x: Tensor, c_noise: Tensor, context: Context) -> Tensor:
        batch, _, bins, frames = x.shape
        embedding = self._embed(c_noise)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        x = x.reshape(batch, -1, bins // self.bands, frames)  # bands become channels
        x = self.enter(x.contiguous(memory_format=torch.channels_last), Context())

        skips = []
        for level, encoder in enumerate(self.encoder):
            if level:
                x = self.down[level - 1](x, Context())
            x = encoder(x, embedding, context)
            skips.append(x)

        for block in self.middle:
            x = block(x, embedding, context)

        for level in reversed(range(len(self.decoder))):
            x = self.join[level](torch.cat([x, skips[level]], dim=1), Context())
            x = self.decoder[level](x, embedding, context)
            if level:
                x = _interleave(self.up[level - 1](x, Context()))

        answer: Tensor = self.leave(x, Context(), self.leave_gain)
        if self.weigh is not None:
            answer = torch.cat([answer, self.weigh(x, Context(), self.weigh_gain)], dim=1)
        return answer.reshape(batch, -1, bins, frames)

    def _embed(self, c_noise: Tensor) -> Tensor:
        features = noise_features(c_noise, self.rates)
        hidden = silu(self.embed_in(features))
        return silu(self.embed_out(hidden))[:, :, None, None]


def _interleave(x: Tensor) -> Tensor:
    """(b, 2c, f, t) -> (b, c, 2f, t): the two halves of the channels become even and odd frequencies."""
    batch, channels, frequencies, frames = x.shape
    x = x.reshape(batch, 2, channels // 2, frequencies, frames).permute(0, 2, 3, 1, 4)
    x = x.reshape(batch, channels // 2, 2 * frequencies, frames)
    return x.contiguous(memory_format=torch.channels_last)

"""DDPM++, the U-Net of the paper's family: F in the letters of EDM, innocent of what the noise level means.

The architecture is that of Song et al. (2021), https://arxiv.org/abs/2011.13456, as Karras et al. (2022),
https://arxiv.org/abs/2206.00364, describe it in appendix F. Diff-VS, https://arxiv.org/abs/2604.01120, puts
dual-path rotary attention in the place of attention over all pixels.

Images are (b, channels, frequency, time).
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.functional import silu

from diffvs.attention import attend
from diffvs.config import DdpmppConfig

ROOT_HALF = math.sqrt(0.5)  # keeps the variance of a sum of two branches
NEARLY_ZERO = 1e-5  # initial gain of the last layer of a branch: the network begins as its skips alone
QKV_GAIN = math.sqrt(0.2)
SLOWEST_PERIOD = 10_000.0

Resample = Literal["down", "up"]
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class SelfAttention(nn.Module):
    """A branch in which the tokens of each row hear each other: rows are frames, bins, or the whole image."""

    def __init__(self, channels: int, heads: int, along: Literal["time", "frequency", "pixels"]) -> None:
        super().__init__()
        self.heads, self.along = heads, along
        self.norm = group_norm(channels)
        self.qkv = convolution(channels, 3 * channels, 1, QKV_GAIN)
        self.project = convolution(channels, channels, 1, NEARLY_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x))
        if self.along == "time":
            y = attend(qkv, self.heads, rotary=True)
        elif self.along == "frequency":
            y = attend(qkv.transpose(2, 3), self.heads, rotary=True).transpose(2, 3)
        else:
            y = attend(qkv.flatten(2)[:, :, None], self.heads, rotary=False).reshape(x.shape)
        out: Tensor = (x + self.project(y)) * ROOT_HALF
        return out


class Block(nn.Module):
    """Two 3x3 convolutions with the noise level added between them; resamples first when asked to."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        config: DdpmppConfig,
        *,
        resample: Resample | None = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm_in = group_norm(channels_in)
        self.conv_in = convolution(channels_in, channels_out, 3)
        self.embed = linear(4 * config.width, channels_out)
        self.norm_out = group_norm(channels_out)
        self.dropout = nn.Dropout(config.dropout)
        self.conv_out = convolution(channels_out, channels_out, 3, NEARLY_ZERO)
        straight = resample is None and channels_in == channels_out
        self.skip = nn.Identity() if straight else convolution(channels_in, channels_out, 1)
        paths: tuple[Literal["time", "frequency", "pixels"], ...] = ()
        if attention:
            paths = ("pixels",) if config.attention == "pixel" else ("time", "frequency")
        self.attention = nn.ModuleList(SelfAttention(channels_out, config.heads, path) for path in paths)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv_in(_resampled(silu(self.norm_in(x)), self.resample))
        h = h + self.embed(embedding)[:, :, None, None]
        h = self.conv_out(self.dropout(silu(self.norm_out(h))))
        x = (h + self.skip(_resampled(x, self.resample))) * ROOT_HALF
        for attention in self.attention:
            x = attention(x)
        return x


class DdpmppUNet(nn.Module):
    """(b, channels_in, bins, t) and c_noise (b,) -> (b, channels_out, bins, t).

    t must be a multiple of the configuration's `frame_multiple`: a window has a length.
    """

    def __init__(self, channels_in: int, channels_out: int, bins: int, config: DdpmppConfig) -> None:
        super().__init__()
        levels = range(len(config.multipliers))
        if bins % (config.bands * config.frame_multiple):
            raise ValueError(f"{bins} bins do not split into {config.bands} bands halved {levels[-1]} times")
        self.config, self.channels_out = config, channels_out
        self.embed_in = linear(config.width, 4 * config.width)
        self.embed_out = linear(4 * config.width, 4 * config.width)
        self.enter = convolution(channels_in * config.bands, config.width, 3)

        width = config.width
        skips = [width]
        self.encoder = nn.ModuleList()
        for level in levels:
            if level > 0:
                self.encoder.append(Block(width, width, config, resample="down"))
                skips.append(width)
            for _ in range(config.blocks):
                wider = config.width * config.multipliers[level]
                attention = level == config.attention_level
                self.encoder.append(Block(width, wider, config, attention=attention))
                skips.append(width := wider)

        self.middle = nn.ModuleList(Block(width, width, config, attention=first) for first in (True, False))

        self.decoder = nn.ModuleList()
        for level in reversed(levels):
            if level < levels[-1]:
                self.decoder.append(Block(width, width, config, resample="up"))
            for index in range(config.blocks + 1):
                narrower = config.width * config.multipliers[level]
                attention = level == config.attention_level and index == config.blocks
                self.decoder.append(Block(width + skips.pop(), narrower, config, attention=attention))
                width = narrower

        self.norm = group_norm(width)
        self.leave = convolution(width, channels_out * config.bands, 3, NEARLY_ZERO)

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        batch, _, bins, frames = x.shape
        if frames % self.config.frame_multiple:
            raise ValueError(
                f"a window must be a multiple of {self.config.frame_multiple} frames, got {frames}"
            )
        embedding = self._embed(c_noise)
        x = self.enter(x.reshape(batch, -1, bins // self.config.bands, frames))  # bands become channels

        skips = [x]
        for block in self.encoder:
            x = block(x, embedding)
            skips.append(x)

        for block in self.middle:
            x = block(x, embedding)

        for block in self.decoder:
            if not block.resample:  # those that resample take no skip
                x = torch.cat([x, skips.pop()], dim=1)
            x = block(x, embedding)

        x = self.leave(silu(self.norm(x)))
        return x.reshape(batch, self.channels_out, bins, frames)

    def _embed(self, c_noise: Tensor) -> Tensor:
        half = self.config.width // 2
        rates = SLOWEST_PERIOD ** (torch.arange(half, device=c_noise.device) / (1 - half))
        angle = c_noise[:, None] * rates
        hidden = silu(self.embed_in(torch.cat([angle.sin(), angle.cos()], dim=1)))
        return silu(self.embed_out(hidden))


def convolution(channels_in: int, channels_out: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    """Square convolution that keeps the image's size; Xavier-uniform weights times `gain`, offsets 0."""
    return _initialised(nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2), gain)


def linear(channels_in: int, channels_out: int) -> nn.Linear:
    """Linear map, initialised as the convolutions are."""
    return _initialised(nn.Linear(channels_in, channels_out), 1.0)


def group_norm(channels: int) -> nn.GroupNorm:
    """32 groups, or fewer so that each has 4 channels."""
    return nn.GroupNorm(max(min(32, channels // 4), 1), channels, eps=1e-6)


def _initialised(layer: Layer, gain: float) -> Layer:
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _resampled(x: Tensor, resample: Resample | None) -> Tensor:
    """Half or twice the size in both directions, by 2x2 boxes."""
    if resample == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2.0, mode="nearest") if resample == "up" else x

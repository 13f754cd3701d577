"""The causal pyramid: a U-Net of whole spectrograms, made to run frame by frame.

A U-Net like Spleeter's (Hennequin et al. 2020, https://doi.org/10.21105/joss.02154) halves frequency and time
from level to level. Here time is never halved: level l takes steps of 2 ** l frames through it instead, so
that for each frame a layer hears what it would hear on a halved grid that ends there ("a trous", Holschneider
et al. 1989). So weights of such a network can be taken over (`diffvs.warm_start`), and any number of frames
may be fed at a time. Of its taps those that would hear the future are left out.

Images are (batch, channels, time, frequency) inside: a single frame still fills the vector units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from diffvs.config import PyramidUNetConfig
from diffvs.layers import FOURIER_FEATURES, Context, noise_features, noise_rates

LEAK = 0.2
POWER_GAIN = 0.25  # brings the power of music near to unit deviation
TIME = 2  # the axis
DOWN_TAPS = (3, 6)  # time, frequency; the first frequency is padding, so that both sides are padded alike
UP_TAPS = (2, 3)
LAST_TAPS = (4, 4)
LEAST_LOGIT = -30.0  # a share of 1e-13, and nothing that overflows


class NarrowConv(nn.Module):
    """Convolution between two thinner ones of one tap: a Tucker decomposition (Kim et al. 2016,
    https://arxiv.org/abs/1511.06530). Its middle is scaled by the noise level. Causal in time."""

    def __init__(
        self,
        channels: tuple[int, int],
        ranks: tuple[int, int],
        taps: tuple[int, int],
        *,
        stride: int = 1,  # in frequency
        dilation: int = 1,  # in time
        embedding: int,
    ) -> None:
        super().__init__()
        channels_in, channels_out = channels
        rank_in, rank_out = ranks[0] or channels_in, ranks[1] or channels_out
        self.reduce = nn.Conv2d(channels_in, rank_in, 1) if ranks[0] else None
        self.spread = nn.Conv2d(
            rank_in,
            rank_out,
            taps,
            stride=(1, stride),
            padding=(0, (taps[1] - 1) // 2),
            dilation=(dilation, 1),
            bias=not ranks[1],
        )
        self.expand = nn.Conv2d(rank_out, channels_out, 1) if ranks[1] else None
        self.modulate = nn.Linear(embedding, rank_out)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        self.past_frames = (taps[0] - 1) * dilation

    def forward(self, x: Tensor, embedding: Tensor, context: Context) -> Tensor:
        if self.reduce is not None:
            x = self.reduce(x)
        x = self.spread(context.extend(x, self.past_frames, TIME))
        x = x * (1 + self.modulate(embedding))[:, :, None, None]
        return x if self.expand is None else self.expand(x)


class Activation(nn.Module):
    """What the next level hears of a skip: scaled, shifted and rectified, but for a leak."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, skip: Tensor) -> Tensor:
        return F.leaky_relu(skip * self.scale[:, None, None] + self.shift[:, None, None], LEAK)


class Highs(nn.Module):
    """Masks above the pyramid's bins, by bands: from how loud they are, and from the mask below them."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands
        self.hidden = nn.Conv1d(6 * bands, 64, 1)
        self.leave = nn.Conv1d(64, 2 * bands, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, logits: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Logits (b, 2, t, f) below and amplitudes (b, 2, t, f or more) below and above -> logits above."""
        octave = logits[..., logits.shape[-1] // 2 :]
        below, heard, above = (
            self._banded(image) for image in (octave, low[..., low.shape[-1] // 2 :], high)
        )
        # Without more knowledge, a voice goes on as far up as it is seen.
        batch, _, frames = below.shape
        nearest = below.reshape(batch, 2, self.bands, frames)[:, :, -1:]
        # One frame more: runtimes round a product with a single column in another way than one with several.
        seen = F.pad(torch.cat([below / 4, heard, above], dim=1), (0, 1))
        change = self.leave(F.silu(self.hidden(seen)))[..., :-1]
        masks = nearest + change.reshape(batch, 2, self.bands, frames)
        wide = masks.transpose(2, 3)[..., None].expand(-1, -1, -1, -1, high.shape[-1] // self.bands)
        logits_above: Tensor = wide.flatten(3)
        return logits_above

    def _banded(self, image: Tensor) -> Tensor:
        """Means of each channel's bands: (b, 2, t, f) -> (b, 2 * bands, t)."""
        batch, channels, frames, _ = image.shape
        means = image.reshape(batch, channels, frames, self.bands, -1).mean(-1)
        return means.transpose(2, 3).reshape(batch, channels * self.bands, frames)


class PyramidUNet(nn.Module):
    """(b, 8, bins, t), c_noise (b,) -> (b, 12, bins, t): complex mask, residual, gains of the noisy image.

    The input is the noisy image and the mixture's, 4 channels each. The mask begins as the square root of a
    share of linear amplitudes, which is what the taken-over network gives.
    """

    def __init__(self, bins: int, config: PyramidUNetConfig) -> None:
        super().__init__()
        if bins < config.bins or (bins - config.bins) % config.high_bands:
            raise ValueError(f"{bins} bins do not leave {config.high_bands} equal bands above {config.bins}")
        widths, depth, embedding = config.widths, len(config.widths), config.embedding
        self.bins = config.bins
        self.embed_in = nn.Linear(2 * FOURIER_FEATURES, embedding)
        self.embed_out = nn.Linear(embedding, embedding)
        self.down = nn.ModuleList(
            NarrowConv(
                (widths[level - 1] if level else 10, widths[level]),
                config.down_ranks[level],
                DOWN_TAPS,
                stride=2,
                dilation=1 << level,
                embedding=embedding,
            )
            for level in range(depth)
        )
        self.activate = nn.ModuleList(Activation(width) for width in widths[:-1])
        self.up = nn.ModuleList(
            NarrowConv(
                # Below the lowest level nothing comes up; the others join two images of equal width.
                (widths[level] * (1 if level == depth - 1 else 2), 2 * self._width_above(level, config)),
                config.up_ranks[level],
                UP_TAPS,
                dilation=2 << level,
                embedding=embedding,
            )
            for level in range(depth)
        )
        self.leave = nn.Conv2d(config.head, 14, LAST_TAPS, dilation=(1, 2), padding=(0, 3))
        self.highs = Highs(config.high_bands) if bins > config.bins else None
        self.rates: Tensor
        self.register_buffer("rates", noise_rates(), persistent=False)

    def forward(self, x: Tensor, c_noise: Tensor, context: Context) -> Tensor:
        embedding = self.embed(c_noise)
        x = x.transpose(2, 3)
        noisy, mixture = torch.split(x, 4, dim=1)
        # At an exponent of 0.5 the power of the compressed image is the amplitude of the linear one.
        power = mixture[:, 0::2].square() + mixture[:, 1::2].square()
        bins = self.bins
        x = torch.cat([POWER_GAIN * power, mixture, noisy], dim=1)[..., :bins]

        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            x = down(self.activate[level - 1](x) if level else x, embedding, context)
            skips.append(x)

        for level in reversed(range(len(self.up))):
            if level < len(self.up) - 1:
                x = torch.cat([skips[level], x], dim=1)
            x = F.relu(interleave(self.up[level](x, embedding, context)))

        x = self.leave(context.extend(x, LAST_TAPS[0] - 1, TIME))
        logits, turned, others = torch.split(x, [2, 4, 8], dim=1)
        mask = _as_complex(_root_of_share(logits)) + turned
        if self.highs is not None:
            amplitude = (power + 1e-8).sqrt()
            above = self.highs(logits, amplitude[..., :bins], amplitude[..., bins:])
            mask = torch.cat([mask, _as_complex(_root_of_share(above))], dim=-1)
            others = F.pad(others, (0, mask.shape[-1] - bins))
        return torch.cat([mask, others], dim=1).transpose(2, 3)

    def _width_above(self, level: int, config: PyramidUNetConfig) -> int:
        return config.widths[level - 1] if level else config.head

    def embed(self, c_noise: Tensor) -> Tensor:
        features = noise_features(c_noise, self.rates)
        embedding: Tensor = F.silu(self.embed_out(F.silu(self.embed_in(features))))
        return embedding


def interleave(x: Tensor) -> Tensor:
    """(b, 2c, t, f) -> (b, c, t, 2f): the two halves of the channels become even and odd frequencies."""
    batch, channels, _, frequencies = map(int, x.shape)  # all but time, which stays open in a graph
    x = x.reshape(batch, 2, channels // 2, -1, frequencies).permute(0, 2, 3, 4, 1)
    return x.reshape(batch, channels // 2, -1, 2 * frequencies)


def _root_of_share(logits: Tensor) -> Tensor:
    """The root of the logistic function. Runtimes approximate that itself, and not below 1e-8."""
    return (1 + torch.exp(-logits.clamp(min=LEAST_LOGIT))).rsqrt()


def _as_complex(real: Tensor) -> Tensor:
    """(b, 2, ...) -> (b, 4, ...): imaginary parts of 0 after each channel."""
    return torch.stack([real, torch.zeros_like(real)], dim=2).flatten(1, 2)

"""The causal denoiser rewritten for running: the same function of the same weights, arranged for few frames.

Against `diffvs.unet`, which is arranged for training:
* images are (1, channels, time, frequency): a single frame still fills the vector units;
* weights are normalised once, the constant channel is a bias, and the frequency mixers are plain products;
* what the noise level does to all blocks is one matrix product;
* the gains of residual sums are in the weights: an image is kept divided by its scale, which the layers that
  read it know.

An export compares both, so what stands here twice cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from diffvs.edm import Denoiser, preconditioning
from diffvs.layers import BRANCH_GAIN, SILU_GAIN, TRUNK_GAIN, MPConv, noise_features, normalise
from diffvs.unet import CausalUNet, Level, ResidualBlock


class Past:
    """The frames before these, in the order in which the layers ask for them; silence when there are none."""

    def __init__(self, states: Sequence[Tensor] | None) -> None:
        self._states = None if states is None else iter(states)
        self.next: list[Tensor] = []

    def extend(self, x: Tensor, frames: int) -> Tensor:
        """Put the last `frames` frames before x in front of it."""
        if frames == 0:
            return x
        before = x.new_zeros(*x.shape[:2], frames, x.shape[3]) if self._states is None else next(self._states)
        x = torch.cat([before, x], dim=2)
        self.next.append(x[:, :, -frames:])
        return x


class CausalGraph(nn.Module):
    """mixture, noisy (1, 4, bins, t), sigma (1,) and the past -> denoised, like noisy, and the next past."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        network = denoiser.network
        if not isinstance(network, CausalUNet):
            raise TypeError(f"a causal denoiser is needed, got {denoiser.config.name}")
        self.sigma_data, self.lookahead_frames = denoiser.sigma_data, denoiser.lookahead_frames
        self.bands, self.bins = network.bands, denoiser.config.spectrum.bins
        encoder, decoder = map(_levels, (network.encoder, network.decoder))
        middle = [cast(ResidualBlock, block) for block in network.middle]
        in_order = [block for level in (*encoder, middle, *reversed(decoder)) for block in level]
        self.modulate = Modulation(network, in_order)
        self.depth, self.blocks_per_level = len(encoder), len(encoder[0])
        self.blocks, self.down, self.join, self.up = (nn.ModuleList() for _ in range(4))  # as they run
        self.enter = _enter(network.enter, self.bands, self.sigma_data)
        skip_scales: list[float] = []
        for level, blocks in enumerate(encoder):
            if level:
                self.down.append(_convolution(cast(MPConv, network.down[level - 1]), skip_scales[-1]))
            skip_scales.append(self._add(blocks, scale=1.0))
        scale = self._add(middle, scale=skip_scales[-1])
        for level in reversed(range(self.depth)):
            self.join.append(_join(cast(MPConv, network.join[level]), scale, skip_scales[level]))
            scale = self._add(decoder[level], scale=1.0)
            if level:
                self.up.append(_convolution(cast(MPConv, network.up[level - 1]), scale))
                scale = 1.0
        self.leave = _leave(network, scale, 4 * self.bands, self.sigma_data)
        with torch.no_grad():
            image = torch.zeros(1, 4, self.bins, 1)
            _, *states = self(image, image, torch.ones(1))
        self.states = {
            f"state_{index}": (state.shape[1], state.shape[2], state.shape[3])
            for index, state in enumerate(states)
        }

    def forward(self, mixture: Tensor, noisy: Tensor, sigma: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        past = Past(states or None)
        c_skip, c_out, c_in, c_noise = preconditioning(sigma, self.sigma_data)
        noisy, mixture = self._to_bands(noisy), self._to_bands(mixture)
        answer = self._unet(torch.cat([c_in * noisy, mixture], dim=1), self.modulate(c_noise), past)
        mask, residual, *gains = torch.split(answer, 4 * self.bands, dim=1)
        if self.lookahead_frames:
            mixture = past.extend(mixture, self.lookahead_frames)[:, :, : -self.lookahead_frames]
        answer = self._complex_product(mask, mixture) + residual
        for gain in gains:
            answer = answer + gain * (c_in * noisy)
        denoised = c_skip * noisy + c_out * answer
        return denoised.transpose(2, 3).reshape(1, 4, self.bins, -1), *past.next

    def _add(self, blocks: Iterable[ResidualBlock], scale: float) -> float:
        """Appends blocks for an image of this scale; the scale of what comes out."""
        for block in blocks:
            self.blocks.append(Block(block, scale))
            scale = cast(Block, self.blocks[-1]).scale
        return scale

    def _unet(self, x: Tensor, gains: Sequence[Tensor], past: Past) -> Tensor:
        blocks = iter(zip(self.blocks, gains, strict=True))

        def run(x: Tensor, count: int) -> Tensor:
            for _ in range(count):
                block, gain = next(blocks)
                x = block(x, gain, past)
            return x

        x = self.enter(x)
        skips: list[Tensor] = []
        for index in range(self.depth):
            if index:
                x = self.down[index - 1](x)
            x = run(x, self.blocks_per_level)
            skips.append(x)
        x = run(x, len(self.blocks) - 2 * self.depth * self.blocks_per_level)
        for index in range(self.depth):
            if index:
                x = _interleave(self.up[index - 1](x))
            x = run(self.join[index](torch.cat([x, skips.pop()], dim=1)), self.blocks_per_level)
        answer: Tensor = self.leave(x)
        return answer

    def _to_bands(self, image: Tensor) -> Tensor:
        """(1, 4, bins, t) -> (1, 4 * bands, t, bins / bands)."""
        return image.reshape(1, 4 * self.bands, self.bins // self.bands, -1).transpose(2, 3)

    def _complex_product(self, a: Tensor, b: Tensor) -> Tensor:
        """Of two images (1, 4 * bands, t, f) whose channels are real, imaginary, real, imaginary."""
        a_re, a_im = torch.split(a.reshape(2, 2, -1), 1, dim=1)
        b_re, b_im = torch.split(b.reshape(2, 2, -1), 1, dim=1)
        product = torch.cat([a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re], dim=1)
        return product.reshape(1, 4 * self.bands, -1, self.bins // self.bands)


class Modulation(nn.Module):
    """c_noise (1,) -> the factors of each block's channels, (1, channels, 1, 1) each."""

    def __init__(self, network: CausalUNet, blocks: Sequence[ResidualBlock]) -> None:
        super().__init__()
        self.rates: Tensor
        self.register_buffer("rates", network.rates)
        self.embed_in, self.embed_out = network.embed_in, network.embed_out
        weights = [normalise(block.embed.weight) * block.embed_gain for block in blocks]
        self.channels = [len(weight) for weight in weights]
        self.expand = nn.Parameter(torch.cat(weights)[:, :, 0, 0].detach().t().contiguous())

    def forward(self, c_noise: Tensor) -> Sequence[Tensor]:
        features = noise_features(c_noise, self.rates)
        embedding = silu(self.embed_out(silu(self.embed_in(features))))
        factors = (embedding @ self.expand + 1).reshape(1, -1, 1, 1)
        return torch.split(factors, self.channels, dim=1)


class Block(nn.Module):
    """ResidualBlock for an image of `scale_in`; that of its answer is `scale`."""

    def __init__(self, block: ResidualBlock, scale_in: float) -> None:
        super().__init__()
        self.scale_in, self.scale = scale_in, scale_in * TRUNK_GAIN
        self.past_frames = block.spread.past_frames
        self.spread = _convolution(block.spread, SILU_GAIN * scale_in)
        self.blend = _convolution(block.blend, SILU_GAIN * BRANCH_GAIN / self.scale)
        self.has_mixer = block.mixer is not None
        if block.mixer is not None:
            narrow = normalise(block.mixer.narrow) * self.scale
            self.scale *= TRUNK_GAIN
            widen = normalise(block.mixer.widen) * (SILU_GAIN * BRANCH_GAIN / self.scale)
            self.narrow, self.widen = (nn.Parameter(one.t().contiguous()) for one in (narrow, widen))

    def forward(self, x: Tensor, gain: Tensor, past: Past) -> Tensor:
        active = x * torch.sigmoid(self.scale_in * x) if self.scale_in != 1 else silu(x)
        h = self.spread(past.extend(active, self.past_frames)) * gain
        x = x + self.blend(silu(h))
        return x + silu(x @ self.narrow) @ self.widen if self.has_mixer else x


def _levels(levels: nn.ModuleList) -> list[list[ResidualBlock]]:
    return [[cast(ResidualBlock, block) for block in cast(Level, level).blocks] for level in levels]


def _convolution(layer: MPConv, gain: Tensor | float = 1.0) -> nn.Conv2d:
    """The layer with its axes swapped and its weights as they are used; the past is put in front outside."""
    weight = (normalise(layer.weight) * gain).transpose(2, 3).contiguous()
    channels_out, channels_in, *kernel = weight.shape
    result = nn.Conv2d(
        channels_in,
        channels_out,
        (kernel[0], kernel[1]),
        stride=layer.stride[::-1],
        padding=layer.padding[::-1],
        dilation=layer.dilation[::-1],
        bias=False,
    )
    result.weight = nn.Parameter(weight.detach())
    return result


def _enter(layer: MPConv, bands: int, sigma_data: float) -> nn.Conv2d:
    """The first layer for (noisy, mixture): the mixture's scale is in the weights, the constant in a bias."""
    weight = normalise(layer.weight).detach()
    noisy, mixture, constant = torch.split(weight, [4 * bands, 4 * bands, bands], dim=1)
    result = nn.Conv2d(8 * bands, len(weight), 1)
    result.weight = nn.Parameter(torch.cat([noisy, mixture / sigma_data], dim=1))
    result.bias = nn.Parameter(constant.sum(dim=(1, 2, 3)))
    return result


def _join(layer: MPConv, scale: float, skip_scale: float) -> nn.Conv2d:
    """The layer for what comes from below and from the side, each of its own scale."""
    result = _convolution(layer)
    below, side = result.weight.detach().chunk(2, dim=1)
    result.weight = nn.Parameter(torch.cat([below * scale, side * skip_scale], dim=1))
    return result


def _leave(network: CausalUNet, scale: float, mask_channels: int, sigma_data: float) -> nn.Conv2d:
    """The last layer, and the gains of the noisy image where there are any, as one.

    The mixture's scale is in the mask.
    """
    result = _convolution(network.leave, network.leave_gain * scale)
    mask, residual = result.weight.detach().tensor_split([mask_channels])
    result.weight = nn.Parameter(torch.cat([mask / sigma_data, residual]))
    if network.weigh is not None:
        gains = _convolution(network.weigh, network.weigh_gain * scale)
        result.out_channels += gains.out_channels
        result.weight = nn.Parameter(torch.cat([result.weight, gains.weight]).detach())
    return result


def _interleave(x: Tensor) -> Tensor:
    """(1, 2c, t, f) -> (1, c, t, 2f): the two halves of the channels become even and odd frequencies."""
    _, channels, _, frequencies = x.shape
    x = x.reshape(1, 2, int(channels) // 2, -1, int(frequencies)).permute(0, 2, 3, 4, 1)
    return x.reshape(1, int(channels) // 2, -1, 2 * int(frequencies))

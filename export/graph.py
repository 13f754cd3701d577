"""The denoiser as a graph with real-valued, named inputs and outputs, the streaming states among them."""

from __future__ import annotations

from torch import Tensor, nn

from diffvs.edm import Denoiser
from export.deploy import CausalGraph


class WindowGraph(nn.Module):
    """mixture, noisy (1, 4, bins, t), sigma (1,) -> denoised, like noisy: a window, answered as a whole."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.states: dict[str, tuple[int, int, int]] = {}

    def forward(self, mixture: Tensor, noisy: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        return (self.denoiser(noisy, sigma, mixture),)


def runtime_graph(denoiser: Denoiser) -> CausalGraph | WindowGraph:
    """What is exported, in evaluation mode."""
    graph = CausalGraph(denoiser) if denoiser.causal else WindowGraph(denoiser)
    return graph.eval().requires_grad_(False)


def input_names(graph: CausalGraph | WindowGraph) -> list[str]:
    return ["mixture", "noisy", "sigma", *graph.states]


def output_names(graph: CausalGraph | WindowGraph) -> list[str]:
    return ["denoised", *(f"next_{name}" for name in graph.states)]

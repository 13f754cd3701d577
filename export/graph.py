"""The denoiser as a graph with real-valued, named inputs and outputs, the streaming states among them."""

from __future__ import annotations

from torch import Tensor, nn

from diffvs.edm import Denoiser
from diffvs.layers import Context
from diffvs.pyramid import PyramidUNet
from export.deploy import CausalGraph


class PyramidGraph(nn.Module):
    """mixture, noisy (1, 4, bins, t), sigma (1,) and the past -> denoised, like noisy, and the next past.

    The network is arranged for few frames as it is.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.states = {f"state_{index}": shape for index, shape in enumerate(denoiser.state_shapes())}

    def forward(self, mixture: Tensor, noisy: Tensor, sigma: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        context = Context(states)
        return self.denoiser(noisy, sigma, mixture, context), *context.next


class WindowGraph(nn.Module):
    """mixture, noisy (1, 4, bins, t), sigma (1,) -> denoised, like noisy: a window, answered as a whole."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.states: dict[str, tuple[int, int, int]] = {}

    def forward(self, mixture: Tensor, noisy: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        return (self.denoiser(noisy, sigma, mixture),)


RuntimeGraph = CausalGraph | PyramidGraph | WindowGraph


def runtime_graph(denoiser: Denoiser) -> RuntimeGraph:
    """What is exported, in evaluation mode."""
    if isinstance(denoiser.network, PyramidUNet):
        graph: RuntimeGraph = PyramidGraph(denoiser)
    else:
        graph = CausalGraph(denoiser) if denoiser.causal else WindowGraph(denoiser)
    return graph.eval().requires_grad_(False)


def input_names(graph: RuntimeGraph) -> list[str]:
    return ["mixture", "noisy", "sigma", *graph.states]


def output_names(graph: RuntimeGraph) -> list[str]:
    return ["denoised", *(f"next_{name}" for name in graph.states)]

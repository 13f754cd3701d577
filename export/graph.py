"""The denoiser as a graph with real-valued, named inputs and outputs, the streaming states among them."""

from __future__ import annotations

from torch import Tensor, nn

from diffvs.edm import Denoiser
from diffvs.layers import Context


class StreamingGraph(nn.Module):
    """mixture, noisy (1, 4, bins, t), sigma (1,) and the past -> denoised, like noisy, and the next past."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser.eval()
        shapes = denoiser.state_shapes()
        self.states = {f"state_{index}": shape for index, shape in enumerate(shapes)}

    @property
    def input_names(self) -> list[str]:
        return ["mixture", "noisy", "sigma", *self.states]

    @property
    def output_names(self) -> list[str]:
        return ["denoised", *(f"next_{name}" for name in self.states)]

    def forward(self, mixture: Tensor, noisy: Tensor, sigma: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        context = Context(states)
        denoised = self.denoiser(noisy, sigma, mixture, context)
        return denoised, *context.next

"""The settings of the sampler that one evaluation compares."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from diffvs.config import EdmConfig, ModelConfig
from diffvs.edm import karras_sigmas


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to run one model."""

    model: str
    steps: int
    sigma_max: float
    sigma_min: float
    rho: float
    temperature: float
    latency_ms: float | None  # None for a model that hears a window at once

    @property
    def sigmas(self) -> list[float]:
        """Noise levels to visit."""
        return karras_sigmas(self.steps, self.sigma_min, self.sigma_max, self.rho)

    @property
    def evaluations(self) -> int:
        """Network evaluations per output."""
        return 2 * self.steps - 1

    @property
    def schedule(self) -> str:
        """The noise levels in words. With one step neither sigma_min nor rho matters."""
        levels = f"sigma {self.sigma_max:g}"
        if self.steps > 1:
            levels += f" to {self.sigma_min:g}, rho {self.rho:g}"
        return levels if self.temperature == 1 else f"{levels}, temperature {self.temperature:g}"

    @property
    def name(self) -> str:
        return f"{self.model}, {self.steps} step{'s' if self.steps > 1 else ''}, {self.schedule}"


def settings(
    name: str,
    config: ModelConfig,
    steps: Sequence[int] | None = None,
    sigma_max: Sequence[float] | None = None,
    sigma_min: Sequence[float] | None = None,
    rho: Sequence[float] | None = None,
    temperature: Sequence[float] | None = None,
) -> list[Setting]:
    """Every combination once; what is not given is the model's own. An impossible one raises ValueError."""
    edm, spectrum = config.edm, config.spectrum
    latency = None
    if config.causal:
        samples = spectrum.latency + config.network.lookahead_frames * spectrum.hop_length
        latency = 1_000 * samples / spectrum.sample_rate
    found: dict[str, Setting] = {}
    for n, high, low, bend, warmth in itertools.product(
        steps or [edm.steps],
        sigma_max or [edm.sigma_max],
        sigma_min or [edm.sigma_min],
        rho or [edm.rho],
        temperature or [edm.temperature],
    ):
        EdmConfig(steps=n, sigma_max=high, sigma_min=low, rho=bend, temperature=warmth)  # says what cannot be
        setting = Setting(
            model=name,
            steps=n,
            sigma_max=high,
            sigma_min=low,
            rho=bend,
            temperature=warmth,
            latency_ms=latency,
        )
        found.setdefault(setting.name, setting)
    return list(found.values())

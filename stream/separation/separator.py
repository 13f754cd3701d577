"""What turns a mixture into vocals, hop by hop: the protocol, the identity, and how one is chosen.

A separator owns every bit of signal state and is used by one thread at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import cpp_ext

Audio = NDArray[np.float32]  # (samples, channels)

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "models" / "live.onnx"


class ModelError(Exception):
    """A model that cannot be used; the text says why and what to do."""


class Separator(Protocol):
    """Vocals out of a mixture, late by a constant number of samples."""

    sample_rate: int
    channels: int
    hop_length: int
    lookahead: int  # samples of future waited for; part of latency
    latency: int  # samples: of the transform and back, and lookahead; constant from prepare on

    @property
    def status(self) -> str:
        """What separates, where, and how well at present; for people. [any]"""

    def set_steps(self, steps: int | None) -> bool:
        """From the next hops on so many steps of the sampler; None is the model's own number, or fewer when
        time is short. False, and no change, where there is nothing to choose. [any]
        """

    def prepare(self, max_hops: int) -> None:
        """Allocates for up to max_hops hops per call of process."""

    def process(self, mixture: Audio) -> Audio:
        """(k * hop_length, channels) -> vocals of the same shape, `latency` samples late.

        k is 0 to max_hops. The result is valid until the next call.
        """

    def reset(self) -> None:
        """Forgets the past, as after prepare."""


class IdentitySeparator:
    """Takes everything for vocals, by way of the full transform and back: proves the path without a model."""

    lookahead = 0
    status = "nothing is separated"

    def __init__(
        self,
        *,
        sample_rate: int = 44_100,
        channels: int = 2,
        n_fft: int = 2_048,
        hop_length: int = 1_024,
        synthesis_length: int = 0,
    ):
        self.sample_rate = sample_rate
        self.channels = channels
        self.hop_length = hop_length
        analysis, synthesis = windows(n_fft, hop_length, synthesis_length)
        self._analysis = cpp_ext.StftAnalysis(n_fft, hop_length, channels, analysis)
        self._synthesis = cpp_ext.StftSynthesis(n_fft, hop_length, channels, analysis, synthesis)
        self.latency = self._synthesis.latency
        self._n_bins = n_fft // 2 + 1

    def set_steps(self, steps: int | None) -> bool:
        return steps is None

    def prepare(self, max_hops: int) -> None:
        self._spectra = np.empty((max_hops, self.channels, self._n_bins), np.complex64)
        self._vocals = np.empty((max_hops * self.hop_length, self.channels), np.float32)
        self.reset()

    def process(self, mixture: Audio) -> Audio:
        spectra = self._spectra[: len(mixture) // self.hop_length]
        vocals = self._vocals[: len(mixture)]
        self._analysis.process(mixture, spectra)
        self._synthesis.process(spectra, vocals)
        return vocals

    def reset(self) -> None:
        self._analysis.reset()
        self._synthesis.reset()


def windows(
    n_fft: int, hop_length: int, synthesis_length: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Analysis window (n_fft,) and the synthesis window (synthesis_length,) for the end of each frame.

    The analysis hears n_fft samples and falls within the last half of synthesis_length, so that little has to
    be waited for. The product of both is a periodic Hann window that overlap-adds to 1. When synthesis_length
    is n_fft, or 0, both are the square root of that. After Mauler and Martin (2007), "A low delay, variable
    resolution, perfect reconstruction spectral analysis-synthesis system for speech enhancement".
    """
    length = synthesis_length or n_fft
    peak = n_fft - length / 2
    n = np.arange(n_fft)
    analysis = np.where(n < peak, np.sin(np.pi * n / (2 * peak)), np.cos(np.pi * (n - peak) / length))
    analysis *= (2 * hop_length / n_fft) ** 0.5
    hann = np.sin(np.pi * np.arange(length) / length) ** 2 * (2 * hop_length / length)
    end = analysis[n_fft - length :]
    synthesis = np.divide(hann, end, out=np.zeros(length), where=end != 0)
    return analysis.astype(np.float32), synthesis.astype(np.float32)

"""DiffusionSeparator: transform, a few steps of the sampler, transform back.

With a deterministic sampler, evaluation j of every frame happens at the same noise level. So each evaluation
has its own state, and frames may come in pieces of any size: the stream equals the whole song at once
(`diffvs.sampling` says the same in torch; a test compares).
"""

from __future__ import annotations

import numpy as np

from stream.separation.level import RunningLevel
from stream.separation.model import Image
from stream.separation.sampled import SampledSeparator
from stream.separation.sampler import frame_noise, heun
from stream.separation.separator import Audio
from stream.separation.spectrum import compress, expand, make_spectra

MAX_FRAMES = 8  # per run of the network: more gains little speed and costs memory


class DiffusionSeparator(SampledSeparator):
    """A Separator around an exported causal model."""

    kind = "causal"

    def prepare(self, max_hops: int) -> None:
        spec, frames = self._spec, min(max_hops, MAX_FRAMES)
        self._mixture_spectra, self._vocals_spectra = make_spectra(spec, frames), make_spectra(spec, frames)
        self._level = RunningLevel(spec) if spec.level_seconds else None
        self._noise = np.empty(4 * spec.bins * frames, np.float32)
        self._vocals = np.empty((max_hops * spec.hop_length, spec.channels), np.float32)
        self.model.prepare(range(1, frames + 1), self._schedules.levels)
        self.reset()

    def process(self, mixture: Audio) -> Audio:
        vocals = self._vocals[: len(mixture)]
        piece = MAX_FRAMES * self.hop_length
        for start in range(0, len(mixture), piece):
            self._separate(mixture[start : start + piece], vocals[start : start + piece])
        return vocals

    def reset(self) -> None:
        self._analysis.reset()
        self._synthesis.reset()
        if self._level:
            self._level.reset()
        self.model.reset()
        self._follow()
        # Frames in the state of each evaluation; silence is a past like any other.
        self._heard = [self._spec.context_frames] * len(self._schedules.levels)
        self._frame = 0

    def _separate(self, mixture: Audio, vocals: Audio) -> None:
        """One run of the network's worth of hops."""
        frames = len(mixture) // self.hop_length
        if self._wanted != self._steps:
            self._change()
        if self._anytime:
            self._anytime.begin(frames)
        heard, separated = self._mixture_spectra[:frames], self._vocals_spectra[:frames]
        self._analysis.process(mixture, heard)
        if self._level:
            self._level.divide(heard)
        compress(heard, self._spec, self.model.mixture(frames))
        expand(self._estimate(frames), self._spec, separated)
        if self._level:
            self._level.restore(separated)
        self._synthesis.process(separated, vocals)
        if self._anytime:
            self._anytime.end(self._done)

    def _change(self) -> None:
        """To another number of steps. States that were not in use know nothing of the past."""
        used = self._schedule.places
        self._heard = [heard if place in used else 0 for place, heard in enumerate(self._heard)]
        self._follow()

    def _estimate(self, frames: int) -> Image:
        sigmas, places = self._schedule
        shape = (1, 4, self._spec.bins, frames)
        x = self._noise[: np.prod(shape)].reshape(shape)
        frame_noise(self._frame, self._spec.noise_seed, self._start_sigma, x)
        self._frame += frames
        done = 0
        for _ in heun(lambda image, evaluation: self._denoise(image, places[evaluation]), x, sigmas):
            done += 1
            if self._anytime and not self._anytime.allows(done):
                break
        self._done = done
        for place in places[done:]:
            self._heard[place] = 0
        return self.model.denoised(frames)

    def _denoise(self, x: Image, place: int) -> Image:
        """One evaluation. Where it missed frames, it starts again from silence and is faded in.

        The fade is as long as the network's context: when it ends, the state is what it would have been.
        """
        frames, context = x.shape[-1], self._spec.context_frames
        heard = self._heard[place]
        self._heard[place] = heard + frames
        if heard >= context:
            return self.model.evaluate(x, place)
        if heard == 0:
            self.model.forget(place)
        before = self.model.denoised(frames).copy()
        estimate = self.model.evaluate(x, place)
        share = np.minimum(np.arange(heard + 1, heard + frames + 1, dtype=np.float32) / context, 1)
        estimate -= before
        estimate *= share
        estimate += before
        return estimate

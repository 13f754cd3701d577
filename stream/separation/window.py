"""WindowSeparator: a network that sees a window of some seconds at once, slid over the stream.

Every `stride_frames` hops the window moves and is separated anew. Of its estimate the newest stride is kept
that has `lookahead_frames` after it; its beginning is cross-faded with what the window before said of these
frames. The noise of a frame is a function of its number, so both windows hear the same there. Frame 0 is the
first of the window in which nothing has been heard yet.
"""

from __future__ import annotations

import numpy as np

from stream.fifo import SampleFifo
from stream.separation.model import Image
from stream.separation.sampled import SampledSeparator
from stream.separation.sampler import frame_noise, heun
from stream.separation.separator import Audio
from stream.separation.spectrum import QUIET, compress, expand, make_spectra


class WindowSeparator(SampledSeparator):
    """A Separator around an exported window model."""

    kind = "window"

    def prepare(self, max_hops: int) -> None:
        spec = self._spec
        stride = spec.stride_frames
        self._heard = SampleFifo(stride * spec.hop_length, spec.channels)
        self._separated = SampleFifo((max_hops + 2 * stride) * spec.hop_length, spec.channels)
        self._vocals = np.empty((max_hops * spec.hop_length, spec.channels), np.float32)
        self._spectra = make_spectra(spec, stride)
        self._estimate = make_spectra(spec, stride + spec.lookahead_frames)
        self._audio = np.empty((stride * spec.hop_length, spec.channels), np.float32)
        shape = (1, 4, spec.bins, spec.window_frames)
        self._mixture, self._noise = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._newest = np.empty((1, 4, spec.bins, stride), np.float32)
        self._peaks = np.empty(spec.window_frames, np.float32)
        # The first frames of a stride: from the estimate of the window before to the present one.
        fade = min(stride, spec.lookahead_frames)
        self._fade = (np.arange(1, fade + 1, dtype=np.float32) / (fade + 1))[:, np.newaxis, np.newaxis]
        self._previous = make_spectra(spec, fade)
        self.model.prepare([spec.window_frames], self._schedules.levels)
        self.reset()

    def process(self, mixture: Audio) -> Audio:
        stride = self._spec.stride_frames * self.hop_length
        done = 0
        while done < len(mixture):
            part = mixture[done : done + stride - len(self._heard)]
            self._heard.push(part)
            done += len(part)
            if len(self._heard) == stride:
                self._separated.push(self._run(self._heard.pop(stride)))
        vocals = self._vocals[: len(mixture)]
        vocals[:] = self._separated.pop(len(mixture))
        return vocals

    def reset(self) -> None:
        spec = self._spec
        self._analysis.reset()
        self._synthesis.reset()
        self._heard.clear()
        self._separated.clear()
        self._separated.push(np.zeros(((spec.stride_frames - 1) * spec.hop_length, 2), np.float32))
        self._mixture[:] = 0.0
        self._peaks[:] = 0.0
        self._previous[:] = 0.0
        self._next = spec.window_frames  # number of the next frame to be heard
        frame_noise(0, spec.noise_seed, self._start_sigma, self._noise)

    def _run(self, mixture: Audio) -> Audio:
        """Moves the window by a stride and gives a stride of vocals."""
        spec, stride = self._spec, self._spec.stride_frames
        self._follow()
        if self._anytime:
            self._anytime.begin(stride)
        self._move(mixture)
        level = float(max(self._peaks.max(), QUIET)) if spec.peak_normalise else 1.0
        window = self.model.mixture(spec.window_frames)
        np.multiply(self._mixture, level**-spec.exponent, out=window)  # compression turns factors to powers
        image = self._sample()

        made = stride + spec.lookahead_frames
        expand(image[..., spec.window_frames - made :], spec, self._estimate)
        self._estimate *= level
        fade = len(self._fade)
        begin = self._estimate[:fade]
        begin += (1 - self._fade) * (self._previous - begin)
        self._previous[:] = self._estimate[stride : stride + fade]
        self._synthesis.process(self._estimate[:stride], self._audio)
        return self._audio

    def _sample(self) -> Image:
        sigmas, places = self._schedule
        done = 0
        for _ in heun(lambda x, j: self.model.evaluate(x, places[j]), self._noise, sigmas):
            done += 1
            if self._anytime and not self._anytime.allows(done):
                break
        if self._anytime:
            self._anytime.end(done)
        return self.model.denoised(self._spec.window_frames)

    def _move(self, mixture: Audio) -> None:
        """The window loses its oldest frames and gains those of a stride of audio."""
        spec, stride = self._spec, self._spec.stride_frames
        for ring in (self._mixture, self._noise, self._peaks):
            ring[..., :-stride] = ring[..., stride:]  # NumPy copies what overlaps
        self._analysis.process(mixture, self._spectra)
        compress(self._spectra, spec, self._newest)
        self._mixture[..., -stride:] = self._newest
        frame_noise(self._next, spec.noise_seed, self._start_sigma, self._newest)
        self._next += stride
        self._noise[..., -stride:] = self._newest
        np.max(np.abs(mixture).reshape(stride, -1), axis=1, out=self._peaks[-stride:])

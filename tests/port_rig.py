"""A port with a fake clock: blocks go in when the test says so, vocals come when the test says so."""

import numpy as np

from cpp_ext import AudioPort

LATENCY, RAMP, FADE = 300, 200, 100  # samples
TOLERANCE = 1e-6  # a few roundings of values below 1 in single precision


def noise(samples, seed):
    return np.random.default_rng(seed).uniform(-0.7, 0.7, (samples, 2)).astype(np.float32)


class Rig:
    """Plays `mixture` through a port; `vocals` is what a perfect worker would make of it, in its own time."""

    def __init__(
        self, mixture, vocals, *, latency=LATENCY, max_block=256, ring_samples=4096, levels=(1.0, 1.0)
    ):
        self.mixture, self.vocals = mixture, vocals
        self.port = AudioPort(
            channels=mixture.shape[1],
            latency=latency,
            max_block=max_block,
            ring_samples=ring_samples,
            ramp_samples=RAMP,
            fade_samples=FADE,
        )
        self.set_levels(*levels)
        self.output = np.zeros_like(mixture)
        self.position = 0  # of the next input sample
        self.taken = self.given = 0  # how far the worker has read the mixture and written the vocals

    def set_levels(self, vocals, accompaniment):
        self.port.vocals_level, self.port.accompaniment_level = vocals, accompaniment

    def block(self, samples):
        """The audio thread's turn; returns the block it has put out."""
        part = slice(self.position, self.position + samples)
        self.port.process(self.mixture[part], self.output[part])
        self.position += samples
        return self.output[part]

    def take(self):
        """The worker reads all there is, which must be the mixture that follows what it had."""
        block = np.empty((8192, self.mixture.shape[1]), np.float32)  # more than the ring holds
        count = self.port.read_mixture(block)
        assert np.array_equal(block[:count], self.mixture[self.taken : self.taken + count])
        self.taken += count

    def give(self, samples=None):
        """The worker writes the next vocals, all that it can make of what it has read."""
        end = self.taken if samples is None else min(self.taken, self.given + samples)
        assert self.port.write_vocals(self.vocals[self.given : end]) == end - self.given
        self.given = end

    def play(self, samples, block=64, *, prompt=True):
        """Several blocks; a prompt worker is done before the next one, the other does not get that far."""
        end = self.position + samples
        while self.position < end:
            self.block(min(block, end - self.position))
            self.take()
            if prompt:
                self.give()

    def resync(self, samples=64):
        """The handshake, with the one block in the middle that answers it."""
        assert not self.port.resync(0)
        start = self.position
        self.block(samples)
        assert self.port.resync(0)
        self.taken = self.given = start


def delayed(signal, samples):
    """The same length, silence first."""
    return np.concatenate([np.zeros_like(signal[:samples]), signal])[: len(signal)]


def wet(rig, vocals_level, accompaniment_level):
    """What a rig of the usual latency puts out when nothing is late."""
    m, s = delayed(rig.mixture, LATENCY), delayed(rig.vocals, LATENCY)
    return vocals_level * s + accompaniment_level * (m - s)


def same_bits(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))

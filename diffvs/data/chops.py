"""Vocal chops, as electronic music has them: a voice cut into pieces that are played like an instrument."""

from __future__ import annotations

import numpy as np

from diffvs.data.audio import SAMPLE_RATE, Audio
from diffvs.data.augment import Rng, rms

SIXTEENTHS = 16  # of a bar that is repeated
FADE = 220  # samples, 5 ms


def chop(rng: Rng, samples: Audio) -> tuple[Audio, float]:
    """Pieces of a voice in a rhythm, both (2, n); and the slowest speed at which one of them is played.

    n is at least TAIL: no piece is so short that nothing of it could be held.
    """
    out = np.zeros_like(samples)
    pieces, speeds = zip(*(_piece(rng, samples) for _ in range(rng.integers(1, 5))), strict=True)
    sixteenth = SAMPLE_RATE * 15 / rng.uniform(80, 175)
    sounds = rng.random(SIXTEENTHS) < rng.uniform(0.15, 0.5)
    sounds[rng.integers(SIXTEENTHS)] = True
    chosen = rng.integers(len(pieces), size=SIXTEENTHS)
    for number in range(int(samples.shape[1] / sixteenth) + 1):
        if sounds[number % SIXTEENTHS]:
            place = out[:, round(number * sixteenth) :]
            piece = pieces[chosen[number % SIXTEENTHS]][:, : place.shape[1]]
            place[:, : piece.shape[1]] += piece
    return out, min(speeds)


def _piece(rng: Rng, samples: Audio) -> tuple[Audio, float]:
    """A fragment (2, m) of 0.08 to 0.8 s, a quarter of them held, a third gliding; and its slowest speed."""
    length = min(round(SAMPLE_RATE * _log_uniform(rng, 0.08, 0.8)), samples.shape[1])
    starts = rng.integers(0, samples.shape[1] - length + 1, size=8)
    fragments = [samples[:, start : start + length] for start in starts]
    piece = fragments[int(np.argmax([rms(fragment) for fragment in fragments]))]
    if rng.random() < 0.25:
        piece = hold(rng, piece, round(SAMPLE_RATE * _log_uniform(rng, 0.2, 2.0)))
    speeds = 2 ** (rng.integers(-5, 8, size=2) / 12)
    if rng.random() < 0.67:
        speeds[1] = speeds[0]
    piece = glide(piece, *speeds)
    if rng.random() < 0.15:
        piece = piece[:, ::-1]
    fade = min(FADE, piece.shape[1] // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    piece = piece.copy()
    piece[:, :fade] *= ramp
    piece[:, piece.shape[1] - fade :] *= ramp[::-1]
    return piece, float(min(speeds))


def hold(rng: Rng, samples: Audio, length: int) -> Audio:
    """A moment of (2, n) held for `length` samples: grains from about one place, faded into each other."""
    grain = min(round(SAMPLE_RATE * rng.uniform(0.05, 0.15)), samples.shape[1]) // 2 * 2
    hop, window = grain // 2, np.hanning(grain + 1)[:-1].astype(np.float32)
    spare = samples.shape[1] - grain
    around = rng.integers(0, spare + 1)
    out = np.zeros((2, length + 2 * grain), np.float32)
    for first in range(0, length + hop, hop):
        start = int(np.clip(around + rng.integers(-hop // 2, hop // 2 + 1), 0, spare))
        out[:, first : first + grain] += window * samples[:, start : start + grain]
    return out[:, hop : hop + length]


def glide(samples: Audio, first: float, last: float) -> Audio:
    """Play (2, n) at a speed that goes from `first` to `last`."""
    speed = np.linspace(first, last, max(2, round(2 * samples.shape[1] / (first + last))))
    at = np.cumsum(speed) - speed[0]
    at = at[at <= samples.shape[1] - 1]
    played = [np.interp(at, np.arange(samples.shape[1]), channel) for channel in samples]
    return np.stack(played).astype(np.float32)


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))

"""Processed copies of scarce voices, too slow to make on the fly: pitch, formants, tempo apart, and doubling.

Time is stretched by a phase vocoder whose bins follow the nearest spectral peak (identity phase locking,
Laroche and Dolson 1999); playing the result faster moves pitch and formants; the formants are put where they
are wanted by a smooth envelope (low quefrencies of the cepstrum) while the spectrum is at hand.
"""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft
import soxr
from scipy.ndimage import binary_dilation, maximum_filter1d

from diffvs.data.audio import SAMPLE_RATE, Audio
from diffvs.data.augment import Rng
from diffvs.data.cache import LEVEL_BLOCK, Cache, Entry

N_FFT = 2048
HOP = 512
QUEFRENCY = 70  # samples: shorter than a period of 600 Hz, long enough for formants
VALLEY = 15  # bins: 320 Hz, wider than the harmonics of most voices lie apart
LIMIT = 8.0  # largest gain of the formant correction
SECONDS = 30  # stretches are processed at once in pieces of this length
SOUNDING_DB = -60

_WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)


def envelope(magnitudes: Audio) -> Audio:
    """Smooth spectral envelopes (frames, bins) of magnitudes (frames, bins).

    The valleys between harmonics, and the one under the first, are filled before smoothing: an envelope runs
    over the peaks.
    """
    filled = maximum_filter1d(magnitudes, VALLEY, axis=1)
    floor = filled.max(axis=1, keepdims=True) * 1e-4 + 1e-7
    cepstrum = scipy.fft.irfft(np.log(np.maximum(filled, floor)), axis=1)
    cepstrum[:, QUEFRENCY:-QUEFRENCY] = 0
    smooth: Audio = np.exp(scipy.fft.rfft(cepstrum, axis=1).real)
    return smooth


def formant_gains(magnitudes: Audio, ratio: float) -> Audio:
    """Gains (frames, bins) that give bin b the envelope of bin b * ratio."""
    shape = envelope(magnitudes)
    bins = np.arange(shape.shape[1], dtype=np.float32) * ratio
    low = np.minimum(bins.astype(np.int64), shape.shape[1] - 2)
    part = np.clip(bins - low, 0, 1)
    moved = shape[:, low] * (1 - part) + shape[:, low + 1] * part
    gains: Audio = np.clip(moved / shape, 1 / LIMIT, LIMIT)
    return gains


def _frames(samples: Audio, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.complex64]:
    """Windowed spectra (frames, bins) of a mono signal at the given first samples."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)
    spectra: npt.NDArray[np.complex64] = scipy.fft.rfft(windows[starts] * _WINDOW, axis=1)
    return spectra


def _locked_rotations(
    now: npt.NDArray[np.complex64], before: npt.NDArray[np.complex64]
) -> npt.NDArray[np.complex64]:
    """Unit factors (frames, bins) that make each analysis frame continue the one synthesised before it.

    `before` holds the spectra one hop ahead of `now`. Only peaks carry phase on, the bins around follow them.
    """
    magnitudes = np.abs(now)
    phases, advance = np.angle(now), np.angle(now) - np.angle(before)
    rotations = np.zeros_like(phases)
    synthesised = phases[0]
    bins = np.arange(phases.shape[1])
    for k in range(1, len(now)):
        frame = magnitudes[k]
        inner = (frame[1:-1] > frame[:-2]) & (frame[1:-1] >= frame[2:])
        peaks = np.flatnonzero(inner) + 1
        if len(peaks):
            nearest = peaks[np.searchsorted((peaks[1:] + peaks[:-1]) / 2, bins)]
            turned = synthesised[peaks] + advance[k, peaks] - phases[k, peaks]
            lookup = np.zeros(len(bins), dtype=np.float32)
            lookup[peaks] = turned
            rotations[k] = lookup[nearest]
        synthesised = phases[k] + rotations[k]
    unit: npt.NDArray[np.complex64] = np.exp(1j * rotations).astype(np.complex64)
    return unit


def stretch(samples: Audio, factor: float, formant_ratio: float) -> Audio:
    """(2, n) audio made `factor` times as long at the same pitch, its envelope moved by `formant_ratio`.

    Both channels are turned by the phases of their sum, so that the stereo image stays.
    """
    padded = np.pad(samples, ((0, 0), (N_FFT, 2 * N_FFT)))
    count = int((samples.shape[1] + N_FFT) * factor / HOP)
    starts = (np.arange(count) * (HOP / factor)).astype(np.int64) + HOP
    starts = starts[starts < padded.shape[1] - N_FFT]
    middle = padded.mean(axis=0)
    now = _frames(middle, starts)
    turns = _locked_rotations(now, _frames(middle, starts - HOP))
    if formant_ratio != 1:
        turns = turns * formant_gains(np.abs(now), formant_ratio)
    out = np.zeros((2, len(starts) * HOP + N_FFT), dtype=np.float32)
    # Squared Hann windows at a quarter of their length add up to 1.5.
    for channel in range(2):
        frames = scipy.fft.irfft(_frames(padded[channel], starts) * turns, axis=1) * (_WINDOW / 1.5)
        for k in range(len(frames)):
            out[channel, k * HOP : k * HOP + N_FFT] += frames[k]
    first = round((N_FFT - HOP) * factor)
    return out[:, first : first + round(samples.shape[1] * factor)]


def change_voice(samples: Audio, pitch: float, formants: float, tempo: float) -> Audio:
    """(2, n) voice with its pitch, its formants and its speed multiplied by the three factors."""
    longer = stretch(samples, pitch / tempo, pitch / formants)
    played: Audio = soxr.resample(longer.T, SAMPLE_RATE * pitch, SAMPLE_RATE).T
    return played


def double(samples: Audio, rng: Rng) -> Audio:
    """Add a second take: the same voice, late by 12 to 35 ms that drift, so that its pitch drifts too."""
    count = samples.shape[1]
    points = np.arange(0, count + SAMPLE_RATE, SAMPLE_RATE // 2)
    later = rng.uniform(0.012, 0.035) + np.cumsum(rng.normal(0, 0.002, len(points))).clip(-0.01, 0.01)
    time = np.arange(count)
    where = time - np.interp(time, points, later) * SAMPLE_RATE
    pan = float(rng.uniform(-1, 1))
    channels = []
    for channel, side in enumerate((-1, 1)):
        second = np.interp(where, time, samples[channel], left=0.0).astype(np.float32)
        channels.append(samples[channel] * (1 - 0.3 * side * pan) + second * (0.7 + 0.3 * side * pan))
    doubled: Audio = np.stack(channels).astype(np.float32)
    return doubled


def sounding_parts(samples: Audio, levels_db: list[int]) -> Audio:
    """The stretches of (2, n) that sound, with half a second around them, put together."""
    around = np.ones(5, dtype=bool)
    sounds = binary_dilation(np.asarray(levels_db) > SOUNDING_DB, around)
    return samples[:, np.repeat(sounds, LEVEL_BLOCK)[: samples.shape[1]]]


def make_variant(cache: Cache, entry: Entry, number: int) -> Entry:
    """Make and store variant `number` (1, 2, ...) of a voice of the training split; gives its entry."""
    rng = np.random.default_rng((zlib.crc32(entry.name.encode()), number))
    voice = sounding_parts(cache.read("train", entry, 0, entry.samples), entry.levels_db)
    pitch = float(2 ** (rng.uniform(-5, 5) / 12))
    formants, tempo = float(np.exp(rng.uniform(-0.15, 0.15))), float(np.exp(rng.uniform(-0.15, 0.15)))
    piece = SECONDS * SAMPLE_RATE
    pieces = [voice[:, start : start + piece] for start in range(0, voice.shape[1], piece)]
    changed = np.concatenate([change_voice(part, pitch, formants, tempo) for part in pieces], axis=1)
    if rng.random() < 0.4:
        changed = double(changed, rng)
    limit = min(SAMPLE_RATE / 2, entry.bandwidth_hz * pitch)
    return cache.add("train", dataclasses.replace(variant_of(entry, number), bandwidth_hz=limit), changed.T)


def variant_of(entry: Entry, number: int) -> Entry:
    """The entry a variant will have, before it is made."""
    return dataclasses.replace(entry, name=f"{entry.name}~{number}", variant=number)


def add_variant(root: Path, entry: Entry, number: int) -> str:
    """`make_variant` for a worker process: gives what went wrong, or nothing. One already there stays."""
    cache = Cache(root)
    if cache.has("train", variant_of(entry, number)):
        return ""
    try:
        make_variant(cache, entry, number)
    except (OSError, ValueError) as error:
        return f"variant {number} of {entry.name}: {error}"
    return ""

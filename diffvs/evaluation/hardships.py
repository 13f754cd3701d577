"""The validation song made harder, one thing at a time: what a model does then says where it fails.

Each hardship takes vocals and accompaniment, (2, samples) at 44.1 kHz, and gives both anew. They are made of
the song alone and of fixed seeds, so that models can be compared by them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.signal
from scipy.ndimage import median_filter

from diffvs.data.audio import SAMPLE_RATE, Audio
from diffvs.data.augment import db, rms
from diffvs.data.variants import change_voice

Hardship = Callable[[Audio, Audio], tuple[Audio, Audio]]
N_FFT, HOP = 2_048, 512
MEDIAN = 17  # frames, and bins: 0.2 s, and 370 Hz


def transposed(vocals: Audio, semitones: float) -> Audio:
    """The voice sung so much higher by a singer so much smaller: formants move by half as much."""
    ratio = 2 ** (semitones / 12)
    return _fitted(change_voice(vocals, ratio, ratio**0.5, 1.0), vocals)


def choir(vocals: Audio) -> Audio:
    """Six singers: detuned by up to 25 cents, up to 40 ms apart, all over the stereo image."""
    rng = np.random.default_rng(0)
    voices = np.zeros_like(vocals)
    for pan in np.linspace(-0.9, 0.9, 6, dtype=np.float32):
        cents = rng.uniform(-25, 25)
        one = transposed(vocals.mean(axis=0, keepdims=True).repeat(2, axis=0), cents / 100)
        one = np.roll(one, int(rng.uniform(0, 0.04) * SAMPLE_RATE), axis=1)
        voices += one * np.sqrt(np.array([[1 - pan], [1 + pan]], np.float32) / 2)
    return _as_loud(voices, vocals)


def reverberant(vocals: Audio, decay_s: float = 3.0) -> Audio:
    """In a hall that is as loud as the voice itself, and different in both channels."""
    time = np.arange(round(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(1).standard_normal((2, len(time)))
    hall = (noise * np.exp(-6.9 * time / decay_s)).astype(np.float32)
    wet = scipy.signal.fftconvolve(vocals, hall, axes=1)[:, : vocals.shape[1]].astype(np.float32)
    return _as_loud(vocals + _as_loud(wet, vocals), vocals)


def with_loud_drums(accompaniment: Audio, raised_db: float = 9.0) -> Audio:
    """What is percussive raised, by median filtering along time and along frequency (Fitzgerald 2010)."""
    _, _, spectrum = scipy.signal.stft(accompaniment, nperseg=N_FFT, noverlap=N_FFT - HOP)
    magnitude = np.abs(spectrum)
    steady = median_filter(magnitude, (1, 1, MEDIAN)) ** 2
    struck = median_filter(magnitude, (1, MEDIAN, 1)) ** 2
    spectrum *= 1 + (db(raised_db) - 1) * struck / (steady + struck + 1e-12)
    louder = scipy.signal.istft(spectrum, nperseg=N_FFT, noverlap=N_FFT - HOP)[1].astype(np.float32)
    return _fitted(louder, accompaniment)


def distorted(accompaniment: Audio, drive_db: float = 24.0) -> Audio:
    """All of it through an overdriven amplifier, as loud as before."""
    drive = db(drive_db) / np.float32(4 * max(rms(accompaniment), 1e-6))
    return _as_loud(np.tanh(accompaniment * drive), accompaniment)


def spoken(speech: Audio) -> Hardship:
    """Someone who speaks instead of the singer, as loud; the recording is repeated where it is too short."""
    return lambda v, a: (_as_loud(np.resize(speech.T, v.T.shape).T, v), a)


HARDSHIPS: dict[str, Hardship] = {
    "as it is": lambda v, a: (v, a),
    "low voice (7 semitones down)": lambda v, a: (transposed(v, -7), a),
    "high voice (5 semitones up)": lambda v, a: (transposed(v, 5), a),
    "choir of six": lambda v, a: (choir(v), a),
    "hall of 3 s": lambda v, a: (reverberant(v), a),
    "voice on the left": lambda v, a: (v * np.array([[1.4], [0.1]], np.float32), a),
    "quiet voice (-8 dB)": lambda v, a: (v * db(-8), a),
    "loud drums (+9 dB)": lambda v, a: (v, with_loud_drums(a)),
    "distorted music": lambda v, a: (v, distorted(a)),
    "everything at -30 dB": lambda v, a: (v * db(-30), a * db(-30)),
    "everything at +10 dB": lambda v, a: (v * db(10), a * db(10)),  # as loud as much music is mastered
    "no voice": lambda v, a: (np.zeros_like(v), a),
}


def _fitted(samples: Audio, like: Audio) -> Audio:
    length = like.shape[1]
    fitted: Audio = np.pad(samples, ((0, 0), (0, max(0, length - samples.shape[1]))))[:, :length]
    return fitted


def _as_loud(samples: Audio, like: Audio) -> Audio:
    louder: Audio = (samples * np.float32(rms(like) / max(rms(samples), 1e-9))).astype(np.float32)
    return louder

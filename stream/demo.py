"""python -m stream.demo: the bundled song through the live path, and the figures to judge it by.

The song goes block by block through the audio callback while the worker separates beside it, as in a live
session; only nobody waits for the clock. The true stems are bundled too, so the SDR is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from stream.audio.audio_file import AudioFileError, AudioReader, AudioWriter
from stream.engine import Engine
from stream.separation.load import IDENTITY, load_separator
from stream.separation.separator import BUNDLED_MODEL, Audio, ModelError, Separator
from stream.stats import Stats

BLOCK_SIZE = 1_024
SONG = BUNDLED_MODEL.parent / "demo"
FLOOR_DB = -90.0  # the darkest and the lowest of the picture
TOP_HZ = 16_000


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out, aligned to the sample with what went in; audio is (samples, channels) at sample_rate."""

    model: str
    is_identity: bool
    sample_rate: int
    mixture: Audio
    true_vocals: Audio
    vocals: Audio
    live_latency: int  # samples from input to output in a live session, without the device
    stats: Stats

    @property
    def accompaniment(self) -> Audio:
        return self.mixture - self.vocals


def load_song(sample_rate: int) -> tuple[Audio, Audio]:
    """The bundled excerpt as (mixture, true vocals) at sample_rate. Raises AudioFileError."""
    vocals = _read(SONG / "caesium.vocals.opus", sample_rate)
    return vocals + _read(SONG / "caesium.accompaniment.opus", sample_rate), vocals


def _read(path: Path, sample_rate: int) -> Audio:
    with AudioReader(path) as reader:
        audio = np.concatenate([block.copy() for block in reader.blocks(65_536)])
        resampled: Audio = soxr.resample(audio, reader.sample_rate, sample_rate)
    return resampled


def separate(separator: Separator, mixture: Audio) -> tuple[Audio, Stats]:
    """The vocals of the mixture, by way of the callback and the worker; the callback waits where it must.

    Raises ModelError when the separator fails.
    """
    engine = Engine(separator, wait=True)
    engine.prepare(BLOCK_SIZE)
    engine.set_levels(vocals=1.0, accompaniment=0.0)
    blocks = -(-(len(mixture) + engine.latency) // BLOCK_SIZE)
    fed = np.zeros((blocks * BLOCK_SIZE, separator.channels), np.float32)
    fed[: len(mixture)] = mixture
    played = np.empty_like(fed)
    engine.start()
    try:
        starts = track(range(0, len(fed), BLOCK_SIZE), "separating", console=Console(stderr=True))
        for start in starts:
            engine.process(fed[start : start + BLOCK_SIZE], played[start : start + BLOCK_SIZE])
    finally:
        engine.stop()
    stats = engine.stats()
    if stats.error:
        raise ModelError(f"the model failed: {stats.error}")
    return played[engine.latency :][: len(mixture)], stats


def sdr(estimate: Audio, reference: Audio) -> float:
    """10 log10(reference energy / error energy) over the whole excerpt, in dB."""
    error = np.sum(np.square(reference - estimate, dtype=np.float64))
    return float(10 * np.log10(np.sum(np.square(reference, dtype=np.float64)) / max(error, 1e-12)))


def run() -> Result:
    """Separates the bundled song with the bundled model, or the identity where there is none."""
    separator, name = load_separator(None)
    mixture, true_vocals = load_song(separator.sample_rate)
    vocals, stats = separate(separator, mixture)
    live = Engine(separator)  # with the slack that a live session holds back
    live.prepare(BLOCK_SIZE)
    return Result(
        model=name,
        is_identity=name == IDENTITY,
        sample_rate=separator.sample_rate,
        mixture=mixture,
        true_vocals=true_vocals,
        vocals=vocals,
        live_latency=live.budget.total,
        stats=stats,
    )


def describe(result: Result) -> str:
    """The figures, one a line."""
    times = result.stats.times
    truth = result.mixture - result.true_vocals
    sources = {
        "vocals": (result.vocals, result.true_vocals),
        "accompaniment": (result.accompaniment, truth),
    }
    lines = [
        f"model    {result.model}",
        f"latency  {1000 * result.live_latency / result.sample_rate:.0f} ms from input to output in a live "
        f"session with blocks of {BLOCK_SIZE} samples, plus what the audio device takes",
        f"load     {100 * times.rtf:.1f} % of real time: {1000 * times.median_s:.2f} ms for a hop of "
        f"{1000 * result.stats.deadline_s:.1f} ms (99 %: {1000 * times.p99_s:.2f} ms)",
    ]
    if result.is_identity:
        return "\n".join(lines)  # nothing was separated, so there is no gain to speak of
    for source, (estimate, reference) in sources.items():
        before, after = sdr(result.mixture, reference), sdr(estimate, reference)
        lines.append(
            f"SDR      {source}: {after:.1f} dB, {after - before:+.1f} dB against the untouched mixture"
        )
    return "\n".join(lines)


def write(result: Result, folder: Path) -> list[Path]:
    """vocals.wav, accompaniment.wav and, where matplotlib is installed, report.png. Raises AudioFileError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, audio in (("vocals", result.vocals), ("accompaniment", result.accompaniment)):
        path = folder / f"{name}.wav"
        channels, samples = audio.shape[1], len(audio)
        with AudioWriter(path, sample_rate=result.sample_rate, channels=channels, samples=samples) as file:
            file.write(audio)
        written.append(path)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("no picture, since matplotlib is not installed: pip install matplotlib", file=sys.stderr)
        return written
    draw(result, folder / "report.png")
    return [*written, folder / "report.png"]


def draw(result: Result, path: Path) -> None:
    """The spectrograms of mixture, vocals and accompaniment under one another, and their levels over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 12), layout="constrained")
    figure.suptitle(describe(result), family="monospace", size=9, x=0.01, ha="left")
    axes = figure.subplots(4, 1, sharex=True)
    sounds = {"mixture": result.mixture, "vocals": result.vocals, "accompaniment": result.accompaniment}
    for ax, (name, sound) in zip(axes, sounds.items(), strict=False):
        mono = sound.mean(axis=1) + 1e-9 * np.cos(
            np.arange(len(sound))
        )  # the logarithm of silence is no colour
        shown = ax.specgram(
            mono, NFFT=2048, Fs=result.sample_rate, noverlap=1024, vmin=FLOOR_DB - 40, vmax=-30, cmap="magma"
        )
        ax.set(title=name, ylabel="Hz", ylim=(0, TOP_HZ))
        figure.colorbar(shown[3], ax=ax, label="dB/Hz", pad=0.01)
    for name, sound in {**sounds, "true vocals": result.true_vocals}.items():
        style = "--" if name == "true vocals" else "-"
        axes[3].plot(*level(sound, result.sample_rate), style, label=name, linewidth=1)
    axes[3].set(title="level", ylabel="dBFS", xlabel="seconds", ylim=(-70, 0))
    axes[3].legend(ncols=4, loc="lower right")
    temporary = path.with_suffix(".tmp")
    figure.savefig(temporary, format="png", dpi=100)
    temporary.replace(path)


def level(sound: Audio, sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds and RMS level in dBFS, for every tenth of a second."""
    window = sample_rate // 10
    parts = sound[: len(sound) // window * window].reshape(-1, window * sound.shape[1])
    rms = np.sqrt(np.mean(np.square(parts, dtype=np.float64), axis=1))
    return (np.arange(len(parts)) + 0.5) * window / sample_rate, 20 * np.log10(np.maximum(rms, 1e-6))


def advice() -> str:
    """How to go on from here, with the Python that has everything installed."""
    python = Path(sys.executable)
    with contextlib.suppress(ValueError):
        python = python.relative_to(Path.cwd())
    return f"""\
Your own song:  {python} -m stream.render SONG.mp3
Live, devices:  {python} -m stream.live --list-devices
Live, karaoke:  {python} -m stream.live --input ID --output ID --mode karaoke"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stream.demo",
        description="Separates the bundled 30 seconds through the live path and shows how well it went.",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo_out"), metavar="DIR", help="default: demo_out"
    )
    folder = parser.parse_args(arguments).output
    try:
        result = run()
        written = write(result, folder)
    except (AudioFileError, ModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(describe(result))
    print("written  " + "\n         ".join(str(path) for path in written))
    if result.is_identity:
        print("\nNo model is bundled yet: the vocals are the whole song and the accompaniment is silence.")
        print("What was shown is the live path itself: nothing lost, nothing late, aligned to the sample.")
    print("\n" + advice())
    return 0


if __name__ == "__main__":
    sys.exit(main())

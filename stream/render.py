"""python -m stream.render song.mp3: the live path, driven by a file.

Writes the vocals and the accompaniment of a song, each exactly as long as the song and aligned with it
to the sample. The two add up to the song.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stream.audio.audio_file import AudioFileError, AudioReader, AudioWriter, same_file
from stream.engine import Engine
from stream.options import add_run_options, run_options
from stream.separation.load import AS_IT_IS, IDENTITY, NO_MODEL, RunOptions, load_separator
from stream.separation.separator import Audio, ModelError, Separator
from stream.stats import Stats

BLOCK_HOPS = 8  # per step: enough to be quick, few enough to show progress
QUALITY = "VHQ"  # of soxr, where the song's rate is not the model's

EPILOG = """\
examples:
  python -m stream.render song.mp3
      writes song_vocals.wav and song_accompaniment.wav beside the song
  python -m stream.render song.flac --accompaniment-out karaoke.flac
      writes the accompaniment only, as FLAC

Reads and writes every format of libsndfile (WAV, FLAC, MP3, OGG, AIFF, ...), by extension; WAV files
are 32-bit float, so nothing is clipped. Files appear under their names only when they are complete.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        vocals, accompaniment = output_paths(options.input, options.vocals_out, options.accompaniment_out)
        render(
            options.input,
            vocals=vocals,
            accompaniment=accompaniment,
            model=options.model,
            run=run_options(options),
        )
    except (AudioFileError, ModelError) as error:
        print(f"stream.render: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stream.render: interrupted, nothing was written", file=sys.stderr)
        return 130
    for name, path in (("vocals", vocals), ("accompaniment", accompaniment)):
        if path:
            print(f"{name:<14}{path}")
    return 0


def output_paths(
    song: Path, vocals: Path | None, accompaniment: Path | None
) -> tuple[Path | None, Path | None]:
    """Where to write: as asked, or both beside the song. Raises AudioFileError when they collide."""
    if vocals is None and accompaniment is None:
        vocals = song.with_name(f"{song.stem}_vocals.wav")
        accompaniment = song.with_name(f"{song.stem}_accompaniment.wav")
    for path in (vocals, accompaniment):
        if path and same_file(path, song):
            raise AudioFileError(f"{path} is the input itself: give another name")
    if vocals and accompaniment and same_file(vocals, accompaniment):
        raise AudioFileError(f"vocals and accompaniment cannot both go to {vocals}: give two names")
    return vocals, accompaniment


def render(
    song: Path,
    *,
    vocals: Path | None,
    accompaniment: Path | None,
    model: str | None = None,
    run: RunOptions = AS_IT_IS,
) -> None:
    """Separates a file; a path of None is not written. Raises AudioFileError or ModelError: then none is."""
    console = Console(stderr=True)
    with ExitStack() as stack:
        reader = stack.enter_context(AudioReader(song))
        rate, channels = reader.sample_rate, reader.channels
        separator, name = load_separator(model, sample_rate=rate, channels=channels, quality=QUALITY, run=run)
        if model is None and name == IDENTITY:
            console.print(NO_MODEL, style="yellow", highlight=False)
        writers = [
            stack.enter_context(
                AudioWriter(path, sample_rate=rate, channels=channels, samples=reader.samples)
            )
            if path
            else None
            for path in (vocals, accompaniment)
        ]
        progress = stack.enter_context(_progress(console))
        task = progress.add_task(song.name, total=reader.samples)

        def write(mixture: Audio, estimate: Audio) -> None:
            for writer, audio in zip(writers, (estimate, mixture - estimate), strict=True):
                if writer:
                    writer.write(audio)
            progress.advance(task, len(mixture))

        block_size = BLOCK_HOPS * separator.hop_length
        stats = separate(reader.blocks(block_size), separator, write)
        if stats.non_finite_hops:
            console.print(
                f"{stats.non_finite_hops} hops came out of the model as NaN: they count as no vocals"
            )


def separate(
    blocks: Iterable[Audio],
    separator: Separator,
    write: Callable[[Audio, Audio], None],
    hops: int = BLOCK_HOPS,
) -> Stats:
    """Gives `write` every stretch of mixture with its vocals, in order: as many samples as went in.

    Blocks are of `hops` hops, only the last may be shorter. Raises ModelError when the separator fails.
    """
    sent = written = 0
    total: int | None = None

    def keep(mixture: Audio, vocals: Audio) -> None:
        nonlocal written
        length = len(mixture) if total is None else min(len(mixture), total - written)
        if length > 0:
            write(mixture[:length], vocals[:length])
            written += length

    engine = Engine(separator, threaded=False, tap=keep)
    engine.prepare(hops * separator.hop_length)
    block = np.empty((engine.block_size, separator.channels), np.float32)
    output = np.empty_like(block)
    for samples in blocks:
        sent += len(samples)
        if len(samples) < len(block):
            total = sent
        block[: len(samples)] = samples
        block[len(samples) :] = 0.0
        _step(engine, block, output)
    total = sent
    block[:] = 0.0
    while written < total:  # the latency's worth still inside
        _step(engine, block, output)
    return engine.stats()


def _step(engine: Engine, block: Audio, output: Audio) -> None:
    try:
        engine.process(block, output)
    except AudioFileError:
        raise
    except Exception as error:  # whatever a model throws, the user gets one sentence
        at_s = engine.stats().seconds
        raise ModelError(f"the model failed at {at_s:.1f} s: {type(error).__name__}: {error}") from error


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        "{task.percentage:>3.0f} %",
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stream.render",
        description="Separates a song into vocals and accompaniment, through the engine that plays live.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="SONG", help="audio file: any format, rate and channels")
    parser.add_argument("--vocals-out", type=Path, metavar="FILE", help="where the vocals go")
    parser.add_argument("--accompaniment-out", type=Path, metavar="FILE", help="where the accompaniment goes")
    add_run_options(parser, default_steps="the model's own number")
    return parser


if __name__ == "__main__":
    sys.exit(main())

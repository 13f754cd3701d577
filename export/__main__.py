"""python -m export CHECKPOINT --output MODEL.onnx: converts, verifies, and only then moves into place."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffvs import checkpoint
from export.convert import ExportError, convert, describe, make_spec
from export.precision import to_fp16, to_int8
from export.quality import check, measure, read, table, validation_audio
from export.verify import golden_pair, verify
from stream.audio.audio_file import AudioFileError
from stream.separation.proof import golden_path
from stream.separation.separator import ModelError
from stream.separation.spec import PRECISIONS

EPILOG = """\
The model is compared with PyTorch at several noise levels and over chunks that hand their state on, and as a
stream against a whole excerpt. It appears under its name only when it computes the same (fp32: to 1e-4; fp16:
to 2e-2; int8: to 0.1 of the audio) and costs no more vocals SDR on validation audio than its precision may
(fp16: 0.05 dB; int8: 0.2 dB; models that see windows are too heavy for that here: python -m diffvs.evaluate).
Beside it lies MODEL.golden.npz: a mixture and what PyTorch makes of it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        export(options)
    except (ExportError, ModelError, AudioFileError, ValueError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: interrupted, nothing was written", file=sys.stderr)
        return 130
    print(f"written: {options.output}\nwritten: {golden_path(options.output)}")
    return 0


def export(options: argparse.Namespace) -> None:
    """A checkpoint folder as an ONNX file, with a golden pair beside it; both appear only when proven.

    Raises ExportError when the file would not compute what the checkpoint does, ValueError when there is no
    checkpoint.
    """
    if options.precision == "int8" and not options.calibration:
        raise ExportError("int8 needs --calibration SONG: music with singing, to learn the ranges from")
    denoiser, facts = checkpoint.load(options.checkpoint)
    if options.precision == "int8" and not denoiser.causal:
        raise ExportError("int8 is for causal models: a window model runs on a GPU, give --precision fp16")
    spec = make_spec(
        denoiser,
        facts,
        licence=options.licence,
        attribution=options.attribution,
        stride=options.stride,
        lookahead=options.lookahead,
    )
    validation = validation_audio(spec.sample_rate, options.validation)
    output: Path = options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as name:
        model, golden = Path(name) / "model.onnx", Path(name) / "golden.npz"
        convert(denoiser, spec, model)
        rows = [measure(model, *validation)] if denoiser.causal else []
        if options.precision != "fp32":
            if options.precision == "fp16":
                to_fp16(model)
            else:
                to_int8(model, read(options.calibration, spec.sample_rate))
            describe(model, dataclasses.replace(spec, precision=options.precision))
            rows += [measure(model, *validation)] if denoiser.causal else []
        for what, difference in verify(denoiser, model).items():
            print(f"difference from PyTorch, {what}: {difference:.2g}")
        if rows:
            print(table(rows))
            check(rows[-1], rows[0])
        mixture, vocals, steps = golden_pair(denoiser, spec)
        np.savez_compressed(golden, mixture=mixture, vocals=vocals, steps=steps)
        os.replace(golden, golden_path(output))
        os.replace(model, output)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m export",
        description="Makes a live model of a trained one, and proves that it is the same.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder written by diffvs.train")
    result.add_argument("--output", type=Path, required=True, metavar="MODEL.onnx")
    result.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of the arithmetic (default: fp32)"
    )
    result.add_argument(
        "--calibration", type=Path, metavar="SONG", help="audio file whose middle gives int8 its ranges"
    )
    result.add_argument(
        "--validation",
        type=Path,
        nargs=2,
        metavar=("MIXTURE", "VOCALS"),
        help="audio files for the SDR (default: the bundled song)",
    )
    for name, meaning in (
        ("stride", "by which the window of a window model moves"),
        ("lookahead", "that it hears after those that it answers for"),
    ):
        result.add_argument(f"--{name}", type=int, metavar="N", help=f"frames {meaning} (default: 8)")
    result.add_argument("--licence", default="", help="of the weights; travels inside the file")
    result.add_argument(
        "--attribution", default="", help="whose recordings they learned from, as their licences ask"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())

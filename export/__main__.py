"""python -m export CHECKPOINT --output MODEL.onnx: converts, verifies, and only then moves into place."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffvs import checkpoint
from export.convert import ExportError, convert, make_spec
from export.verify import golden_pair, verify
from stream.separator import ModelError
from stream.spec import ModelSpec

GOLDEN = ".golden.npz"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        spec = export(
            options.checkpoint, options.output, licence=options.licence, attribution=options.attribution
        )
    except (ExportError, ModelError, ValueError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: interrupted, nothing was written", file=sys.stderr)
        return 130
    print(f"written: {options.output} ({spec.name}, {spec.kind}, {spec.precision})")
    print(f"written: {golden_path(options.output)}")
    return 0


def export(folder: Path, output: Path, *, licence: str, attribution: str) -> ModelSpec:
    """A checkpoint folder as an ONNX file, with a golden pair beside it; both appear only when proven.

    Raises ExportError when the file would not compute what the checkpoint does, ValueError when there is no
    checkpoint.
    """
    denoiser, facts = checkpoint.load(folder)
    spec = make_spec(denoiser, facts, licence=licence, attribution=attribution)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as name:
        model, golden = Path(name) / "model.onnx", Path(name) / "golden.npz"
        convert(denoiser, spec, model)
        for what, difference in verify(denoiser, model).items():
            print(f"difference from PyTorch, {what}: {difference:.2g}")
        mixture, vocals = golden_pair(denoiser, spec.steps)
        np.savez_compressed(golden, mixture=mixture, vocals=vocals)
        os.replace(golden, golden_path(output))
        os.replace(model, output)
    return spec


def golden_path(output: Path) -> Path:
    return output.with_suffix(GOLDEN)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m export",
        description="Makes a live model of a trained one, and proves that it is the same.",
    )
    result.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder written by diffvs.train")
    result.add_argument("--output", type=Path, required=True, metavar="MODEL.onnx")
    result.add_argument("--licence", default="", help="of the weights; travels inside the file")
    result.add_argument(
        "--attribution", default="", help="whose recordings they learned from, as their licences ask"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())

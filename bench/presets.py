"""What presets cost for which no weights are bundled: exported with fresh ones, since speed is the same."""

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.model import timed
from bench.report import table
from stream.separation.model import OnnxModel
from stream.separation.separator import BUNDLED_MODEL, ModelError

ON = {"cpu": ("live-large",), "cuda": ("live-large", "paper")}  # the bundled `live` has a section of its own
STEPS = (1, 2)
BLOCK_HOPS = 2
NEEDED = ("torch", "onnx")
TITLE = "## Other presets"
TEXT = f"""\
With fresh weights, so they separate nothing. In blocks of {BLOCK_HOPS} hops, or for a model that sees windows
in strides of its window; with {STEPS[0]} and {STEPS[1]} steps, and the preset's own number. One thread."""
MISSING = "Not measured: it needs the export extra."
HEADER = ["preset", "steps", "million MACs per frame", "median ms", "p99 ms", "of", "real time"]


def measure(presets_on: dict[str, Sequence[str]] | None = None) -> str:
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return f"{TITLE}\n\n{MISSING}"
    rows = [
        row
        for provider, presets in (presets_on or ON).items()
        if _is_there(provider)
        for preset in presets
        for row in _rows(preset, provider)
    ]
    return "\n\n".join([TITLE, TEXT, table(HEADER, rows)])


def _is_there(provider: str) -> bool:
    """Asked of the bundled model: to export `paper` for no GPU takes a minute."""
    try:
        OnnxModel(BUNDLED_MODEL, provider=provider)
    except ModelError:
        return False
    return True


def _rows(preset: str, provider: str) -> Iterator[list[str]]:
    import diffvs
    from export.convert import convert, make_spec

    denoiser = diffvs.build(diffvs.PRESETS[preset]).eval()
    spec = make_spec(denoiser, {}, licence="", attribution="")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        convert(denoiser, spec, path)
        hops = spec.stride_frames if spec.kind == "window" else BLOCK_HOPS
        due_s = hops * spec.hop_length / spec.sample_rate
        for steps in sorted({*STEPS, spec.steps}):
            seconds = timed(path, provider, steps, hops, threads=1).seconds
            median, p99 = np.percentile(seconds, [50, 99]) * 1_000
            yield [
                f"{preset} on {provider}",
                f"{steps}",
                f"{spec.macs_per_frame / 1e6:.1f}",
                f"{median:.2f}",
                f"{p99:.2f}",
                f"{1_000 * due_s:.1f}",
                f"{seconds.mean() / due_s:.3f}",
            ]

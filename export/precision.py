"""Smaller numbers for weights (and, in int8, for what the convolutions read); verified like every export.

fp16  all arithmetic, for graphics processors; a CPU computes in fp32 as before, from half the file.
int8  weights per channel and activations in eight bits, with fixed ranges learned from a calibration song.
      Weights keep to seven bits, since processors without VNNI saturate the sum of two full products.
      What works in full resolution stays in fp32.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel as GraphTools

from export.fold import tidy
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.sampler import Image

CALIBRATION_S = 20.0  # of the song, from its middle
FRAMES = 8  # per run
# Layers of a pyramid that work bin by bin, where the loudest and the quietest stand side by side: eight bits
# of a common range are too few for them.
FINE = tuple(f"/network/{name}/" for name in ("down.0", "down.1", "up.0", "up.1", "leave", "highs"))
Feed = dict[str, NDArray[np.float32]]


def to_fp16(path: Path) -> None:
    """Converts an exported model in place; inputs, outputs and states stay fp32."""
    converted = GraphTools(convert_float_to_float16(onnx.load(path), keep_io_types=True))
    converted.topological_sort()
    onnx.save(tidy(converted.model), path)


def to_int8(path: Path, song: NDArray[np.float32]) -> None:
    """Converts an exported model in place, with the ranges that it has on a song (samples, 2) at its rate."""
    quantised = path.with_suffix(".int8")
    root = logging.getLogger()
    root.addFilter(_asks_for_preprocessing)
    try:
        quantize_static(
            path,
            quantised,
            _Feeds(feeds(path, song)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=[node.name for node in onnx.load(path).graph.node if _is_fine(node.name)],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.removeFilter(_asks_for_preprocessing)
    onnx.save(tidy(onnx.load(quantised)), path)
    quantised.unlink()


def _is_fine(name: str) -> bool:
    return any(layer in name for layer in FINE)


def _asks_for_preprocessing(record: logging.LogRecord) -> bool:
    """Lets errors of the root logger pass; onnxruntime.quantization warns of what is already done."""
    return record.levelno >= logging.ERROR


def feeds(path: Path, song: NDArray[np.float32]) -> Iterator[Feed]:
    """All inputs of every evaluation that the model makes for the middle of a song, states included."""
    recorder = _Recorder(path)
    separator = DiffusionSeparator(recorder)
    separator.prepare(FRAMES)
    block = FRAMES * separator.hop_length
    length = min(len(song), round(CALIBRATION_S * separator.sample_rate)) // block * block
    start = (len(song) - length) // 2
    for at in range(start, start + length, block):
        separator.process(np.ascontiguousarray(song[at : at + block]))
        yield from recorder.take()


class _Recorder(OnnxModel):
    """Runs the graph by plain calls and keeps what it was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, provider="cpu")
        self._plain = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._past: dict[int, Feed] = {}
        self._taken: list[Feed] = []

    def evaluate(self, noisy: Image, evaluation: int) -> Image:
        frames = noisy.shape[-1]
        silence = {name: np.zeros((1, *shape), np.float32) for name, shape in self.spec.states.items()}
        feed = {
            "mixture": self.mixture(frames).copy(),
            "noisy": noisy.copy(),
            "sigma": self.sigma(evaluation),
            **self._past.get(evaluation, silence),
        }
        self._taken.append(feed)
        denoised, *states = self._plain.run(None, feed)
        self._past[evaluation] = dict(zip(self.spec.states, states, strict=True))
        answer = self.denoised(frames)
        answer[...] = denoised
        return answer

    def take(self) -> list[Feed]:
        taken, self._taken = self._taken, []
        return taken


class _Feeds(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)

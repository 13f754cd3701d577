"""What the bundled model costs: per block, in memory, to the first sound, and against the machine's limit."""

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.report import table
from stream.engine import Engine
from stream.latency import SLACK_HOPS
from stream.separation.diffusion import DiffusionSeparator
from stream.separation.kinds import make_separator
from stream.separation.model import Image, OnnxModel
from stream.separation.separator import BUNDLED_MODEL, ModelError
from stream.separation.spec import ModelSpec

SECONDS = 10.0  # of audio for each row and round
ROUNDS = 3  # over all rows
STEPS = (1, 2, 3)
BLOCK_HOPS = (1, 2, 4, 8)
MATRIX = 1_024  # rows of the matrix product that finds the machine's limit
TITLE = "## The bundled model"
NO_MODEL = "There is none yet."
TIMES = """\
{seconds:.0f} s of noise per row, in the blocks that a worker gets; the quickest of {rounds} rounds over all
rows, as other programs only add. *Own* is all but the network: transform, compression, noise, sampler.
One evaluation is {macs:.1f} million multiply-accumulates per frame; *of the limit* compares with a matrix
product on one thread ({limit:.0f} GFLOP/s, {size} x {size})."""
HEADER = ["steps, hops", "median ms", "p99 ms", "of", "real time", "own", "of the limit", "2 threads"]

# On Linux ru_maxrss begins with the peak of the process that started this one; VmHWM is its own.
START = """\
import resource, sys
from pathlib import Path
import numpy as np
import stream.live
from stream.engine import Engine
from stream.separation.load import load_separator

separator, _ = load_separator({path!r})
engine = Engine(separator)
engine.prepare(separator.hop_length)
separator.process(np.zeros((engine.block_size, 2), np.float32))
if sys.platform == "darwin":
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
else:
    status = Path("/proc/self/status").read_text().split()
    print(int(status[status.index("VmHWM:") + 1]) / 2**10)
"""


class Timing(NamedTuple):
    """Of a separator's blocks."""

    seconds: np.ndarray  # of each block
    own_s: float  # outside of the network, per block
    gflops: float  # inside of it


class TimedModel(OnnxModel):
    """Knows how long the network itself took."""

    network_s = 0.0

    def evaluate(self, noisy: Image, evaluation: int) -> Image:
        began_s = time.perf_counter()
        answer = super().evaluate(noisy, evaluation)
        self.network_s += time.perf_counter() - began_s
        return answer


def measure(path: Path = BUNDLED_MODEL) -> str:
    if not path.is_file():
        return f"{TITLE}\n\n{NO_MODEL}"
    limit = peak_gflops()
    spec = OnnxModel(path, provider="cpu").spec
    rows = list(_rows(path, "cpu", spec, limit))
    with contextlib.suppress(ModelError):  # where there is no GPU
        rows += _rows(path, "cuda", spec, None)
    times = TIMES.format(
        seconds=SECONDS, rounds=ROUNDS, macs=spec.macs_per_frame / 1e6, limit=limit, size=MATRIX
    )
    parts = [TITLE, f"{spec.name}, {spec.precision}.", times, table(HEADER, rows), latency(path), start(path)]
    return "\n\n".join(parts)


def _rows(path: Path, provider: str, spec: ModelSpec, limit: float | None) -> Iterator[list[str]]:
    threads = (1, 2) if limit else (1,)
    best: dict[tuple[int, int, int], Timing] = {}
    for row in [*itertools.product(STEPS, BLOCK_HOPS, threads)] * ROUNDS:
        found = timed(path, provider, *row)
        if row not in best or found.seconds.sum() < best[row].seconds.sum():
            best[row] = found
    for steps, hops in itertools.product(STEPS, BLOCK_HOPS):
        due_s = hops * spec.hop_length / spec.sample_rate
        one = best[steps, hops, 1]
        median, p99 = np.percentile(one.seconds, [50, 99]) * 1_000
        yield [
            f"{steps}, {hops}" + ("" if provider == "cpu" else f" on {provider}"),
            f"{median:.2f}",
            f"{p99:.2f}",
            f"{1_000 * due_s:.1f}",
            f"{one.seconds.mean() / due_s:.3f}",
            f"{100 * one.own_s / due_s:.1f} %",
            f"{100 * one.gflops / limit:.0f} %" if limit else "",
            f"{best[steps, hops, 2].seconds.mean() / due_s:.3f}" if limit else "",
        ]


def timed(path: Path, provider: str, steps: int, hops: int, threads: int) -> Timing:
    """SECONDS of noise, `hops` hops a call, after three calls that do not count. Raises ModelError."""
    model = TimedModel(path, provider=provider, threads=threads)
    separator = make_separator(model, steps=steps)
    separator.prepare(hops)
    samples = hops * separator.hop_length
    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, (samples, 2)).astype(np.float32)
    for _ in range(3):
        separator.process(mixture)
    model.network_s = 0.0
    seconds = np.empty(max(5, round(SECONDS * separator.sample_rate / samples)))
    for index in range(len(seconds)):
        began_s = time.perf_counter()
        separator.process(mixture)
        seconds[index] = time.perf_counter() - began_s
    flops = 2 * model.spec.macs_per_frame * hops * (2 * steps - 1) * len(seconds)
    own_s = (seconds.sum() - model.network_s) / len(seconds)
    return Timing(seconds, float(own_s), flops / model.network_s / 1e9)


def peak_gflops() -> float:
    """Of a matrix product in single precision on one thread; in a process of its own, to have one thread."""
    program = (
        "import time, numpy as np\n"
        f"n = {MATRIX}; a = np.ones((n, n), np.float32); a @ a; best = 1e9\n"
        "for _ in range(20):\n"
        "    t = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - t)\n"
        "print(2 * n**3 / best / 1e9)"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return float(_run(program, dict.fromkeys(names, "1")))


def latency(path: Path) -> str:
    """What the engine adds between input and output, in ms, without the device."""
    separator = DiffusionSeparator(OnnxModel(path, provider="cpu"))
    rows = []
    for block in (separator.hop_length // 2, separator.hop_length, 2 * separator.hop_length):
        cells = [f"{block}"]
        for slack in SLACK_HOPS.values():
            engine = Engine(separator, slack_hops=slack)
            engine.prepare(block)
            cells.append(f"{engine.budget.ms(engine.latency):.1f}")
        rows.append(cells)
    header = ["block", *(f"--latency {name}" for name in SLACK_HOPS)]
    return "Latency of the engine in ms, without block and device:\n\n" + table(header, rows)


def start(path: Path) -> str:
    """Seconds from the start of the process to the first vocals, and what it held in memory at most."""
    if sys.platform == "win32":  # it has no resource module
        return ""
    began_s = time.perf_counter()
    megabytes = float(_run(START.format(path=str(path)), {}))
    seconds = time.perf_counter() - began_s
    return (
        f"From starting the process to the first vocals: {seconds:.1f} s; memory by then: {megabytes:.0f} MB."
    )


def _run(program: str, variables: dict[str, str]) -> str:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

"""What the engine itself costs per hop, without a model: rings, delay line, mixing, transform and back.

A separator that hands the mixture through shows the engine alone; the identity adds the transform and back.
"""

import time

import numpy as np

from bench.report import table
from stream.engine import Engine
from stream.separation.separator import Audio, IdentitySeparator, Separator

SECONDS = 60.0  # of audio, for each row
PACED_SECONDS = 10.0  # of real time
BLOCK_SIZES = (256, 512, 1_024, 2_048)
PACED_BLOCK = 1_024
STEPPED = f"""\
Microseconds of work per hop of 1024 samples at 44100 Hz in stereo (23.2 ms), over {SECONDS:.0f} s of noise
stepped as fast as it goes, and what that is of real time."""
LIVE = f"""\
As in a live session, with the worker's thread, blocks of {PACED_BLOCK} samples and the transform, for
{PACED_SECONDS:.0f} s in real time: {{percent:.1f}} % of one core for the whole process, waiting included."""


class HandThrough:
    """The least a separator can do."""

    sample_rate, channels, hop_length, lookahead, latency = 44_100, 2, 1_024, 0, 0
    status = ""

    def set_steps(self, steps: int | None) -> bool:
        return False

    def prepare(self, max_hops: int) -> None:
        pass

    def process(self, mixture: Audio) -> Audio:
        return mixture

    def reset(self) -> None:
        pass


def measure() -> str:
    kinds: list[tuple[str, Separator]] = [
        ("engine alone", HandThrough()),
        ("with the transform", IdentitySeparator()),
    ]
    rows = [stepped(name, separator, block_size) for name, separator in kinds for block_size in BLOCK_SIZES]
    header = ["separator, block", "median µs", "p99 µs", "max µs", "median of real time"]
    live = LIVE.format(percent=100 * paced(IdentitySeparator()))
    return "\n\n".join(["## The engine without a model", STEPPED, table(header, rows), live])


def stepped(name: str, separator: Separator, block_size: int) -> list[str]:
    """One row: every block processed at once, in this thread."""
    engine, mixture, output = _prepared(separator, block_size, threaded=False)
    hop_s = separator.hop_length / separator.sample_rate
    blocks_per_hop = max(1, separator.hop_length // block_size)
    hops_per_round = blocks_per_hop * block_size // separator.hop_length
    rounds = round(SECONDS / hop_s / hops_per_round)
    us = np.empty(rounds)
    for i in range(rounds):
        start = time.perf_counter_ns()
        for _ in range(blocks_per_hop):
            engine.process(mixture, output)
        us[i] = (time.perf_counter_ns() - start) / 1_000 / hops_per_round
    median, p99 = np.percentile(us, [50, 99])
    share = median * 1e-6 / hop_s
    return [f"{name}, {block_size}", f"{median:.0f}", f"{p99:.0f}", f"{us.max():.0f}", f"{100 * share:.2f} %"]


def paced(separator: Separator) -> float:
    """CPU time / real time of a threaded engine that is given its blocks when they are due."""
    engine, mixture, output = _prepared(separator, PACED_BLOCK, threaded=True)
    engine.start()
    began, cpu = time.perf_counter(), time.process_time()
    for i in range(round(PACED_SECONDS * separator.sample_rate / PACED_BLOCK)):
        due = began + i * PACED_BLOCK / separator.sample_rate
        time.sleep(max(0.0, due - time.perf_counter()))
        engine.process(mixture, output)
    share = (time.process_time() - cpu) / (time.perf_counter() - began)
    engine.stop()
    return share


def _prepared(separator: Separator, block_size: int, *, threaded: bool) -> tuple[Engine, Audio, Audio]:
    engine = Engine(separator, threaded=threaded)
    engine.prepare(block_size)
    engine.set_levels(vocals=0.3, accompaniment=0.9)
    rng = np.random.default_rng(0)
    mixture = rng.uniform(-0.5, 0.5, (block_size, separator.channels)).astype(np.float32)
    return engine, mixture, np.empty_like(mixture)

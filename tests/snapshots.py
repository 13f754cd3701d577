"""A look at a live session, and its latency budget, for what shows them."""

from stream.latency import LatencyBudget
from stream.stats import HopTimes, Stats

STATS = Stats(
    sample_rate=44_100,
    position=441_000,
    state="running",
    error="",
    deadline_s=0.0232,
    times=HopTimes(median_s=0.0021, p99_s=0.003, max_s=0.007, rtf=0.09),
    hops=430,
    late_hops=3,
    non_finite_hops=0,
    crashes=0,
    skips=0,
    late_samples=4_410,
    late_events=2,
    dropped_samples=0,
    input_overflows=1,
    output_underflows=2,
    largest_block=1_024,
    device_latency_s=0.03,
    finished=False,
    peak_input=0.5,
    peak_output=1.5,
    peak_vocals=0.0,
)
BUDGET = LatencyBudget(
    sample_rate=44_100, block=1_024, adapter=0, algorithmic=1_024, lookahead=0, slack=2_048, device_in=100
)

"""What the audio callback costs per block: the native function a device calls, called in the same way.

The cost of calling it through ctypes, measured on a C function that does nothing, is subtracted.
"""

import ctypes
import time
from ctypes import CFUNCTYPE, c_double, c_int, c_ulong, c_void_p

import numpy as np
from numpy.typing import NDArray

import cpp_ext
from bench.report import table

SAMPLE_RATE = 44_100
CHANNELS = 2
LATENCY = 3_072  # samples; only the length of the delay line
BLOCK_SIZES = (64, 256, 512, 1_024, 2_048)
BLOCKS = 20_000
WARM_UP = 1_000
PERCENTILES = (50, 99, 99.9, 100)
WORDS = f"""\
Nanoseconds per block of stereo at {SAMPLE_RATE} Hz, over {BLOCKS:,} blocks of noise, with both levels away
from 1; {{overhead_ns}} ns for the way there and back are subtracted. The last column sets the 99th percentile
against the device's deadline. The maximum is the system's, which interrupts when it likes."""
# PortAudio's stream callback: input, output, samples, times, flags, user data.
Callback = CFUNCTYPE(c_int, c_void_p, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p)


def measure() -> str:
    overhead = float(np.median(time_calls(_nothing(), 64, None)))
    rows = []
    for block_size in BLOCK_SIZES:
        for on_time in (True, False):
            port = make_port(block_size)
            ns = time_calls(Callback(port.callback_address), block_size, port, on_time) - overhead
            values = np.percentile(ns, PERCENTILES).clip(min=0)
            share = 100 * values[1] * 1e-9 * SAMPLE_RATE / block_size
            kind = "on time" if on_time else "late (dry)"
            rows.append([f"{block_size}, {kind}", *(f"{value:,.0f}" for value in values), f"{share:.3f} %"])
    header = ["block, vocals", "median ns", "p99 ns", "p99.9 ns", "max ns", "p99 of the block's time"]
    title = "## The audio callback"
    return "\n\n".join([title, WORDS.format(overhead_ns=round(overhead)), table(header, rows)])


def make_port(block_size: int) -> cpp_ext.AudioPort:
    port = cpp_ext.AudioPort(
        channels=CHANNELS,
        latency=LATENCY,
        max_block=block_size,
        ring_samples=65_536,
        ramp_samples=441,
        fade_samples=441,
    )
    port.vocals_level, port.accompaniment_level = 0.3, 0.9
    return port


def time_calls(
    function: object, block_size: int, port: cpp_ext.AudioPort | None, on_time: bool = True
) -> NDArray[np.float64]:
    """Nanoseconds of each of BLOCKS calls; between two of them the worker's part is done, or left undone."""
    rng = np.random.default_rng(0)
    mixture = rng.uniform(-0.5, 0.5, (block_size, CHANNELS)).astype(np.float32)
    output, scratch = np.empty_like(mixture), np.empty_like(mixture)
    user = port.userdata_address if port else None
    times = (c_double * 3)()
    arguments = (mixture.ctypes.data, output.ctypes.data, block_size, ctypes.addressof(times), 0, user)
    assert callable(function)
    ns = np.empty(WARM_UP + BLOCKS)
    for i in range(len(ns)):
        start = time.perf_counter_ns()
        function(*arguments)
        ns[i] = time.perf_counter_ns() - start
        if port is not None and port.read_mixture(scratch) and on_time:
            port.write_vocals(scratch)
    if port is not None:
        late = port.stats().late_samples
        assert (late == 0) is on_time, f"{late} late samples: this did not measure what its row says"
    return ns[WARM_UP:]


def _nothing() -> object:
    """A C function that only returns, called as the callback is; C leaves surplus arguments alone."""
    address = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, c_void_p).value
    assert address is not None
    return Callback(address)

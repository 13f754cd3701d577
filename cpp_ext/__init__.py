"""Real-time primitives in C++: a wait-free ring, a streaming STFT, the audio thread's side of the
engine, a bridge between two clocks, and a JACK client.

The contracts stand in the headers of cpp_ext/include/diffvs; _core.pyi has the Python types.
"""

from cpp_ext._core import (
    AudioPort,
    AudioStats,
    BridgeStats,
    ClockBridge,
    DriftControl,
    JackClient,
    Reading,
    SincKernel,
    SpscRing,
    StftAnalysis,
    StftSynthesis,
)

__all__ = [
    "AudioPort",
    "AudioStats",
    "BridgeStats",
    "ClockBridge",
    "DriftControl",
    "JackClient",
    "Reading",
    "SincKernel",
    "SpscRing",
    "StftAnalysis",
    "StftSynthesis",
]

"""Real-time primitives in C++: a wait-free ring, a streaming STFT, and the audio thread's side of the engine.

The contracts stand in the headers of cpp_ext/include/diffvs; _core.pyi has the Python types.
"""

from cpp_ext._core import AudioPort, AudioStats, SpscRing, StftAnalysis, StftSynthesis

__all__ = ["AudioPort", "AudioStats", "SpscRing", "StftAnalysis", "StftSynthesis"]

"""Runs an exported denoiser; the only file of the product that imports ONNX Runtime.

Inputs, outputs and states are bound to fixed memory once. A state never passes through Python: each
evaluation has two sets, reads one, writes the other, and swaps them.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from stream.separation.hardware import device_name
from stream.separation.providers import AUTO, ON_DEVICE, PROVIDERS
from stream.separation.separator import ModelError
from stream.separation.spec import METADATA_KEY, ModelSpec

Image = NDArray[np.float32]  # (1, 4, bins, frames)


# Trying every algorithm for every size, as is the default, takes longer than anybody waits for a first sound.
SETTINGS = {PROVIDERS["cuda"]: {"cudnn_conv_algo_search": "HEURISTIC"}}


class OnnxModel:
    """load, prepare, then for each chunk of frames: fill mixture and noisy, evaluate, take denoised."""

    def __init__(self, path: Path, *, provider: str = "auto", threads: int = 1):
        self._session, self.provider = _open(path, provider, threads)
        self.spec = _read_spec(path, self._session)
        _check_graph(path, self._session, self.spec)
        self.device_name = device_name(self.provider)
        self._device = ON_DEVICE.get(self.provider, "cpu")

    def prepare(self, sizes: Sequence[int], sigmas: Sequence[float]) -> None:
        """Allocates and binds for chunks of these sizes, in frames, and one evaluation per sigma.

        Runs each size once: the first run plans its memory and is slow.
        """
        states = [tuple(self._zero_states() for _ in range(2)) for _ in sigmas]
        levels = [np.full(1, sigma, np.float32) for sigma in sigmas]
        memory = [np.zeros(4 * self.spec.bins * max(sizes), np.float32) for _ in range(3)]
        self._states, self._levels, self._memory = states, levels, memory
        self._silence = [np.zeros((1, *shape), np.float32) for shape in self.spec.states.values()]
        self._parity = [0] * len(states)
        self._chunks = {frames: self._bind(frames) for frames in sizes}
        for chunk in self._chunks.values():
            self._session.run_with_iobinding(chunk.bindings[0][0])
        self.reset()

    def reset(self) -> None:
        """Silence has come before, for every evaluation."""
        for evaluation in range(len(self._states)):
            self.forget(evaluation)

    def forget(self, evaluation: int) -> None:
        """Silence has come before, for this evaluation."""
        states = self._states[evaluation][self._parity[evaluation]]
        for state, zeros in zip(states, self._silence, strict=True):
            state.update_inplace(zeros)

    def mixture(self, frames: int) -> Image:
        """Where the network reads a chunk of so many frames from."""
        return self._chunks[frames].mixture

    def sigma(self, evaluation: int) -> NDArray[np.float32]:
        """(1,): the noise level of an evaluation."""
        return self._levels[evaluation]

    def denoised(self, frames: int) -> Image:
        """Where the network wrote its last answer for a chunk of so many frames."""
        return self._chunks[frames].denoised

    def evaluate(self, noisy: Image, evaluation: int) -> Image:
        """D(noisy) at the evaluation's sigma for what lies in `mixture`: `denoised`, until the next."""
        frames: int = noisy.shape[-1]
        chunk = self._chunks[frames]
        np.copyto(chunk.noisy, noisy)
        if self._device != "cpu":  # a bound input is copied to another memory when it is bound, not when run
            chunk.mixture_value.update_inplace(chunk.mixture)
            chunk.noisy_value.update_inplace(chunk.noisy)
        parity = self._parity[evaluation]
        self._session.run_with_iobinding(chunk.bindings[evaluation][parity])
        self._parity[evaluation] = 1 - parity
        return chunk.denoised

    def _zero_states(self) -> list[ort.OrtValue]:
        return [self._value(np.zeros((1, *shape), np.float32)) for shape in self.spec.states.values()]

    def _value(self, array: Image) -> ort.OrtValue:
        """What the session reads: the array itself where it can, else a copy in the provider's memory."""
        return ort.OrtValue.ortvalue_from_numpy(array, self._device)

    def _bind(self, frames: int) -> _Chunk:
        shape = (1, 4, self.spec.bins, frames)
        mixture, noisy, denoised = (array[: np.prod(shape)].reshape(shape) for array in self._memory)
        chunk = _Chunk(mixture, noisy, denoised, self._value(mixture), self._value(noisy), [])
        for level, pair in zip(self._levels, self._states, strict=True):
            sigma = self._value(level)
            both = (self._bind_one(chunk, sigma, pair[parity], pair[1 - parity]) for parity in range(2))
            chunk.bindings.append(tuple(both))
        return chunk

    def _bind_one(
        self, chunk: _Chunk, sigma: ort.OrtValue, before: list[ort.OrtValue], after: list[ort.OrtValue]
    ) -> ort.IOBinding:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("mixture", chunk.mixture_value)
        binding.bind_ortvalue_input("noisy", chunk.noisy_value)
        binding.bind_ortvalue_input("sigma", sigma)
        shape, address = chunk.denoised.shape, chunk.denoised.ctypes.data
        binding.bind_output("denoised", "cpu", 0, np.float32, shape, address)
        for name, read, written in zip(self.spec.states, before, after, strict=True):
            binding.bind_ortvalue_input(name, read)
            binding.bind_ortvalue_output(f"next_{name}", written)
        return binding


@dataclass(frozen=True)
class _Chunk:
    """The bound memory for one number of frames, and a binding per evaluation and parity of its states."""

    mixture: Image
    noisy: Image
    denoised: Image
    mixture_value: ort.OrtValue
    noisy_value: ort.OrtValue
    bindings: list[tuple[ort.IOBinding, ...]]


def _open(path: Path, provider: str, threads: int) -> tuple[ort.InferenceSession, str]:
    """A session and the name of the provider that it really got. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"there is no model file {path}: give the path of an .onnx file")
    if provider != "auto" and provider not in PROVIDERS:
        raise ModelError(f"there is no provider {provider}: choose auto, {', '.join(PROVIDERS)}")
    installed = ort.get_available_providers()
    for name in AUTO if provider == "auto" else (provider,):
        if PROVIDERS[name] in installed:
            if ON_DEVICE.get(name) == "cuda" and hasattr(ort, "preload_dlls"):
                with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
                    ort.preload_dlls()  # CUDA and cuDNN as pip installs them
            with _explained_on_stderr(provider != "auto"):
                session = _session(path, PROVIDERS[name], threads)
            # ONNX Runtime falls back to the CPU without an exception: only the session knows what it got.
            if session.get_providers()[0] == PROVIDERS[name]:
                return session, name
    if PROVIDERS[provider] in installed:
        reason = "what it lacks is said above by ONNX Runtime: install that"
    else:
        reason = f"this ONNX Runtime has {', '.join(_names(installed))}: install one that has it"
    raise ModelError(f"the provider {provider} cannot be used here; {reason}, or give --provider cpu")


@contextlib.contextmanager
def _explained_on_stderr(wanted: bool) -> Iterator[None]:
    """Whether ONNX Runtime says why a provider did not start, which it has no exception for."""
    ort.set_default_logger_severity(2 if wanted else 4)  # from warnings on, its own default; nothing
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # "Falling back", which is refused afterwards
            yield
    finally:
        ort.set_default_logger_severity(2)


def _session(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = provider != PROVIDERS["directml"]  # it refuses the pattern
    options.log_severity_level = 4  # what goes wrong is told by exceptions, not on stderr
    # A thread that spins while it waits takes the core from the audio beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about providers: what the session got is looked at later
            return ort.InferenceSession(
                str(path), options, providers=[(provider, SETTINGS.get(provider, {}))]
            )
    except Exception as error:  # ONNX Runtime has a dozen kinds, without a common base
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{path} is not a model that ONNX Runtime can load ({reason}): export it again"
        ) from error


def _read_spec(path: Path, session: ort.InferenceSession) -> ModelSpec:
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"{path} is an ONNX file, but not one of this program's models: make one with python -m export"
        )
    try:
        return ModelSpec.from_json(metadata[METADATA_KEY])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_graph(path: Path, session: ort.InferenceSession, spec: ModelSpec) -> None:
    """Names and fixed sizes of the graph's inputs must be those of the description."""
    frames = spec.window_frames or None
    expected: dict[str, list[Any]] = {name: [1, 4, spec.bins, frames] for name in ("mixture", "noisy")}
    expected |= {"sigma": [1]} | {name: [1, *shape] for name, shape in spec.states.items()}
    found = {
        item.name: [size if isinstance(size, int) else None for size in item.shape]
        for item in session.get_inputs()
    }
    outputs = {item.name for item in session.get_outputs()}
    if found != expected or outputs != {"denoised", *(f"next_{name}" for name in spec.states)}:
        raise ModelError(f"{path}: the graph and its description do not fit together: export the model again")


def _names(providers: Sequence[str]) -> list[str]:
    return [name for name, full in PROVIDERS.items() if full in providers]

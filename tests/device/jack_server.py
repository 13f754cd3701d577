"""JACK's dummy server, and two clients that PortAudio lists as an input and an output device."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

SAMPLE_RATE = 44_100
PERIOD = 256
MICROPHONE, LOUDSPEAKER = "virtmic", "virtspk"
PATIENCE_S, TRIES = 7.0, 10  # a synchronous server stands still for 5 s now and then


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a killed test leaves no server behind


class Server:
    """jackd without real-time scheduling (-r), synchronous (-S): it waits for slow clients, loses nothing."""

    def __init__(self, process: subprocess.Popen, name: str):
        self.process = process
        self.name = name

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}


@lru_cache  # once: whoever has had a client goes by the old list for ever
def _forget_dead_servers() -> None:
    """JACK has room for eight servers, and a killed one keeps its place until this list of them goes."""
    running = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # a process may end while it is looked at
            running.add(path.read_text().strip())
    if not running & {"jackd", "jackdbus"}:
        Path("/dev/shm/jack-shm-registry").unlink(missing_ok=True)


@contextlib.contextmanager
def jack_server(name: str, *, synchronous: bool = True) -> Iterator[Server]:
    """A synchronous one loses nothing, but stands still for 5 s whenever a client leaves at a bad moment."""
    _forget_dead_servers()
    mode = ["-S"] if synchronous else []
    command = ["jackd", "-n", name, "-r", *mode, "-d", "dummy", "-r", str(SAMPLE_RATE), "-p", str(PERIOD)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "-C", "2", "-P", "2"],
            stdout=log,
            stderr=log,
            env={**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"},
            preexec_fn=_die_with_parent,
        )
        server = Server(process, name)
        try:
            _wait_until_usable(server, log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # Semaphores of clients that outlived it, and its socket where it was killed.
            for pattern in (f"jack_sem.*_{name}_*", f"jack_{name}_*"):
                for leftover in Path("/dev/shm").glob(pattern):
                    leftover.unlink(missing_ok=True)


def _wait_until_usable(server: Server, log) -> None:
    import jack

    jack.set_error_function(lambda _: None)  # it tells of every try in vain
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s and server.process.poll() is None:
        try:
            jack.Client("probe", servername=server.name, no_start_server=True).close()
            return
        except jack.JackError:  # noqa: PERF203 (the one way to ask)
            time.sleep(0.02)
    log.seek(0)
    raise RuntimeError(f"jackd did not start:\n{log.read()}")


class Studio:
    """Plays an array into the device `virtmic` and records what reaches the device `virtspk`."""

    def __init__(self, server: Server, tail: int = 20_000):
        self._server_name, self._tail = server.name, tail
        self._played = np.zeros((0, 2), np.float32)
        self._at = 0
        self._play_start = self._record_start = None
        self._rolling = False
        self._done = threading.Event()

    def __enter__(self) -> Studio:
        # Clients of one process share a table of places at the server. One that gets a place which another
        # client, of whatever process, leaves at that moment may wait for the other's turn for ever.
        for _ in range(TRIES):
            self._join()
            if self._play_ran.wait(PATIENCE_S) and self._record_ran.wait(PATIENCE_S):
                return self
            self._leave()
        raise RuntimeError(f"JACK gave the players no turn in {TRIES} tries")

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _join(self) -> None:
        import jack

        self._player = jack.Client(MICROPHONE, servername=self._server_name, no_start_server=True)
        self._recorder = jack.Client(LOUDSPEAKER, servername=self._server_name, no_start_server=True)
        self._outputs = [self._player.outports.register(f"out_{i}", is_terminal=True) for i in (1, 2)]
        self._inputs = [self._recorder.inports.register(f"in_{i}", is_terminal=True) for i in (1, 2)]
        self._play_ran, self._record_ran = threading.Event(), threading.Event()
        self._player.set_process_callback(self._play)
        self._recorder.set_process_callback(self._record)
        for client in (self._player, self._recorder):
            client.set_shutdown_callback(lambda *_: None)
            client.activate()

    def _leave(self) -> None:
        import jack

        for client in (self._player, self._recorder):
            with contextlib.suppress(jack.JackError):
                client.deactivate()
                client.close()

    def run(self, samples: np.ndarray, *, freewheel: bool, timeout_s: float = 60) -> tuple[np.ndarray, int]:
        """Plays (n, 2) and returns what came back, (m, 2), and how many samples of its front are missing.

        The second number is the recording's start minus the player's start: add it to any delay found.
        """
        self._played = np.ascontiguousarray(samples, np.float32)
        self._recorded = np.zeros((len(samples) + self._tail, 2), np.float32)
        self._at = self._recorded_at = 0
        self._play_start = self._record_start = None
        self._done.clear()
        if freewheel:
            self._player.set_freewheel(True)
        self._rolling = True
        finished = self._done.wait(timeout_s)
        self._rolling = False
        if freewheel:
            self._player.set_freewheel(False)
        assert finished, (
            f"{self._recorded_at} of {len(self._recorded)} samples came within {timeout_s} s; "
            f"{self._at} were played, {len(self._played)} of them sound"
        )
        return self._recorded, self._record_start - self._play_start

    def _play(self, frames: int) -> None:
        self._play_ran.set()
        chunk = self._played[self._at : self._at + frames] if self._rolling else self._played[:0]
        if self._rolling:
            if self._play_start is None:
                self._play_start = self._player.last_frame_time
            self._at += frames
        for channel, port in enumerate(self._outputs):
            buffer = port.get_array()
            buffer[: len(chunk)] = chunk[:, channel]
            buffer[len(chunk) :] = 0

    def _record(self, frames: int) -> None:
        self._record_ran.set()
        if not self._rolling:
            return
        if self._record_start is None:
            self._record_start = self._recorder.last_frame_time
        length = min(frames, len(self._recorded) - self._recorded_at)
        for channel, port in enumerate(self._inputs):
            self._recorded[self._recorded_at : self._recorded_at + length, channel] = port.get_array()[
                :length
            ]
        self._recorded_at += length
        if self._recorded_at == len(self._recorded):
            self._done.set()

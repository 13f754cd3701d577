"""Real audio servers and drivers, where there are any."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jack_server import Server, Studio, jack_server
from midi_controller import Controller

ROOT = Path(__file__).parent.parent.parent


def _absent(what: str) -> None:
    """Skips for want of a device; fails where DIFFVS_REQUIRE_DEVICES=1 promises that all are there."""
    if os.environ.get("DIFFVS_REQUIRE_DEVICES") == "1":
        pytest.fail(f"{what} is missing, and DIFFVS_REQUIRE_DEVICES=1 asks for it")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def portaudio() -> None:
    if sys.platform != "linux":
        _absent("Linux (the fixtures are JACK and ALSA)")
    if not ctypes.util.find_library("portaudio"):
        _absent("PortAudio (Debian: libportaudio2)")


def _server(name: str) -> contextlib.AbstractContextManager[Server]:
    if not shutil.which("jackd"):
        _absent("the JACK server (Debian: jackd2)")
    try:
        import jack as _  # noqa: F401
    except (ImportError, OSError) as error:
        _absent(f"JACK-Client ({error})")
    return jack_server(f"diffvs-{name}-{os.getpid()}")


@pytest.fixture(scope="module")
def jack(portaudio: None) -> Iterator[Server]:
    with _server("shared") as server:
        yield server


@pytest.fixture
def doomed_jack(portaudio: None) -> Iterator[Server]:
    """A server of its own, for a test that harms it."""
    with _server("doomed") as server:
        yield server


@pytest.fixture
def studio(jack: Server) -> Iterator[Studio]:
    with Studio(jack) as studio:
        yield studio


class App:
    """`python -m stream.live` as a process of its own, stopped at the end of the test whatever happens."""

    def __init__(self, environment: dict[str, str]):
        self._environment = {
            **environment,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
            "DIFFVS_CONFIG": os.environ["DIFFVS_CONFIG"],  # this test's own
        }
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Returns when the audio runs; fails with the program's words when it does not."""
        process = self._launch(*arguments)
        self.introduction: list[str] = []
        for line in process.stdout:
            self.introduction.append(line)
            if line.startswith("running"):
                return process
        pytest.fail(f"stream.live ended with {process.wait(10)}: {process.stderr.read()}")

    def finish(self, process: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
        """Stops it with a signal and returns its last words; it must end well, and soon."""
        process.send_signal(number)
        return self.wait(process)

    def wait(self, process: subprocess.Popen[str], code: int = 0, timeout_s: float = 20) -> str:
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == code, err
        assert "Traceback" not in err
        return out + err

    def refused(self, *arguments: str) -> str:
        """What it says on stderr when it ends at once with exit code 2."""
        process = self._launch(*arguments)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 2, out + err
        assert "Traceback" not in err
        assert err.startswith("stream.live: ")
        return err

    def devices(self) -> dict[str, str]:
        """Ids by "name, host" as the program lists them."""
        process = self._launch("--list-devices")
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        rows = [line.split(None, 1) for line in out.splitlines()]
        return {f"{rest.split()[0]}, {rest.rsplit('Hz', 1)[1].strip()}": number for number, rest in rows}

    def _launch(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.live", *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()


@pytest.fixture
def app(jack: Server) -> Iterator[App]:
    with App(jack.environment) as app:
        yield app


@pytest.fixture
def doomed_app(doomed_jack: Server) -> Iterator[App]:
    with App(doomed_jack.environment) as app:
        yield app


@pytest.fixture
def rtmidi() -> None:
    try:
        import rtmidi
    except ImportError:
        _absent("python-rtmidi")
    if rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
        _absent("JACK in python-rtmidi")


@pytest.fixture
def controller(jack: Server, rtmidi: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    """Made before `studio`, where both are asked for: no other Python runs while RtMidi makes a client, and
    the server would wait 5 s for the answers of those clients that are Python.
    """
    for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
        monkeypatch.setenv(name, jack.environment[name])
    controller = Controller()
    yield controller
    controller.close()

"""PortAudio and its Python package: loaded when first needed, and anew when the devices have changed.

PortAudio looks for devices once, when it is initialised. To see what came since, it must be terminated and
initialised again. Where JACK is among its hosts that would end the program: pa_jack.c asserts that the server
answers to the goodbye, and a server that is gone does not. Then the old library is left as it is, and a copy
of its file is loaded, which the system takes for another library with a memory of its own.

Only stream/audio/devices.py uses this.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from stream.audio.quiet import quiet_stderr

MISSING = {
    "Linux": "install the package libportaudio2 (Debian, Ubuntu: sudo apt install libportaudio2), "
    "portaudio (Fedora, Arch, openSUSE)",
    "Darwin": "reinstall it with: pip install --force-reinstall sounddevice (or: brew install portaudio)",
    "Windows": "reinstall it with: pip install --force-reinstall sounddevice",
}
JACK = "JACK Audio Connection Kit"

_left: list[Any] = []  # libraries that must stay loaded: their threads may still run


class PortAudioError(Exception):
    """PortAudio cannot be had; the text says what to do."""


def sounddevice() -> Any:
    """The module; PortAudio is loaded, and looks for devices, when this is first called."""
    # Without this a missing JACK server would be started by its library, with settings of its own.
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    if "sounddevice" in sys.modules:
        return sys.modules["sounddevice"]
    try:
        with quiet_stderr():
            import sounddevice
    except ImportError as error:
        raise PortAudioError(
            "the Python package sounddevice is missing; run: pip install sounddevice"
        ) from error
    except OSError as error:  # its words for a library that cannot be loaded
        advice = MISSING.get(platform.system(), "install PortAudio")
        raise PortAudioError(f"the audio library PortAudio is missing; {advice}") from error
    return sounddevice


def start_anew() -> None:
    """PortAudio with the devices of now; no stream that was opened before may be touched after it.

    May take as long as a driver takes, for ever too. [any thread, one at a time]
    """
    sd = sounddevice()
    with quiet_stderr():
        if any(host["name"] == JACK for host in sd.query_hostapis()):
            _load_copy(sd)
        else:
            sd._terminate()
        sd._initialize()


def _load_copy(sd: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(_library(), folder)
        _left.append(sd._lib)
        sd._lib = sd._ffi.dlopen(copy)
    sd._initialized = 0


def _library() -> Path:
    """The file that the PortAudio in use was loaded from."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith("libportaudio") and path.is_file():
            return path
    raise PortAudioError("the file of the audio library PortAudio cannot be found: start the program again")

"""The names of what runs a model, as its maker writes them."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

GRAPHICS = ("cuda", "tensorrt")  # providers that run on NVIDIA's


def device_name(provider: str) -> str:
    """Of what a provider runs on; the provider's own name where the system does not tell."""
    if provider == "cpu":
        return processor()
    return (_nvidia() if provider in GRAPHICS else "") or provider


def processor() -> str:
    """The architecture where the system does not tell more."""
    system = platform.system()
    if system == "Linux":
        return _field(Path("/proc/cpuinfo"), "model name") or platform.machine()
    if system == "Darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def _nvidia() -> str:
    return _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").split("\n")[0]


def _field(path: Path, name: str) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

"""Where and from what something was made: results without a machine, a commit and a date mean nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def provenance(device: torch.device) -> dict[str, str]:
    """Machine, PyTorch, commit and date, in words."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "machine": f"{name}, {os.cpu_count()} logical cores",
        "torch": torch.__version__,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit of this checkout, and whether its code differs from it."""
    name = _git("rev-parse", "--short", "HEAD")
    if not name:
        return "unknown (not a git checkout)"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "diffvs")
    return f"{name}, with changes that are not committed" if changed else name


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()

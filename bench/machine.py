"""What the figures were measured on: figures without a machine, a commit and a date mean nothing."""

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from stream.separation.hardware import processor

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "sounddevice")


def head() -> str:
    """The lines that open docs/bench.md."""
    facts = {
        "machine": f"{processor()}, {os.cpu_count()} logical cores, {platform.system()} {platform.machine()}",
        "python": f"{platform.python_version()} with {', '.join(versions())}",
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load": load(),
        "scheduling": scheduling(),
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def versions() -> list[str]:
    """The installed ones of PACKAGES, with their versions."""
    installed = {
        dist.metadata["Name"].lower(): dist.version
        for dist in metadata.distributions()
        if dist.metadata["Name"]
    }
    return [f"{name} {installed[name]}" for name in PACKAGES if name in installed]


def commit() -> str:
    """The commit measured, and whether the files differ from it."""
    name = _output("git", "rev-parse", "--short", "HEAD")
    if not name:
        return "unknown (not a git checkout)"
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", "--", ":!docs/bench.md")
    return f"{name}, with changes that are not committed" if changed else name


def load() -> str:
    """How busy the machine was with other work: a busy one makes the tails longer."""
    if not hasattr(os, "getloadavg"):
        return "not known on this system"
    return f"{os.getloadavg()[0]:.1f} processes wanted to run in the minute before"


def scheduling() -> str:
    """Whether other work may interrupt: audio servers run their callbacks at real-time priority."""
    if not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) == os.SCHED_OTHER:
        return "as any program (on Linux, `chrt -f 10` gives the real-time priority that audio servers use)"
    return "real-time priority, as audio servers have"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""

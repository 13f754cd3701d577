"""What the machine itself must bring, and the words to install it with on each system."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


class SetupError(Exception):
    """What keeps this checkout from being set up; the text says what to do."""


NEEDS = {
    "compiler": "a C++ compiler",
    "headers": "the C headers of Python",
    "venv": "the venv module of Python",
    "portaudio": "PortAudio",
}
# Families of Linux: the install command, the names of NEEDS in order ({} is the minor version of Python).
LINUX = {
    "debian": ("apt-get install", ("g++", "python3.{}-dev", "python3.{}-venv", "libportaudio2")),
    "fedora": ("dnf install", ("gcc-c++", "python3.{}-devel", "python3.{}", "portaudio")),
    "arch": ("pacman -S", ("gcc", "python", "python", "portaudio")),
    "suse": ("zypper install", ("gcc-c++", "python3{}-devel", "python3{}", "libportaudio2")),
}
LIKE = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "opensuse": "suse", "sles": "suse"}


def missing(needs: list[str]) -> list[str]:
    """Those of `needs` (keys of NEEDS) that this machine lacks."""
    return [need for need in needs if not _has(need)]


def _has(need: str) -> bool:
    if need == "compiler":
        return _has_compiler()
    if need == "venv":  # Debian keeps ensurepip, which venv calls, in a package of its own
        return importlib.util.find_spec("ensurepip") is not None
    if sys.platform in {"win32", "darwin"}:  # there Python brings its headers, and sounddevice its PortAudio
        return True
    if need == "headers":
        return Path(sysconfig.get_path("include"), "Python.h").exists()
    try:
        ctypes.CDLL("libportaudio.so.2")
    except OSError:
        return False
    return True


def _has_compiler() -> bool:
    if sys.platform == "win32":
        programs = os.environ.get("PROGRAMFILES(X86)", "C:/Program Files (x86)")
        vswhere = Path(programs, "Microsoft Visual Studio", "Installer", "vswhere.exe")  # CMake asks it too
        return vswhere.exists() or shutil.which("cl") is not None
    if sys.platform == "darwin":  # /usr/bin/c++ is always there, if only to offer the tools
        return subprocess.run(["xcode-select", "-p"], capture_output=True, check=False).returncode == 0
    chosen = os.environ.get("CXX", "").split()[:1]
    return any(shutil.which(name) for name in chosen or ["c++", "g++", "clang++"])


def linux_family(os_release: Path = Path("/etc/os-release")) -> str | None:
    """The key of LINUX for this distribution (see os-release(5)), or None when it is of none of them."""
    try:
        lines = os_release.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".lower().split()
    return next((LIKE.get(name, name) for name in names if LIKE.get(name, name) in LINUX), None)


def packages(needs: list[str], family: str) -> list[str]:
    """The packages of a Linux family that bring `needs`."""
    names = dict(zip(NEEDS, LINUX[family][1], strict=True))
    return list(dict.fromkeys(names[need].format(sys.version_info[1]) for need in needs))


def advice(needs: list[str]) -> str:
    """What to type on this machine to get `needs`."""
    if sys.platform == "darwin":
        return "run: xcode-select --install"
    if sys.platform == "win32":
        return (
            "run: winget install Microsoft.VisualStudio.2022.BuildTools, and choose C++ desktop development"
        )
    family = linux_family()
    if family is None:
        return "install it with your package manager"
    return f"run: sudo {LINUX[family][0]} {' '.join(packages(needs, family))}"


def install(needs: list[str]) -> None:
    """Installs what is missing of `needs` with apt-get, in full view, if this is root on Debian."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not (is_root and linux_family() == "debian" and shutil.which("apt-get") and missing(needs)):
        return
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*apt, "update"], env=environment, check=False)
    wanted = packages(missing(needs), "debian")
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", *wanted], env=environment, check=False)


def require(needs: list[str]) -> None:
    """Raises SetupError when the machine lacks one of `needs` and it cannot be installed from here."""
    install(needs)
    if lacking := missing(needs):
        what = " and ".join(NEEDS[need] for need in lacking)
        raise SetupError(f"Diff-VS needs {what}, which this machine does not have; {advice(lacking)}")


def suggest(need: str, without: str) -> None:
    """The same for something that can be done without: says what is missed, and goes on."""
    install([need])
    if missing([need]):
        print(f"* {NEEDS[need]} is not installed: {without}; {advice([need])}", flush=True)

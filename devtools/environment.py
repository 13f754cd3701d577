"""The .venv of a checkout, and the stamp in it that says what it holds: nothing is done twice.

The stamp names the extras only once they are installed: an interrupted making is recognised and begun afresh.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from devtools import system
from devtools.system import SetupError

# What [build-system] in pyproject.toml requires. Kept in .venv: rebuilding cpp_ext then needs no network.
BUILD_TOOLS = ("setuptools>=77", "pybind11>=3,<4", "cmake>=3.25,<5", "ninja")
EDITABLE = ("install", "--no-build-isolation", "-e")
ONNX_BUILDS = {"cpu", "gpu"}  # each overwrites the other
SOURCES = {".c", ".cpp", ".h", ".hpp"}
# How pip's connection errors begin or read, on any of the three systems.
OFFLINE = (
    "NewConnectionError",
    "NameResolutionError",
    "TimeoutError",
    "ProxyError",
    "SSLError",
    "getaddrinfo failed",
)


def say(text: str) -> None:
    print(f"* {text}", flush=True)


def digest(root: Path, paths: Iterable[Path]) -> str:
    """A hash of names and contents, in an order no file system decides."""
    total = hashlib.sha256()
    for path in sorted(set(paths)):
        content = path.read_bytes() if path.is_file() else b""
        total.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


class Environment:
    """What is in .venv, and what ought to be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".venv"
        self.python = self.path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.stamp_path = self.path / "diffvs.json"

    def stamp(self) -> dict[str, Any]:
        """What is installed; {} when there is no readable stamp, or one of another place."""
        try:
            stamp = json.loads(self.stamp_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) and stamp.get("checkout") == str(self.root) else {}

    def write_stamp(self, **facts: Any) -> None:
        temporary = self.stamp_path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"checkout": str(self.root), **facts}, indent=1), encoding="utf-8")
        os.replace(temporary, self.stamp_path)

    def is_whole(self) -> bool:
        """False when its making was interrupted, it was moved here, or the Python behind it is gone."""
        return self.python.exists() and "extras" in self.stamp()

    def packages_digest(self) -> str:
        return digest(
            self.root, [self.root / name for name in ("pyproject.toml", "setup.py", "constraints.txt")]
        )

    def native_digest(self) -> str:
        sources = [path for path in (self.root / "cpp_ext").rglob("*") if path.suffix in SOURCES]
        return digest(self.root, [self.root / "CMakeLists.txt", self.root / "setup.py", *sources])

    def native_is_built(self) -> bool:
        return any(path.suffix in {".so", ".pyd"} for path in (self.root / "cpp_ext").glob("_core*"))

    def onnx_builds(self) -> set[str]:
        """The installed builds of ONNX Runtime: "cpu", "gpu", none, or both, which breaks it."""
        folders = [*self.path.glob("lib/python3*/site-packages"), *self.path.glob("Lib/site-packages")]
        patterns = {"cpu": "onnxruntime-*.dist-info", "gpu": "onnxruntime_gpu-*.dist-info"}
        return {build for build in patterns for folder in folders if any(folder.glob(patterns[build]))}

    def holds(self, extras: set[str]) -> bool:
        """Whether `extras` are installed, from the files that say what they mean today."""
        stamp = self.stamp()
        if stamp.get("packages") != self.packages_digest() or not extras <= set(stamp.get("extras", ())):
            return False
        return extras & ONNX_BUILDS <= self.onnx_builds()


def prepare(env: Environment, extras: set[str]) -> None:
    """Makes or mends .venv until it holds `extras` and the built cpp_ext; returns at once when it does."""
    builds = env.onnx_builds()
    if builds == ONNX_BUILDS:
        raise SetupError(
            "Both onnxruntime and onnxruntime-gpu are in .venv, where they overwrite each other; run: "
            "python3 dev.py clean, then python3 dev.py setup (or setup --gpu)"
        )
    if "gpu" in builds:
        extras = extras - {"cpu"} | {"gpu"}
    if env.path.exists() and not env.is_whole():
        _discard(env)
    if not env.path.exists():
        _create(env)
    _install(env, extras)
    _build(env)


def _discard(env: Environment) -> None:
    """Removes a half-made .venv, but sets one aside that dev.py did not make: it may hold somebody's work."""
    if env.stamp_path.exists() or not env.python.exists():
        say(".venv is half made, or was moved here: making it again.")
        shutil.rmtree(env.path)
        return
    aside = next(path for n in range(1, 1000) if not (path := env.root / f".venv-aside-{n}").exists())
    say(f".venv was not made by dev.py: setting it aside as {aside.name} and making a new one.")
    env.path.rename(aside)


def _create(env: Environment) -> None:
    system.require(["venv", "compiler", "headers"])
    system.suggest("portaudio", without="files can be separated, but no audio device can be opened")
    say(f"Making .venv with Python {sys.version.split()[0]}")
    env.path.mkdir()
    env.write_stamp()
    base = getattr(sys, "_base_executable", sys.executable)  # not the virtual environment we may be run from
    if subprocess.run([base, "-m", "venv", str(env.path)], check=False).returncode:
        raise SetupError("Python could not make .venv (its words are above).")


def _install(env: Environment, extras: set[str]) -> None:
    if env.holds(extras):
        return
    stamp, packages, native = env.stamp(), env.packages_digest(), env.native_digest()
    extras = extras | set(stamp.get("extras", ())) - ONNX_BUILDS
    system.require(["compiler", "headers"])
    names = ",".join(sorted(extras))
    say(f"Installing Diff-VS with [{names}] into .venv, and building cpp_ext: minutes the first time")
    env.write_stamp()
    try:
        pip(env, "install", *BUILD_TOOLS)
        pip(env, *EDITABLE, f"{env.root}[{names}]", "-c", str(env.root / "constraints.txt"))
    except SetupError:
        if "extras" in stamp:  # pip stops before it changes anything: what worked goes on working
            env.write_stamp(**{key: stamp[key] for key in stamp if key != "checkout"})
        raise
    env.write_stamp(extras=sorted(extras), packages=packages, native=native)


def _build(env: Environment) -> None:
    stamp = env.stamp()
    native = env.native_digest()
    if stamp["native"] == native and env.native_is_built():
        return
    system.require(["compiler", "headers"])
    say("The sources of cpp_ext have changed: building it")
    pip(env, *EDITABLE, str(env.root), "--no-deps")
    env.write_stamp(extras=stamp["extras"], packages=stamp["packages"], native=native)


def pip(env: Environment, *arguments: str) -> None:
    """Runs the pip of .venv in full view; SetupError says in one sentence why it failed."""
    process = subprocess.Popen(
        [str(env.python), "-m", "pip", *arguments], stderr=subprocess.PIPE, text=True, errors="replace"
    )
    assert process.stderr is not None
    errors = ""
    for line in process.stderr:  # stdout stays the terminal itself: pip draws its progress bars only there
        sys.stderr.write(line)
        errors += line
    if process.wait():
        raise SetupError(diagnosis(errors))


def diagnosis(errors: str) -> str:
    """What pip's words on stderr mean, in one sentence."""
    if any(sign in errors for sign in OFFLINE):
        return (
            "No network: pip cannot reach the package index. Connect and run the same command again; "
            "what was downloaded is kept."
        )
    if "No matching distribution found" in errors:
        return (
            "pip finds no package that fits (named above): is the package index switched off (PIP_NO_INDEX), "
            "or filtered by a proxy?"
        )
    if "build" in errors.lower() and "diffvs" in errors:
        return (
            "cpp_ext did not compile (the compiler's words are above): it needs C++20, so g++ 10, clang 13, "
            "Visual Studio 2019 or newer."
        )
    return "pip failed (its words are above)."

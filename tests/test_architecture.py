"""Who may import whom: the rules of docs/architecture.md, held against every import, wherever it stands."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("diffvs", "export", "stream", "cpp_ext", "bench", "devtools")
# Ours: what each package may know of the others.
MAY_IMPORT = {
    "diffvs": {"diffvs"},
    "cpp_ext": {"cpp_ext"},
    "stream": {"stream", "cpp_ext"},
    "export": {"export", "diffvs", "stream"},
    "bench": {"bench", "stream", "cpp_ext", "diffvs", "export"},
    "devtools": {"devtools"},
}
# Others': the files that may import what is heavy, missing on some machines, or the business of one place.
GATES = {
    "torch": ["diffvs/*", "export/*", "bench/peer.py"],
    "onnx": ["export/*"],
    "onnxruntime": ["stream/separation/model.py", "export/*", "bench/peer.py"],
    "sounddevice": ["stream/audio/portaudio.py"],
    "scipy": ["diffvs/*", "export/*"],
    "safetensors": ["diffvs/*", "export/*"],
    "tensorboard": ["diffvs/*"],
    "matplotlib": ["diffvs/*", "stream/demo.py"],
    "aiohttp": ["stream/control/page/*"],
    "segno": ["stream/control/page/*"],
    "pybind11": [],
    "jack": [],
    "pythonosc": ["stream/control/osc.py"],
    "tomlkit": ["stream/control/settings.py", "stream/control/midi/maps_of_ports.py"],
    "rtmidi": ["stream/control/midi/ports.py"],
}
COMMAND_LINES = {
    "devtools/commands.py",
    "diffvs/training/options.py",
    "stream/options.py",
    "stream/control/options.py",
}  # of other files


def python_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(source: str) -> Iterator[str]:
    """Every module that the source names in an import, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"))}


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b, c\ndef f():\n    from torch import nn\n    from . import near\n"
    assert list(imports(source)) == ["a.b", "c", "torch"]


@pytest.mark.parametrize("package", OURS)
def test_packages_import_one_way(package: str) -> None:
    offences = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(package)
        for name in sorted(roots(path) & {*OURS, "tests"} - MAY_IMPORT[package])
    ]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize("package", OURS)
def test_other_peoples_packages_stay_in_their_place(package: str) -> None:
    offences = [
        f"{path.relative_to(ROOT)} imports {name}, which belongs in {GATES[name] or 'no file of ours'}"
        for path in python_files(package)
        for name in sorted(roots(path) & GATES.keys())
        if not any(fnmatch(path.relative_to(ROOT).as_posix(), place) for place in GATES[name])
    ]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize("package", OURS)
def test_only_commands_read_the_command_line(package: str) -> None:
    """argparse is for files that are run, and for those whose one idea is the command line of another."""
    offences = []
    for path in python_files(package):
        name = path.relative_to(ROOT).as_posix()
        is_command = '__name__ == "__main__"' in path.read_text(encoding="utf-8") or name in COMMAND_LINES
        if "argparse" in roots(path) and not is_command:
            offences.append(name)
    assert not offences, f"argparse outside of a command: {offences}"


@pytest.mark.parametrize("package", ["cpp_ext", "devtools"])
def test_devtools_and_headers_need_nothing_installed(package: str) -> None:
    allowed = sys.stdlib_module_names | ({"numpy", "cpp_ext"} if package == "cpp_ext" else {"devtools"})
    for path in [*python_files(package), *([ROOT / "dev.py"] if package == "devtools" else [])]:
        assert roots(path) <= allowed, f"{path.name} imports {roots(path) - allowed}"


def test_headers_know_neither_python_nor_audio_devices() -> None:
    for header in (ROOT / "cpp_ext" / "include").rglob("*.h"):
        for line in header.read_text(encoding="utf-8").splitlines():
            if line.startswith("#include"):
                assert not any(word in line for word in ("pybind11", "Python.h", "portaudio.h")), (
                    f"{header.name}: {line}"
                )


@pytest.mark.parametrize("module", ["stream.live", "stream.render", "stream.demo"])
def test_the_product_starts_without_torch(module: str) -> None:
    heavy = {"torch", "scipy", "matplotlib", "diffvs", "export", "aiohttp"}
    program = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""Builds and runs the C++ tests: plain, under ThreadSanitizer, and under AddressSanitizer with UBSan.

python tests/cpp/run.py [none|thread|address ...]     all three when none is named; exit code 1 on a failure

Standard library only; needs a C++ compiler and CMake. Builds are kept in build/cpp-* and reused.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("none", "thread", "address")
FLAGS = {"thread": "-fsanitize=thread", "address": "-fsanitize=address,undefined"}


def search_path() -> str:
    """PATH with the programs beside this Python in front: cmake and ninja come as Python packages."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def sanitizer_works(variant: str, environment: dict[str, str]) -> bool:
    """Whether a program built with the sanitizer links and starts; MSVC and some machines cannot."""
    if variant == "none":
        return True
    compiler = shutil.which(os.environ.get("CXX", "c++"), path=environment["PATH"])
    if compiler is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        source = program.with_suffix(".cpp")
        source.write_text("int main() {}\n")
        build = subprocess.run(
            [compiler, FLAGS[variant], str(source), "-o", str(program)], capture_output=True
        )
        return build.returncode == 0 and subprocess.run([str(program)], capture_output=True).returncode == 0


def run_variant(variant: str, environment: dict[str, str]) -> bool:
    """Configures, builds and tests one variant; True when all is well."""
    build = ROOT / "build" / f"cpp-{variant}"
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(build),
        "-DDIFFVS_PYTHON=OFF", "-DDIFFVS_TESTS=ON", f"-DDIFFVS_SANITIZE={variant}",
        f"-DCMAKE_BUILD_TYPE={'Release' if variant == 'none' else 'RelWithDebInfo'}",
        "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON",
    ]  # fmt: skip
    if sys.platform != "win32" and shutil.which("ninja", path=environment["PATH"]):
        configure += ["-G", "Ninja"]
    commands = [
        configure,
        ["cmake", "--build", str(build), "--config", "Release", "--parallel", "2"],
        ["ctest", "--test-dir", str(build), "-C", "Release", "--output-on-failure", "--no-tests=error"],
    ]
    for command in commands:
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            print(f"{command[0]} was not found: pip install cmake ninja", file=sys.stderr)
            return False
        if subprocess.run([program, *command[1:]], env=environment).returncode != 0:
            return False
    return True


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in VARIANTS]:
        print(f"unknown variant {unknown[0]}: choose from {', '.join(VARIANTS)}", file=sys.stderr)
        return 2
    environment = {**os.environ, "PATH": search_path()}
    failed = []
    for variant in names or VARIANTS:
        print(f"== C++ tests, sanitizer: {variant}", flush=True)
        if not sanitizer_works(variant, environment):
            print("   left out: this compiler or machine cannot run it", flush=True)
        elif not run_variant(variant, environment):
            failed.append(variant)
    print(f"C++ tests: {'FAILED: ' + ', '.join(failed) if failed else 'passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

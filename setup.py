"""Everything declarative is in pyproject.toml; this file only hands cpp_ext to CMake."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import cmake
import ninja
import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).parent.resolve()
NO_COMPILER = (
    "No working C++ compiler was found; install one and try again: apt install g++ (Debian, Ubuntu), "
    "dnf install gcc-c++ (Fedora), xcode-select --install (macOS), or the Visual Studio Build Tools "
    'with the workload "Desktop development with C++" (Windows).'
)


class CMakeBuild(build_ext):
    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        # One folder per Python, kept between builds: only what changed is compiled again.
        build = ROOT / "build" / f"{ext.name}-{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
        build_type = "Debug" if self.debug else "Release"
        # Without an activated environment the build requirements are installed but not on the path.
        path = os.pathsep.join([cmake.CMAKE_BIN_DIR, ninja.BIN_DIR, os.environ.get("PATH", "")])
        configure = [
            "--fresh",  # an isolated build has its tools elsewhere each time: trust no cache
            "-S", str(ROOT), "-B", str(build),
            f"-DCMAKE_BUILD_TYPE={build_type}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY_{build_type.upper()}={target}",  # Visual Studio
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]  # fmt: skip
        if architectures := re.findall(r"-arch (\S+)", os.environ.get("ARCHFLAGS", "")):  # macOS wheels
            configure += [f"-DCMAKE_OSX_ARCHITECTURES={';'.join(architectures)}"]
        # On Windows CMake's own choice, Visual Studio, finds a compiler that is not on the path.
        if sys.platform != "win32" or shutil.which("cl"):
            configure += ["-G", "Ninja"]
        run_cmake(configure, path)
        run_cmake(["--build", str(build), "--config", build_type], path)


def run_cmake(arguments: list[str], path: str) -> None:
    environment = {**os.environ, "PATH": path}
    program = shutil.which("cmake", path=path)
    done = subprocess.run([program, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(done.stderr)
    if re.search(r"CMAKE_C(XX)?_COMPILER (could|not)|not able to compile a simple test program", done.stderr):
        raise CompileError(NO_COMPILER)
    if done.returncode != 0:
        raise CompileError("CMake could not build cpp_ext; its messages stand above.")


setup(ext_modules=[Extension("cpp_ext._core", sources=[])], cmdclass={"build_ext": CMakeBuild})

"""Everything declarative is in pyproject.toml; this file only hands cpp_ext to CMake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cmake
import ninja
import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()
NO_COMPILER = """no C++ compiler was found: install one and try again
  Debian, Ubuntu:  apt install g++
  Fedora:          dnf install gcc-c++
  macOS:           xcode-select --install
  Windows:         Visual Studio Build Tools, workload "Desktop development with C++\""""


class CMakeBuild(build_ext):
    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / ext.name
        build_type = "Debug" if self.debug else "Release"
        # Without an activated environment the build requirements are installed but not on the path.
        path = os.pathsep.join([cmake.CMAKE_BIN_DIR, ninja.BIN_DIR, os.environ.get("PATH", "")])
        os.environ["PATH"] = path
        configure = [
            "cmake", "-S", str(ROOT), "-B", str(build),
            f"-DCMAKE_BUILD_TYPE={build_type}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY_{build_type.upper()}={target}",  # Visual Studio
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]  # fmt: skip
        # On Windows CMake's own choice, Visual Studio, finds a compiler that is not on the path.
        if sys.platform != "win32" or shutil.which("cl"):
            configure += ["-G", "Ninja"]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--config", build_type], check=True)


setup(ext_modules=[Extension("cpp_ext._core", sources=[])], cmdclass={"build_ext": CMakeBuild})

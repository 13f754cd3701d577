"""What pyproject.toml, constraints.txt and dev.py say about packages fits together."""

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from devtools import commands, environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "torch",
    "scipy",
    "matplotlib",
    "safetensors",
    "tensorboard",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: Iterable[str]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def test_the_live_path_installs_nothing_heavy(pyproject: dict[str, Any]) -> None:
    assert not names(pyproject["project"]["dependencies"]) & HEAVY


def test_each_build_of_onnx_runtime_is_in_one_extra_only(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    assert {extra for extra in extras if "onnxruntime" in names(extras[extra])} == {"cpu"}
    assert {extra for extra in extras if "onnxruntime-gpu" in names(extras[extra])} == {"gpu"}
    assert Requirement(extras["gpu"][0]).extras == {"cuda", "cudnn"}  # NVIDIA's own libraries come along
    assert {"extra": "cpu"} in pyproject["tool"]["uv"]["conflicts"][0]


def test_torch_is_for_training_and_export_only(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    assert {extra for extra in extras if "torch" in names(extras[extra])} == {"train", "export"}


def test_every_requirement_has_a_lower_and_an_upper_bound(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    for text in [*project["dependencies"], *chain(*project["optional-dependencies"].values())]:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_constraints_lie_within_the_ranges(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    ranges = {Requirement(text).name: Requirement(text).specifier for text in chain(*extras.values())}
    pins = re.findall(
        r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert pins, "constraints.txt pins nothing"
    for name, version in pins:
        assert version in ranges[name], f"{name}=={version} is outside {ranges[name]}"


def test_dev_installs_what_the_build_requires(pyproject: dict[str, Any]) -> None:
    assert list(environment.BUILD_TOOLS) == pyproject["build-system"]["requires"]


def test_dev_names_extras_that_exist(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["optional-dependencies"].keys() >= commands.TO_DEVELOP >= commands.TO_LISTEN


def test_the_demo_needs_no_torch(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    assert "torch" not in names(chain(*(extras[extra] for extra in commands.TO_LISTEN)))


def test_dev_and_pyproject_agree_on_python(pyproject: dict[str, Any]) -> None:
    accepted = Requirement(f"python{pyproject['project']['requires-python']}").specifier
    guard = (ROOT / "dev.py").read_text(encoding="utf-8")
    for minor in range(8, 16):
        assert (f"3.{minor}" in accepted) == (10 <= minor <= 12)
    assert "(3, 10) <= sys.version_info[:2] <= (3, 12)" in guard


def test_every_package_with_code_is_installed(pyproject: dict[str, Any]) -> None:
    installed = set(pyproject["tool"]["setuptools"]["packages"])
    tops = ("diffvs", "export", "stream", "cpp_ext")
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for top in tops
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert found == installed


def test_the_installed_metadata_names_the_licence() -> None:
    facts = metadata.metadata("diffvs")
    assert facts["License-Expression"] == "MIT"
    assert facts["License-File"] == "LICENSE"

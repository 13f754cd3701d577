"""What dev.py decides: what is up to date, half made or missing, and the sentence for each. No network."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import commands, environment, system
from devtools.environment import Environment

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    """A small checkout without a .venv."""
    for name in ("pyproject.toml", "setup.py", "constraints.txt", "CMakeLists.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "cpp_ext" / "include").mkdir(parents=True)
    (tmp_path / "cpp_ext" / "include" / "ring.h").write_text("// a ring")
    (tmp_path / "cpp_ext" / "_core.abi.so").write_text("built")
    return Environment(tmp_path)


def make_whole(env: Environment, *extras: str) -> None:
    """Pretends that `extras` are installed and cpp_ext is built."""
    env.python.parent.mkdir(parents=True, exist_ok=True)
    env.python.write_text("python")
    packages, native = env.packages_digest(), env.native_digest()
    env.write_stamp(extras=sorted(extras), packages=packages, native=native)
    for extra in set(extras) & environment.ONNX_BUILDS:
        name = "onnxruntime" if extra == "cpu" else "onnxruntime_gpu"
        (env.path / "lib/python3.11/site-packages" / f"{name}-1.20.dist-info").mkdir(parents=True)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Calls of pip and of venv, noted instead of made; a system that has everything."""
    calls: list[tuple[str, ...]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(tuple(command[1:3]))
        python = Path(command[-1]) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text("python")
        return subprocess.CompletedProcess(command, 0)

    def install(env: Environment, *arguments: str) -> None:
        assert not env.is_whole() or "--no-deps" in arguments, "while pip works, the stamp must not say: done"
        calls.append(arguments)

    monkeypatch.setattr(environment, "pip", install)
    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(system, "missing", lambda needs: [])
    return calls


def test_a_whole_environment_is_left_alone(env: Environment, pip: list[tuple[str, ...]]) -> None:
    make_whole(env, "cpu", "demo")
    environment.prepare(env, {"cpu"})
    assert pip == []


def test_a_fresh_checkout_gets_everything_once(env: Environment, pip: list[tuple[str, ...]]) -> None:
    environment.prepare(env, {"demo"})
    assert [call[:1] for call in pip] == [("-m",), ("install",), ("install",)]
    assert f"{env.root}[demo]" in pip[-1]
    assert str(env.root / "constraints.txt") in pip[-1]
    environment.prepare(env, {"demo"})
    assert len(pip) == 3


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "setup.py"])
def test_a_changed_requirement_is_installed(env: Environment, pip: list[tuple[str, ...]], name: str) -> None:
    make_whole(env, "cpu", "demo")
    (env.root / name).write_text("changed")
    environment.prepare(env, {"cpu"})
    assert f"{env.root}[cpu,demo]" in pip[-1], "what was installed before stays"


@pytest.mark.parametrize("name", ["CMakeLists.txt", "cpp_ext/include/ring.h", "cpp_ext/new.cpp"])
def test_changed_native_sources_are_built_without_their_dependencies(
    env: Environment, pip: list[tuple[str, ...]], name: str
) -> None:
    make_whole(env, "cpu")
    (env.root / name).write_text("changed")
    environment.prepare(env, {"cpu"})
    assert len(pip) == 1
    assert "--no-deps" in pip[0]
    environment.prepare(env, {"cpu"})
    assert len(pip) == 1


def test_python_sources_are_not_built(env: Environment, pip: list[tuple[str, ...]]) -> None:
    make_whole(env, "cpu")
    (env.root / "cpp_ext" / "__init__.py").write_text("changed")
    environment.prepare(env, {"cpu"})
    assert pip == []


def test_a_missing_binary_is_built(env: Environment, pip: list[tuple[str, ...]]) -> None:
    make_whole(env, "cpu")
    (env.root / "cpp_ext" / "_core.abi.so").unlink()
    environment.prepare(env, {"cpu"})
    assert "--no-deps" in pip[0]


def test_names_count_in_the_digest(env: Environment) -> None:
    before = env.native_digest()
    header = env.root / "cpp_ext" / "include" / "ring.h"
    header.rename(header.with_name("ring2.h"))
    assert env.native_digest() != before


def test_a_half_made_environment_is_made_again(
    env: Environment, pip: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    make_whole(env, "demo")
    env.write_stamp()  # as it stands while pip works
    left_over = env.path / "left over"
    left_over.write_text("")
    environment.prepare(env, {"demo"})
    assert ".venv is half made" in capsys.readouterr().out
    assert env.is_whole()
    assert not left_over.exists()


def test_a_moved_environment_is_made_again(env: Environment, pip: list[tuple[str, ...]]) -> None:
    make_whole(env, "demo")
    env.stamp_path.write_text(env.stamp_path.read_text().replace(str(env.root), "elsewhere"))
    environment.prepare(env, {"demo"})
    assert pip
    assert env.stamp()["checkout"] == str(env.root)


@pytest.mark.parametrize("stamp", ["", "{", "[]", "null"])
def test_an_unreadable_stamp_is_no_stamp(env: Environment, stamp: str) -> None:
    make_whole(env, "demo")
    env.stamp_path.write_text(stamp)
    assert env.stamp() == {}
    assert not env.is_whole()


def test_an_environment_of_the_users_own_is_set_aside(
    env: Environment, pip: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    make_whole(env, "demo")
    env.stamp_path.unlink()
    (env.path / "work").write_text("hours of it")
    environment.prepare(env, {"demo"})
    assert "setting it aside as .venv-aside-1" in capsys.readouterr().out
    assert (env.root / ".venv-aside-1" / "work").read_text() == "hours of it"


def test_a_failed_installation_leaves_what_worked(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object) -> None:
        raise system.SetupError("No network")

    make_whole(env, "demo")
    monkeypatch.setattr(system, "missing", lambda needs: [])
    monkeypatch.setattr(environment, "pip", offline)
    with pytest.raises(system.SetupError, match="No network"):
        environment.prepare(env, {"demo", "dev"})
    assert env.holds({"demo"})


def test_an_interrupted_installation_does_not(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    make_whole(env, "demo")
    monkeypatch.setattr(system, "missing", lambda needs: [])
    monkeypatch.setattr(environment, "pip", interrupt)
    with pytest.raises(KeyboardInterrupt):
        environment.prepare(env, {"demo", "dev"})
    assert not env.is_whole()


def test_both_builds_of_onnx_runtime_are_refused(env: Environment) -> None:
    make_whole(env, "cpu", "gpu")
    with pytest.raises(system.SetupError, match="Both onnxruntime and onnxruntime-gpu"):
        environment.prepare(env, {"cpu"})


def test_the_gpu_build_does_for_the_cpu_build(env: Environment, pip: list[tuple[str, ...]]) -> None:
    make_whole(env, "demo", "gpu")
    environment.prepare(env, {"cpu", "demo"})
    assert pip == []


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ("WARNING: Retrying ... NewConnectionError('<pip...>: Failed to establish', ...)", "No network"),
        ("ERROR: No matching distribution found for torch==2.13.0", "pip finds no package that fits"),
        ("error: failed-wheel-build ... Failed to build diffvs", "cpp_ext did not compile"),
        ("ERROR: something else", "pip failed"),
    ],
)
def test_pips_words_become_one_sentence(errors: str, sentence: str) -> None:
    assert environment.diagnosis(errors).startswith(sentence)
    assert "\n" not in environment.diagnosis(errors)


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 9), (3, 13), (4, 0)])
def test_the_wrong_python_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: tuple[int, int]
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "argv", ["dev.py", "test"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "dev.py"), run_name="__main__")
    assert end.value.code == 2
    words = capsys.readouterr().err
    assert f"needs Python 3.10, 3.11 or 3.12, and this is Python {version[0]}.{version[1]}: " in words
    assert words.endswith("3.12 dev.py test\n")


def test_what_cannot_be_set_up_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(env: Environment, extras: set[str]) -> None:
        raise system.SetupError("no compiler; run: this")

    monkeypatch.setattr(commands, "prepare", prepare)
    assert commands.main(["demo"]) == 2
    assert capsys.readouterr().err == "dev.py: no compiler; run: this\n"


def test_help_teaches_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main([]) == 0
    words = capsys.readouterr().out
    assert all(f"  {name} " in words for name in commands.COMMANDS)


def test_arguments_go_on_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "prepare", lambda env, extras: None)
    monkeypatch.setattr(commands, "run", lambda env, *arguments: calls.append(arguments) or 0)
    commands.main(["test", "-k", "ring", "tests/test_ring.py"])
    commands.main(["demo", "--help"])
    assert calls == [("-m", "pytest", "-k", "ring", "tests/test_ring.py"), ("-m", "stream.demo", "--help")]


def test_a_failed_check_fails_the_whole_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "prepare", lambda env, extras: None)
    monkeypatch.setattr(commands, "run", lambda env, *arguments: int("mypy" in arguments))
    assert commands.main(["test"]) == 1
    assert "types FAILED" in (words := capsys.readouterr().out)
    assert "tests ok" in words


def test_surplus_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.main(["clean", "everything"])
    assert "clean takes no everything" in capsys.readouterr().err

"""The commands of dev.py."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from devtools import system
from devtools.environment import Environment, prepare, say
from devtools.system import SetupError

ROOT = Path(__file__).resolve().parent.parent
TO_LISTEN = {"cpu", "demo"}
TO_DEVELOP = TO_LISTEN | {"midi", "osc", "ui", "train", "export", "dev"}
# The quick ones first; pytest last, so that its summary is the last thing on the screen.
CHECKS = {
    "format": ["-m", "ruff", "format", "--check", "."],
    "lint": ["-m", "ruff", "check", "."],
    "C++ format": ["tests/cpp/format.py"],
    "types": ["-m", "mypy"],
    "C++": ["tests/cpp/run.py"],
    "tests": ["-m", "pytest"],
}


def run(env: Environment, *arguments: str) -> int:
    """Runs the Python of .venv in the checkout; Ctrl-C and SIGTERM reach it, and it ends in its own way."""
    # One thread per library: on a small machine their thread pools fight each other for the cores.
    environment = {"OMP_NUM_THREADS": "1", **os.environ} if arguments[:2] == ("-m", "pytest") else None
    process = subprocess.Popen([str(env.python), *arguments], cwd=env.root, env=environment)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # noqa: PERF203
                continue  # the terminal has sent it to the process as well
    finally:
        signal.signal(signal.SIGTERM, before)


def setup(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """makes .venv and installs what the live path needs"""
    extras = TO_DEVELOP if args.dev else TO_LISTEN
    if args.gpu:
        if "cpu" in env.onnx_builds():
            run(env, "-m", "pip", "uninstall", "-y", "onnxruntime")
        extras = extras - {"cpu"} | {"gpu"}
    prepare(env, extras)
    say(f"Ready: {env.python.relative_to(env.root)} is the Python to use.")
    return 0


def demo(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """separates the bundled song through the live path: two WAV files and a picture"""
    prepare(env, TO_LISTEN)
    return run(env, "-m", "stream.demo", *rest)


def test(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """every check: format, lint, types, C++ tests, pytest; with arguments, pytest alone with these"""
    prepare(env, TO_DEVELOP)
    system.suggest("portaudio", without="the tests with audio devices are skipped")
    if rest:
        return run(env, "-m", "pytest", *rest)
    began, results = time.monotonic(), {}
    for name, command in CHECKS.items():
        if command[0].endswith(".py") and not (env.root / command[0]).exists():
            say(f"{name}: skipped, since {command[0]} is not there")
            continue
        say(f"{name}: python {' '.join(command)}")
        results[name] = run(env, *command)
        if results[name] in (130, -signal.SIGINT):
            return 130
    words = ", ".join(f"{name} {'FAILED' if status else 'ok'}" for name, status in results.items())
    say(f"{words} ({time.monotonic() - began:.0f} s)")
    return int(any(results.values()))


def format_code(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """formats the code and mends what the linter can mend"""
    prepare(env, TO_DEVELOP)
    return (
        run(env, "-m", "ruff", "format", ".")
        or run(env, "-m", "ruff", "check", "--fix", ".")
        or run(env, "tests/cpp/format.py", "--fix")
    )


def sanitize(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """the C++ tests alone: plain, under ThreadSanitizer, under AddressSanitizer and UBSan"""
    prepare(env, TO_DEVELOP)
    return run(env, "tests/cpp/run.py", *rest)


def bench(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """measures this machine and writes docs/bench.md"""
    prepare(env, TO_LISTEN)
    return run(env, "-m", "bench", *rest)


def clean(env: Environment, args: argparse.Namespace, rest: list[str]) -> int:
    """removes .venv and everything built; your recordings and demo_out stay"""
    caches = [
        env.root / name
        for name in ("build", ".mypy_cache", ".pytest_cache", ".ruff_cache", "diffvs.egg-info")
    ]
    for folder in [env.path, *caches]:
        if folder.is_dir():
            say(f"removing {folder.name}")
            shutil.rmtree(folder)
    for binary in (env.root / "cpp_ext").glob("_core*"):
        if binary.suffix in {".so", ".pyd"}:
            binary.unlink()
    return 0


Command = Callable[[Environment, argparse.Namespace, list[str]], int]
COMMANDS: dict[str, Command] = {
    "demo": demo,
    "test": test,
    "setup": setup,
    "format": format_code,
    "sanitize": sanitize,
    "bench": bench,
    "clean": clean,
}
PASSES_ARGUMENTS_ON = {"demo", "test", "sanitize", "bench"}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Sets up this checkout in .venv (the first time: minutes) and runs it. "
        "Start with: python3 dev.py demo",
        epilog="Further arguments go on to demo, test (to pytest), sanitize and bench, for example: "
        "python3 dev.py test -k ring. Everything is installed in .venv; only for root on Debian are missing "
        "system packages installed too.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        words = command.__doc__ or ""
        one = commands.add_parser(
            name, help=words, description=words, add_help=name not in PASSES_ARGUMENTS_ON
        )
        if name == "setup":
            one.add_argument(
                "--dev", action="store_true", help="also what tests, training and export need (PyTorch)"
            )
            one.add_argument(
                "--gpu", action="store_true", help="ONNX Runtime for NVIDIA GPUs in place of the CPU build"
            )
    return parser


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    parser = make_parser()
    if not words:
        parser.print_help()
        return 0
    args, rest = parser.parse_known_args(words)
    if rest and args.command not in PASSES_ARGUMENTS_ON:
        parser.error(f"{args.command} takes no {' '.join(rest)}; see: dev.py {args.command} --help")
    try:
        return COMMANDS[args.command](Environment(ROOT), args, rest)
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
        return 130

"""The measurements run and say what they were measured on. Their figures are not judged here."""

import re
import sys
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import callback, engine, machine, model, peer, presets, report


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "BLOCKS", 50)
    monkeypatch.setattr(callback, "WARM_UP", 5)
    monkeypatch.setattr(engine, "SECONDS", 0.5)
    monkeypatch.setattr(engine, "PACED_SECONDS", 0.2)
    monkeypatch.setattr(model, "SECONDS", 0.01)
    monkeypatch.setattr(model, "ROUNDS", 1)
    monkeypatch.setattr(model, "BLOCK_HOPS", (1,))
    monkeypatch.setattr(presets, "ON", {"cpu": ("tiny",)})
    monkeypatch.setattr(peer, "NEEDED", ("no such package",))


def test_the_head_names_machine_commit_and_date() -> None:
    head = machine.head()
    assert re.search(r"^- machine: .+ cores", head, re.MULTILINE)
    assert re.search(r"^- commit: ([0-9a-f]{7,}|unknown)", head, re.MULTILINE)
    assert re.search(r"^- date: \d{4}-\d\d-\d\d \d\d:\d\d UTC$", head, re.MULTILINE)


def test_tables_are_markdown() -> None:
    assert report.table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.mark.parametrize("block_size", [64, 2_048])
@pytest.mark.parametrize("on_time", [True, False])
def test_the_callback_is_measured_on_the_path_its_row_names(block_size: int, on_time: bool) -> None:
    """On time, no sample may be late; without a worker, all are but those of the priming."""
    port = callback.make_port(block_size)
    callback.time_calls(callback.Callback(port.callback_address), block_size, port, on_time)
    samples = (callback.WARM_UP + callback.BLOCKS) * block_size
    late = 0 if on_time else max(0, samples - callback.LATENCY)
    assert port.stats().late_samples == late


def test_one_command_writes_every_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--output", str(tmp_path / "bench.md")])
    assert command.main() == 0
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert text.count("\n## ") == len(command.MEASUREMENTS)
    assert "- commit: " in text
    assert [path.name for path in tmp_path.iterdir()] == ["bench.md"]

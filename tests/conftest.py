"""What every test may rely on. The signals are in signals.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell starts what runs in its background deaf to Ctrl-C, and so would be every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help texts, progress bars and panels look for a terminal: let every run see the same."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test meets the settings of whoever runs it, or of another test."""
    monkeypatch.setenv("DIFFVS_CONFIG", str(tmp_path / "config" / "settings.toml"))

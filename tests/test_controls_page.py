"""docs/controls.md says what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from stream.control.controls import Controls
from stream.control.memory import starting_values
from stream.control.parameters import PARAMETERS
from stream.control.presets import Presets
from stream.control.settings import Settings

PAGE = (Path(__file__).parent.parent / "docs" / "controls.md").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="the picture needs the rig of a POSIX terminal")
def test_tables_and_picture_are_those_of_the_code():
    """After a change: python tests/controls_page.py"""
    import controls_page

    assert len(controls_page.BLOCK.findall(PAGE)) == 4
    assert controls_page.page(PAGE) == PAGE


def test_the_file_that_is_shown_works(tmp_path):
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "settings.toml"
    path.write_text(shown, encoding="utf-8")
    settings = Settings.load(path)
    controls = Controls(starting_values(settings))
    presets = Presets(controls, settings)
    assert presets.names()
    for name in presets.names():
        presets.recall(name, "test")
        assert presets.current() == name
    assert path.read_text(encoding="utf-8") == shown


def test_osc_addresses_that_are_shown_exist():
    known = {*PARAMETERS, "preset", "subscribe", "unsubscribe", "PARAMETER"}
    assert set(re.findall(r"`/diffvs/(\w+)", PAGE)) <= known

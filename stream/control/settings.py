"""The user's settings: one TOML file in sections, that people may edit and several sessions may share.

What is changed here reaches the file as a change: it is read again, altered and replaced as a whole, so that
comments, and what others wrote there meanwhile, stay. A file that cannot be understood is set aside under
another name. Where nothing can be written, that is said once and the settings last as long as the session.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
import platformdirs
import tomlkit
from tomlkit.exceptions import TOMLKitError

from stream.control.parameters import ControlError

if sys.version_info >= (3, 11):
    from tomllib import loads as _parsed  # ten times as fast as tomlkit
else:
    from tomlkit import parse as _parsed

PATH_VARIABLE = "DIFFVS_CONFIG"  # another file, where no --config is given
LOCK_S = 2.0  # for another session to write its own
NEW_FILE = "# Diff-VS live. Change what you like; comments stay.\n"

logger = logging.getLogger(__name__)


class Settings:
    """Sections of plain data. Reading never waits; `update` waits for the disk."""

    def __init__(self, path: Path):
        self.path = path
        self._data: dict[str, Any] = {}  # replaced, never altered: it can be read without a lock
        self._unsaved: dict[str, Any] = {}  # changes that have not reached the file
        self._writing = threading.RLock()
        self._complained = False
        self._known_text: str | None = None  # what `_document` was parsed from: parsing takes long
        self._document = tomlkit.document()

    @classmethod
    def load(cls, path: Path | None = None) -> Settings:
        """Of `path`, or else of the user's own file. Raises ControlError for a folder."""
        settings = cls(path or default_path())
        with contextlib.suppress(OSError, RuntimeError):
            settings.path = settings.path.expanduser().resolve()  # a link stays one when the file is replaced
        if settings.path.is_dir():
            raise ControlError(f"--config is {settings.path}, a folder; give the name of a file")
        try:
            settings._data = settings._read().unwrap()
        except OSError as error:
            settings._complain(error)
        return settings

    def section(self, name: str) -> dict[str, Any]:
        """[any] A copy; empty where there is none."""
        section = self._data.get(name)
        return copy.deepcopy(section) if isinstance(section, dict) else {}

    def update(self, name: str, values: Mapping[str, Any]) -> bool:
        """[control] Sets these keys of a section, and within its tables; None deletes. The rest stays.

        Returns whether it has reached the file. If not, it holds for this session and goes with the next.
        """
        with self._writing:
            _merge(self._unsaved.setdefault(name, {}), values, keep_none=True)
            data = copy.deepcopy(self._data)
            _merge(data, {name: values})
            self._data = data
            try:
                self._write()
            except (OSError, NotImplementedError) as error:  # filelock's word for a file system without locks
                self._complain(error)
                return False
            return True

    def _write(self) -> None:
        """All that is unsaved, into the file as it is now. Raises OSError."""
        if self.path.exists() and not self.path.is_file():
            raise OSError("not a file")  # never replace a device
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{self.path}.lock", timeout=LOCK_S):
            document = self._read()
            wanted = document.unwrap()
            self._known_text = None  # until it is known how this ends
            _merge(wanted, self._unsaved)
            _merge(document, self._unsaved)
            text = tomlkit.dumps(document)
            if _parsed(text) == wanted:
                _replace(self.path, text)
                self._known_text, self._document = text, document
            else:  # an editing mistake of tomlkit's: better no comments
                _replace(self.path, NEW_FILE + tomlkit.dumps(wanted))
        self._data, self._unsaved = wanted, {}

    def _read(self) -> tomlkit.TOMLDocument:
        """What is in the file. Raises OSError where it can be neither read nor set aside."""
        if not self.path.is_file():
            return self._known()
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            if text == self._known_text:
                return self._document
            document = tomlkit.parse(text)
            tables = [isinstance(section, dict) for section in document.unwrap().values()]
        except (TOMLKitError, ValueError, RecursionError) as error:
            return self._set_aside(str(error))
        if not all(tables):
            return self._set_aside("a setting stands outside of any [section]")
        self._known_text, self._document = text, document
        return document

    def _set_aside(self, reason: str) -> tomlkit.TOMLDocument:
        names = (self.path.with_name(f"{self.path.name}.broken-{n}") for n in range(1, 1_000))
        aside = next(name for name in names if not os.path.lexists(name))
        try:
            os.replace(self.path, aside)
        except OSError as error:
            raise OSError(f"it cannot be understood: {reason}, nor set aside: {error.strerror}") from None
        logger.warning("%s cannot be understood (%s); it is now %s", self.path, reason, aside.name)
        return self._known()

    def _known(self) -> tomlkit.TOMLDocument:
        document = tomlkit.parse(NEW_FILE)
        document.update(copy.deepcopy(self._data))
        return document

    def _complain(self, error: Exception) -> None:
        """Once: it is in nobody's way."""
        if not self._complained:
            reason = getattr(error, "strerror", None) or error
            logger.warning("%s cannot be used (%s): presets and levels are not kept", self.path, reason)
        self._complained = True


def default_path() -> Path:
    named = os.environ.get(PATH_VARIABLE)
    return (
        Path(named) if named else platformdirs.user_config_path("diffvs", appauthor=False) / "settings.toml"
    )


def _merge(into: Any, changes: Mapping[str, Any], keep_none: bool = False) -> None:
    """Into a dict or a tomlkit table. Tables merge; None deletes, unless it is to be merged on."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value, keep_none)
        elif value is None and not keep_none:
            into.pop(key, None)
        else:
            into[key] = value


def _replace(path: Path, text: str) -> None:
    """All or nothing, also when the power goes."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, name)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise

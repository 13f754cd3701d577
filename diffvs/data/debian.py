"""Debian packages as a source of music: sizes, download and the files inside, by apt and dpkg-deb."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

LICENCE = "usr/share/doc/{package}/copyright"


class DebianError(RuntimeError):
    """apt or dpkg-deb is missing or refused; the message says what to do."""


class Apt:
    """The four things asked of Debian's tools; tests put a fake in its place."""

    def check(self) -> None:
        """Raise DebianError unless apt-get, apt-cache and dpkg-deb can be called."""
        missing = [tool for tool in ("apt-get", "apt-cache", "dpkg-deb") if shutil.which(tool) is None]
        if missing:
            raise DebianError(
                f"{', '.join(missing)} not found: the corpus is made of Debian packages. Run this on Debian "
                "or Ubuntu (a container will do) and copy the folder, or train on accompaniment of your own."
            )

    def sizes(self, packages: Iterable[str]) -> dict[str, int]:
        """Download size in bytes of each package that apt knows; unknown ones are absent."""
        found = {}
        for package in packages:
            shown = self._run(["apt-cache", "show", "--no-all-versions", package], may_fail=True).decode()
            for line in shown.splitlines():
                if line.startswith("Size: "):
                    found[package] = int(line.removeprefix("Size: "))
        return found

    def download(self, package: str, folder: Path) -> Path:
        """Fetch a package into a folder and give its path; an interrupted download leaves nothing there."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            self._run(["apt-get", "-q", "download", package], cwd=Path(part))
            (fetched,) = Path(part).glob("*.deb")
            return fetched.replace(folder / f"{package}.deb")

    def extract(self, deb: Path, wanted: set[str], keep: Callable[[str, bytes], None]) -> None:
        """Call keep(path, content) for each wanted path in a package (no leading slash), in archive order."""
        command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            try:
                with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                    for member in archive:
                        path = member.name.removeprefix("./")
                        if path in wanted and member.isfile():
                            content = archive.extractfile(member)
                            assert content is not None
                            keep(path, content.read())
            except tarfile.TarError as error:
                raise DebianError(
                    f"{deb} is no readable Debian package; run again to fetch it anew"
                ) from error
        if process.returncode != 0:
            raise DebianError(f"{deb} is no readable Debian package; run again to fetch it anew")

    def _run(self, command: list[str], cwd: Path | None = None, may_fail: bool = False) -> bytes:
        done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
        if done.returncode != 0 and not may_fail:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            raise DebianError(f"{' '.join(command)} failed: {reason[0]}. Try `apt-get update` first.")
        return done.stdout


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def unzip(name: str, content: bytes, wanted: set[str], keep: Callable[[str, bytes], None]) -> None:
    """Call keep(path, content) for each wanted path of a ZIP archive (game data, *.pk3) that it holds."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for path in archive.namelist():
                if path in wanted:
                    keep(path, archive.read(path))
    except zipfile.BadZipFile as error:
        raise DebianError(f"{name} is no readable ZIP archive") from error

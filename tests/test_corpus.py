"""The corpus command with a pretended Debian: what it says, fetches, keeps, resumes, and survives."""

import csv
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from diffvs.corpus import MANIFEST, Piece, main, plan_corpus, read_manifest
from diffvs.data.debian import LICENCE, Apt, DebianError

HEADER = "package,archive,path,seconds,sample_rate,channels,licence,voice_score_mean,voice_score_p90,use\n"
ROWS = (
    "plain,,usr/share/plain/a song.ogg,60,44100,2,MIT,0,0,yes\n"
    "plain,,usr/share/plain/sung.ogg,60,44100,2,MIT,0.9,0.9,no: voices\n"
    "zipped,usr/share/z/music.pk3,music/b.ogg,120,44100,2,GPL-2+,0,0,yes\n"
)
# As the packages name them: the SPDX names, and those of Debian.
FREE = {
    *("BSD-2-Clause", "MIT", "public-domain"),
    *("CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA", "CC-BY-SA-3.0", "CC-BY-SA-3.0+", "CC-BY-SA-4.0"),
    *("GPL", "GPL-2", "GPL-2+", "GPL-3", "GPL-3+"),
}


def zip_of(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"music/{name}.ogg", content)
    return buffer.getvalue()


class FakeApt(Apt):
    """Packages as dictionaries of files; counts downloads; fails for names in `broken`."""

    def __init__(self, broken=(), unknown=()):
        self.downloads, self.broken, self.unknown = [], set(broken), set(unknown)
        self.files = {
            "plain": {"usr/share/plain/a song.ogg": b"A", "usr/share/plain/sung.ogg": b"S"},
            "zipped": {"usr/share/z/music.pk3": zip_of(b=b"B", c=b"C")},
        }
        for package, files in self.files.items():
            files[LICENCE.format(package=package)] = f"licence of {package}".encode()

    def check(self):
        pass

    def sizes(self, packages):
        return {package: 2_000_000 for package in packages if package not in self.unknown}

    def download(self, package, folder):
        self.downloads.append(package)
        if package in self.broken:
            raise DebianError(f"{package}: connection lost")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{package}.deb").write_text(package)
        return folder / f"{package}.deb"

    def extract(self, deb, wanted, keep):
        for path, content in self.files[deb.stem].items():
            if path in wanted:
                keep(path, content)


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text(HEADER + ROWS)
    return path


def run(tmp_path, manifest, apt, *more):
    return main(["--out", str(tmp_path / "out"), "--manifest", str(manifest), *more], apt)


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_music_licences_and_lists_are_kept_and_nothing_else(tmp_path, manifest):
    assert run(tmp_path, manifest, FakeApt(), "--yes") == 0
    assert files_in(tmp_path / "out") == [
        "ATTRIBUTION.md",
        "corpus.csv",
        "licences/plain.copyright",
        "licences/zipped.copyright",
        "music/plain/usr/share/plain/a song.ogg",
        "music/zipped/music/b.ogg",
    ]
    assert (tmp_path / "out/music/zipped/music/b.ogg").read_bytes() == b"B"
    assert (tmp_path / "out/licences/plain.copyright").read_text() == "licence of plain"
    rows = list(csv.DictReader((tmp_path / "out/corpus.csv").read_text().splitlines()))
    assert [(row["file"], row["licence"]) for row in rows] == [
        ("music/plain/usr/share/plain/a song.ogg", "MIT"),
        ("music/zipped/music/b.ogg", "GPL-2+"),
    ]
    assert "| music/b.ogg | zipped | GPL-2+ |" in (tmp_path / "out/ATTRIBUTION.md").read_text()


def test_it_says_what_it_will_download_and_where_before_it_does(tmp_path, manifest, capsys, monkeypatch):
    monkeypatch.setattr("diffvs.corpus.Confirm.ask", lambda *_, **__: False)
    apt = FakeApt()
    assert run(tmp_path, manifest, apt) == 1
    said = capsys.readouterr().err
    assert "to download: 2 Debian packages, 4 MB" in said
    assert str(tmp_path / "out") in said
    assert "plain" in said
    assert apt.downloads == []
    assert not (tmp_path / "out").exists()


def test_a_second_run_downloads_nothing(tmp_path, manifest):
    run(tmp_path, manifest, FakeApt(), "--yes")
    apt = FakeApt()
    assert run(tmp_path, manifest, apt) == 0  # nothing to ask either
    assert apt.downloads == []


def test_a_lost_file_is_fetched_again(tmp_path, manifest):
    run(tmp_path, manifest, FakeApt(), "--yes")
    (tmp_path / "out/music/zipped/music/b.ogg").unlink()
    apt = FakeApt()
    assert run(tmp_path, manifest, apt, "--yes") == 0
    assert apt.downloads == ["zipped"]


def test_a_failed_package_leaves_the_others_and_is_fetched_next_time(tmp_path, manifest, capsys):
    assert run(tmp_path, manifest, FakeApt(broken=["plain"]), "--yes") == 3
    assert "plain left out: plain: connection lost" in capsys.readouterr().err
    assert (tmp_path / "out/music/zipped/music/b.ogg").is_file()
    again = FakeApt()
    assert run(tmp_path, manifest, again, "--yes") == 0
    assert again.downloads == ["plain"]


def test_a_downloaded_package_is_not_fetched_again_after_an_interruption(tmp_path, manifest, monkeypatch):
    apt = FakeApt()

    def interrupted(deb, wanted, keep):
        raise KeyboardInterrupt

    monkeypatch.setattr(apt, "extract", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, manifest, apt, "--yes")
    assert not (tmp_path / "out/music").exists()
    again = FakeApt()
    assert run(tmp_path, manifest, again, "--yes") == 0
    assert again.downloads == ["zipped"]


def test_a_half_written_file_is_never_taken_for_music(tmp_path, manifest, monkeypatch, capsys):
    real = Path.write_bytes

    def full_disk(path, content):
        real(path, content[:0])
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_disk)
        assert run(tmp_path, manifest, FakeApt(), "--yes") == 2
    assert "no space left" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.ogg*"))


def test_packages_that_apt_does_not_know_and_paths_that_moved_are_named(tmp_path, manifest, capsys):
    apt = FakeApt(unknown=["zipped"])
    del apt.files["plain"]["usr/share/plain/a song.ogg"]
    assert run(tmp_path, manifest, apt, "--yes") == 3
    said = capsys.readouterr().err
    assert "not offered by this system's apt: zipped" in said
    assert "plain: usr/share/plain/a song.ogg is not in the package" in said


def test_without_apt_it_says_what_to_do(tmp_path, manifest, capsys, monkeypatch):
    monkeypatch.setattr("diffvs.data.debian.shutil.which", lambda tool: None)
    assert run(tmp_path, manifest, Apt()) == 2
    said = capsys.readouterr().err
    assert "apt-get, apt-cache, dpkg-deb not found" in said
    assert "Run this on Debian" in said


def test_a_list_without_the_columns_is_refused(tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    assert run(tmp_path, tmp_path / "manifest.csv", FakeApt()) == 2
    assert "needs the columns" in capsys.readouterr().err


def test_the_plan_counts_what_is_missing(tmp_path, manifest):
    pieces = read_manifest(manifest)
    assert pieces[0] == Piece("plain", "", "usr/share/plain/a song.ogg", 60.0, "MIT")
    assert set(plan_corpus(pieces, tmp_path / "out", FakeApt()).missing) == {"plain", "zipped"}


def test_the_shipped_list_is_screened_and_free():
    pieces = read_manifest()
    assert MANIFEST.is_file()
    assert len({(piece.package, piece.path) for piece in pieces}) == len(pieces) == 482
    assert sum(piece.seconds for piece in pieces) / 3600 == pytest.approx(25.4, abs=0.05)
    assert {name for piece in pieces for name in piece.licence.split(" OR ")} <= FREE


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")


@needs_dpkg
def test_a_real_package_is_read_member_by_member(tmp_path):
    tree = tmp_path / "tree"
    for path, content in (
        (
            "DEBIAN/control",
            "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n",
        ),
        ("usr/share/p/a song.ogg", "music"),
        ("usr/share/p/other.ogg", "not wanted"),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    subprocess.run(["dpkg-deb", "-b", str(tree), str(tmp_path / "p.deb")], check=True, capture_output=True)
    kept = {}
    Apt().extract(tmp_path / "p.deb", {"usr/share/p/a song.ogg"}, kept.__setitem__)
    assert kept == {"usr/share/p/a song.ogg": b"music"}


@needs_dpkg
def test_a_broken_package_is_named_and_fetched_again(tmp_path, manifest, capsys):
    broken = FakeApt()
    broken.extract = Apt().extract  # what FakeApt downloads is no package
    assert run(tmp_path, manifest, broken, "--yes") == 3
    assert "plain.deb is no readable Debian package" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.deb"))


def test_a_broken_archive_in_a_package_is_named(tmp_path, manifest, capsys):
    apt = FakeApt()
    apt.files["zipped"]["usr/share/z/music.pk3"] = b"no zip"
    assert run(tmp_path, manifest, apt, "--yes") == 3
    assert "zipped left out: usr/share/z/music.pk3 is no readable ZIP archive" in capsys.readouterr().err


def test_apt_reads_sizes_and_names_a_failed_command(monkeypatch, tmp_path):
    shown = {"known": b"Package: known\nSize: 1234\nInstalled-Size: 9\n"}

    def pretended(command, **_):
        content = shown.get(command[-1], b"")
        return subprocess.CompletedProcess(
            command, 0 if content else 100, content, b"E: Unable to locate package"
        )

    monkeypatch.setattr(subprocess, "run", pretended)
    assert Apt().sizes(["known", "absent"]) == {"known": 1234}
    with pytest.raises(DebianError, match="Unable to locate package"):
        Apt().download("absent", tmp_path)
    assert list(tmp_path.iterdir()) == []

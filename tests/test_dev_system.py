"""What dev.py says when the machine lacks something: the right package, by the name its system gives it."""

from pathlib import Path

import pytest

from devtools import system


@pytest.mark.parametrize(
    ("os_release", "advice"),
    [
        ("ID=debian\n", "run: sudo apt-get install g++ libportaudio2"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "run: sudo apt-get install g++ libportaudio2"),
        ("ID=fedora\n", "run: sudo dnf install gcc-c++ portaudio"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\n', "run: sudo dnf install gcc-c++ portaudio"),
        ("ID=manjaro\nID_LIKE=arch\n", "run: sudo pacman -S gcc portaudio"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "run: sudo zypper install gcc-c++ libportaudio2"),
        ("ID=nixos\n", "install it with your package manager"),
    ],
)
def test_the_missing_package_is_named_as_the_system_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, os_release: str, advice: str
) -> None:
    (tmp_path / "os-release").write_text(os_release)
    family = system.linux_family(tmp_path / "os-release")
    monkeypatch.setattr(system.sys, "platform", "linux")
    monkeypatch.setattr(system, "linux_family", lambda: family)
    assert system.advice(["compiler", "portaudio"]) == advice


@pytest.mark.parametrize(("platform", "word"), [("darwin", "xcode-select --install"), ("win32", "winget")])
def test_so_it_is_elsewhere(monkeypatch: pytest.MonkeyPatch, platform: str, word: str) -> None:
    monkeypatch.setattr(system.sys, "platform", platform)
    assert word in system.advice(["compiler"])


def test_no_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "install", lambda needs: None)
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    monkeypatch.setattr(system.sys, "platform", "linux")
    with pytest.raises(
        system.SetupError, match="needs a C\\+\\+ compiler, which this machine does not have; "
    ):
        system.require(["compiler"])


def test_portaudio_is_only_suggested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "install", lambda needs: None)
    monkeypatch.setattr(system, "missing", lambda needs: needs)
    system.suggest("portaudio", without="no audio device can be opened")
    assert "PortAudio is not installed: no audio device can be opened; " in capsys.readouterr().out

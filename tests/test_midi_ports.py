"""The door to python-rtmidi, before a package that answers as the real one does."""

from __future__ import annotations

import sys

import pytest
from midi_rig import FakeTransport

import stream.live
from stream.control.midi import ports
from stream.control.midi.controllers import MidiPort
from stream.control.midi.ports import RtMidi, find_again, find_output, find_port, stable
from stream.control.parameters import ControlError


class Client:
    """MidiIn and MidiOut in one. Deleted, it is a dead pointer: any call would end the process."""

    def __init__(self, package: Package, api: int, name: str):
        if api not in package.ports:
            raise package.SystemError("MidiInAlsa::initialize: error creating ALSA sequencer client object.")
        self._package = package
        self._ports = package.ports[api]
        self.name = name
        self._api = api
        self.opened: list[object] = []
        self.messages: list[tuple[list[int], float]] = []
        self.sent: list[list[int]] = []
        self.alive = True
        package.clients.append(self)

    def get_ports(self):
        assert self.alive
        return list(self._ports)

    def open_port(self, number, name):
        if self.opened:
            raise self._package.InvalidUseError("already open")
        self.opened.append((number, name))

    def open_virtual_port(self, name):
        if self._package.windows:
            raise NotImplementedError
        self.opened.append(name)

    def get_message(self):
        return self.messages.pop(0) if self.messages else None

    def send_message(self, data):
        self.sent.append(list(data))

    def is_port_open(self):
        return bool(self.opened)

    def get_current_api(self):
        return self._api

    def close_port(self):
        assert self.alive
        self.opened.clear()

    def delete(self):
        assert self.alive
        self.alive = False


class Package:
    class RtMidiError(Exception):
        pass

    class SystemError(RtMidiError, OSError):
        pass

    class InvalidUseError(RtMidiError, OSError):
        pass

    API_UNIX_JACK = 3
    known = {"alsa": 2, "jack": API_UNIX_JACK}  # noqa: RUF012

    def __init__(self, windows: bool = False, **ports: list[str]):
        """The names at each system that answers."""
        self.windows = windows
        self.ports = {self.known[name]: names for name, names in ports.items()}
        self.clients: list[Client] = []
        self.MidiIn = self.MidiOut = lambda api, name: Client(self, api, name)

    def get_compiled_api(self):
        return list(self.known.values())

    def get_api_name(self, number):
        return {value: name for name, value in self.known.items()}[number]


@pytest.fixture
def install(monkeypatch):
    def install(**options):
        package = Package(**options)
        monkeypatch.setitem(sys.modules, "rtmidi", package)
        return package

    return install


@pytest.mark.parametrize("arguments", [["--list-midi"], ["--list-midi", "--midi-api", "alsa"]])
def test_a_missing_sequencer_is_said_with_advice(arguments, capsys, install):
    install()
    assert stream.live.main(arguments) == 2
    said = capsys.readouterr().err
    assert "alsa: MidiInAlsa::initialize: error creating ALSA sequencer client object" in said
    assert "sudo modprobe snd-seq" in said


def test_the_system_with_ports_is_taken(capsys, install):
    install(alsa=[], jack=["nano", "diffvs-midi-in:controls"])
    assert stream.live.main(["--list-midi"]) == 0
    assert capsys.readouterr().out.startswith("MIDI inputs (jack)\n    0  nano\nMIDI outputs")
    package = install(alsa=[])
    assert stream.live.main(["--list-midi"]) == 0
    assert "(alsa)" in capsys.readouterr().out
    assert not any(client.alive for client in package.clients)
    assert stream.live.main(["--list-midi", "--midi-api", "core"]) == 2
    assert "no MIDI system 'core'; it has alsa, jack" in capsys.readouterr().err


def test_messages_go_in_and_out_of_the_port_that_was_asked_for(install):
    package = install(alsa=["Midi Through 14:0", "nano 24:0"])
    port = MidiPort(RtMidi("alsa"), "nano")
    source, sink = package.clients[-2:]
    assert (source.name, source.opened) == ("diffvs-midi-in", [(1, "controls")])
    assert (sink.name, sink.opened) == ("diffvs-midi-out", [(1, "lights")])
    source.messages += [([0xB0, 7, 1], 0.0), ([0xB0], 0.1), ([7, 2], 0.0)]
    messages = port.receive()
    assert [message.value for message in messages] == [1, 2]
    port.send(messages)
    assert sink.sent == [[0xB0, 7, 1], [0xB0, 7, 2]]
    port.close()
    port.close()
    assert not source.alive
    assert not sink.alive


def test_a_port_that_comes_back_is_opened_by_the_same_clients(install):
    package = install(alsa=["nano 24:0"])
    port = MidiPort(RtMidi("alsa"), "nano")
    made = len(package.clients)
    package.ports[2][:] = []
    assert port.look()
    package.ports[2][:] = ["x", "nano 28:0"]
    assert port.look()
    assert package.clients[-2].opened == [(1, "controls")]
    assert package.clients[-1].opened == [(1, "lights")]
    assert len(package.clients) == made


def test_only_jack_is_given_time_before_a_port_goes(install, monkeypatch):
    package = install(alsa=["nano"], jack=["nano"])
    pauses = []
    monkeypatch.setattr(ports.time, "sleep", lambda s: pauses.append((s, len(package.clients[-2].opened))))
    MidiPort(RtMidi("alsa"), "nano").close()
    assert pauses == []
    port = MidiPort(RtMidi("jack"), "nano")
    assert pauses == []  # nothing was open yet
    port.close()
    assert pauses == [(ports.SETTLE_S, 1), (ports.SETTLE_S, 0)]  # the input, still open, then the output


def test_virtual_ports_are_refused_where_there_are_none(install):
    package = install(alsa=[], windows=True)
    with pytest.raises(ControlError, match=r"Windows has no virtual MIDI ports.*loopMIDI"):
        MidiPort(RtMidi(), "virtual")
    assert not any(client.alive for client in package.clients)
    package = install(alsa=[])
    MidiPort(RtMidi(), "virtual")
    assert [client.opened for client in package.clients[-2:]] == [["controls"], ["lights"]]


def test_a_system_that_dies_meanwhile_is_said(install):
    package = install(alsa=["nano"])
    transport = RtMidi()
    package.ports.clear()
    with pytest.raises(ControlError, match="error creating ALSA sequencer client"):
        MidiPort(transport, "nano")


def test_a_port_that_will_not_open_is_said(install, monkeypatch):
    package = install(alsa=["nano"])

    def busy(self, number, name):
        raise package.SystemError("MidiInWinMM::openPort: error creating Windows MM MIDI input port")

    monkeypatch.setattr(Client, "open_port", busy)
    with pytest.raises(ControlError, match="MIDI port nano cannot be opened: MidiInWinMM::openPort"):
        MidiPort(RtMidi(), "nano")
    assert not any(client.alive for client in package.clients)


NANO = "nanoKONTROL2:nanoKONTROL2 MIDI 1 24:0"
NANO_LATER = "nanoKONTROL2:nanoKONTROL2 MIDI 1 28:0"
PORTS = ["Midi Through 14:0", NANO, "Launchpad LPMiniMK3 DAW", "Launchpad LPMiniMK3 MIDI"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            "9",
            "there is no MIDI input 9; choose one of these, or virtual:\n    0  Midi Through 14:0\n    1  na",
        ),
        ("lpd8", "no MIDI input has 'lpd8' in its name; choose one of these"),
        ("launchpad", "'launchpad' fits 2 MIDI inputs, give one number:"),
        ("", "no MIDI input has ''"),
    ],
)
def test_an_unknown_port_is_refused_with_the_list(wanted, words):
    with pytest.raises(ControlError) as refusal:
        MidiPort(FakeTransport(PORTS), wanted)
    assert words in str(refusal.value)
    assert "Launchpad LPMiniMK3 MIDI" in str(refusal.value)


def test_no_port_at_all_is_said():
    with pytest.raises(ControlError, match=r"\(no MIDI port was found\)"):
        find_port([], "nano")


def test_ports_are_found_by_number_name_and_words():
    assert find_port(PORTS, "1") == NANO
    assert find_port(PORTS, "launchpad midi") == "Launchpad LPMiniMK3 MIDI"
    assert find_port(["LPD8", "LPD8 two"], "lpd8") == "LPD8"
    assert find_again(["x", NANO_LATER], NANO) == NANO_LATER
    assert find_again([NANO_LATER, NANO], NANO) == NANO
    assert find_again(["Launchpad"], NANO) is None
    assert stable("nanoKONTROL2 1") == stable("nanoKONTROL2 2") == "nanoKONTROL2"  # Windows
    assert stable("a2j:LPD8 [20] (capture): LPD8 MIDI 1") == "a2j:LPD8 (capture): LPD8 MIDI"


@pytest.mark.parametrize(
    ("outputs", "wanted", "found"),
    [
        (["x", NANO], "1", NANO),
        (["nanoKONTROL2:nanoKONTROL2 MIDI 1 99:0"], "1", "nanoKONTROL2:nanoKONTROL2 MIDI 1 99:0"),
        (["lights of nano"], "nano", "lights of nano"),
        (["lights of nano"], "1", None),
        (["nano a", "nano b"], "nano", None),
        ([], "nano", None),
    ],
)
def test_the_output_is_the_one_that_belongs_to_the_input(outputs, wanted, found):
    assert find_output(outputs, wanted, NANO) == found

"""MIDI's bytes: what is understood, and that nothing else does harm."""

import random

import pytest

from stream.control.midi.messages import Decoder, Message

NOTE = Message("note", 1, 60, 100)
CC = Message("cc", 16, 7, 127)


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ([0x90, 60, 100], [NOTE]),
        ([0x80, 60, 64], [Message("note", 1, 60, 0)]),
        ([0x90, 60, 0], [Message("note", 1, 60, 0)]),
        ([0xBF, 7, 127], [CC]),
        ([0xC3, 5], [Message("programme", 4, 5)]),
        ([0x90, 60, 100, 61, 50], [NOTE, Message("note", 1, 61, 50)]),
        ([0xC0, 1, 2], [Message("programme", 1, 1), Message("programme", 1, 2)]),
        ([0x90, 0xF8, 60, 0xFE, 100], [NOTE]),
        ([0xF0, 0x7E, 60, 100, 0xF7, 0xBF, 7, 127], [CC]),
        ([0xF0, 0x7E, 60, 0xBF, 7, 127], [CC]),
        ([0xBF, 7, 127, 0xF1, 10, 60, 100], [CC]),
        ([60, 100, 0xBF, 7, 127], [CC]),
        ([0x90, 60, 0xBF, 7, 127], [CC]),
        ([0xE0, 0, 64, 0xA0, 60, 1, 0xD0, 9, 0xBF, 7, 127], [CC]),
        ([], []),
        ([0xBF], []),
        ([0xBF, 7, 128, 127], []),
        ([0x90, 60, 300, 100, -1, None, "x", 2.5], []),
    ],
    ids=[
        "note on",
        "note off",
        "velocity 0 is off",
        "control change",
        "programme change",
        "running status",
        "running status of two bytes",
        "real time in between",
        "system exclusive",
        "system exclusive cut off",
        "system common ends running status",
        "data before any status",
        "half a message",
        "pressure and bend are passed over",
        "nothing",
        "a status alone",
        "a status where data should be",
        "not bytes",
    ],
)
def test_bytes_mean_what_midi_says(data, messages):
    assert Decoder().feed(data) == messages


def test_pieces_of_any_size_give_the_same():
    generator = random.Random(0)
    data = [0x90, 60, 100, 61, 0xF8, 50, 0xBF, 7, 127, 0xF0, 1, 2, 0xF7, 0xC3, 5, 6, 0x80, 60, 64]
    whole = Decoder().feed(data)
    assert len(whole) == 6
    for _ in range(100):
        decoder, found, rest = Decoder(), [], list(data)
        while rest:
            size = generator.randint(0, 4)
            found += decoder.feed(rest[:size])
            rest = rest[size:]
        assert found == whole


def test_rubbish_never_raises_and_gives_only_what_can_be():
    generator = random.Random(1)
    decoder = Decoder()
    for _ in range(2_000):
        for message in decoder.feed([generator.randint(-3, 260) for _ in range(generator.randint(0, 9))]):
            assert 1 <= message.channel <= 16
            assert 0 <= message.number <= 127
            assert 0 <= message.value <= 127
    decoder.feed([0xF7])
    assert decoder.feed([0xBF, 7, 127]) == [CC]


@pytest.mark.parametrize("message", [NOTE, CC, Message("programme", 3, 9), Message("note", 1, 60, 0)])
def test_what_is_sent_reads_back(message):
    assert Decoder().feed(message.bytes) == [message]

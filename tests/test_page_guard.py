"""Who may come in to the control page, and what may be said to it."""

from __future__ import annotations

import pytest

from stream.control.page.address import address, announcement, is_this_machine
from stream.control.page.guard import FORGIVEN_S, TRIES, Allowance, Guard
from stream.control.page.messages import MessageError, parse


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8470", True),
        ("127.0.0.1", "localhost:8470", True),
        ("127.0.0.1", "[::1]:8470", True),
        ("127.0.0.1", "127.0.0.1:8471", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "evil.example:8470", False),  # a name that was made to point here
        ("127.0.0.1", "192.168.1.5:8470", False),
        ("127.0.0.1", "127.0.0.1.evil.example:8470", False),
        ("127.0.0.1", "localhost:8470@evil.example", False),
        ("127.0.0.1", "user@localhost:8470", False),
        ("127.0.0.1", "localhost:8470/x", False),
        ("127.0.0.1", "[fe80::1%x]:8470", False),
        ("127.0.0.1", "[:8470", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "192.168.1.5:8470", True),
        ("0.0.0.0", "evil.example:8470", False),
        ("stage.example", "stage.example:8470", True),
    ],
)
def test_only_names_of_this_machine_are_answered(bound, host, known):
    assert Guard(bound, 8470, "").knows_host(host) is known


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1:8470", ""])
def test_only_the_page_itself_may_open_a_socket(origin):
    guard = Guard("127.0.0.1", 8470, "")
    assert not guard.is_own_origin(origin, "127.0.0.1:8470")
    assert guard.is_own_origin("http://127.0.0.1:8470", "127.0.0.1:8470")


@pytest.mark.parametrize("token", ["", "secre", "secret ", "ſecret", None, 7, ["secret"]])
def test_no_other_token_opens(token):
    guard = Guard("0.0.0.0", 8470, "secret")
    assert not guard.accepts(token, "192.168.1.7")
    assert guard.accepts("secret", "192.168.1.7")


def test_who_guesses_is_shut_out_for_a_while_and_nobody_else():
    clock = Clock()
    guard = Guard("0.0.0.0", 8470, "secret", clock)
    for _ in range(TRIES):
        assert not guard.accepts("guess", "192.168.1.7")
    assert not guard.accepts("secret", "192.168.1.7")
    assert guard.accepts("secret", "192.168.1.8")
    clock.now_s += FORGIVEN_S
    assert guard.accepts("secret", "192.168.1.7")


def test_an_allowance_refills_with_time():
    clock = Clock()
    allowance = Allowance(rate=10, burst=3, clock=clock)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    clock.now_s += 0.1
    assert [allowance.take() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"set"',
        "{}",
        '{"type": "reboot"}',
        '{"type": ["set"]}',
        '{"type": "set", "values": {"vocals": NaN}, "number": 0}',
        '{"type": "set", "values": {"vocals": [1]}, "number": 0}',
        '{"type": "set", "values": {"vocals": {}}, "number": 0}',
        '{"type": "set", "values": {"volume": 1}, "number": 0}',
        '{"type": "set", "values": {}, "number": 0}',
        '{"type": "set", "values": {"vocals": 1}}',
        '{"type": "set", "values": {"vocals": 1}, "number": true}',
        '{"type": "set", "values": {"vocals": 1}, "number": -1}',
        '{"type": "hold", "on": 1}',
        '{"type": "save"}',
        '{"type": "save", "preset": 5}',
        '{"type": "save", "preset": "a\\nb"}',
        f'{{"type": "recall", "preset": "{61 * "x"}"}}',
        '{"type": "hello", "token": {}}',
        "[" * 2_000,
    ],
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(MessageError):
        parse(text)


def test_messages_keep_what_belongs_to_them_only():
    said = '{"type": "set", "values": {"vocals": 0.5, "bypass": true}, "number": 3, "client": "other"}'
    assert parse(said) == {"type": "set", "values": {"vocals": 0.5, "bypass": True}, "number": 3}
    assert parse('{"type": "hold", "on": true, "what": 1}') == {"type": "hold", "on": True}
    assert parse('{"type": "save", "preset": "Größe"}') == {"type": "save", "preset": "Größe"}


def test_addresses():
    assert address("127.0.0.1", 8470, "") == "http://127.0.0.1:8470/"
    assert address("::1", 8470, "") == "http://[::1]:8470/"
    assert address("192.168.1.5", 8470, "abc") == "http://192.168.1.5:8470/#abc"
    assert "0.0.0.0" not in address("0.0.0.0", 8470, "abc")
    assert [is_this_machine(host) for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9")] == [True] * 4
    assert not any(is_this_machine(host) for host in ("0.0.0.0", "192.168.1.5", "stage", ""))


def test_an_address_for_the_network_is_announced_with_its_code():
    pytest.importorskip("segno")
    said = announcement("192.168.1.5", 8470, "abc")
    assert "http://192.168.1.5:8470/#abc" in said
    assert "█" in said
    assert announcement("127.0.0.1", 8470, "") == "control page: http://127.0.0.1:8470/"

"""What a browser may send: checked here before it goes anywhere.

{"type": "hello", "token": TEXT}
{"type": "set", "values": {NAME: VALUE, ...}, "number": N}    N counts a client's changes
{"type": "hold", "on": BOOLEAN}                               again twice a second while held
{"type": "reload"}                                            the model's file
{"type": "recall" | "save" | "delete", "preset": NAME}
"""

from __future__ import annotations

import json
from typing import Any

from stream.control.page.link import Message
from stream.control.parameters import PARAMETERS

MOST_BYTES = 2_048
LONGEST_NAME = 60
PRESET_VERBS = {"recall", "save", "delete"}


class MessageError(ValueError):
    """What came is no message of ours; the text says what is wrong."""


def parse(text: str) -> Message:
    """A message with its fields checked. Raises MessageError."""
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MessageError("this is not JSON") from None
    if not isinstance(message, dict):
        raise MessageError("a message is an object")
    kind = str(message.get("type"))
    if kind == "hello":
        return {"type": kind, "token": _text(message.get("token", ""), "token", 200)}
    if kind == "set":
        return {"type": kind, "values": _values(message.get("values")), "number": _number(message)}
    if kind == "hold":
        if not isinstance(message.get("on"), bool):
            raise MessageError("on is true or false")
        return {"type": kind, "on": message["on"]}
    if kind == "reload":
        return {"type": kind}
    if kind in PRESET_VERBS:
        return {"type": kind, "preset": _text(message.get("preset"), "preset", LONGEST_NAME)}
    raise MessageError("there is no message of this type")


def _values(values: Any) -> dict[str, float | bool | str]:
    if not isinstance(values, dict) or not values:
        raise MessageError("values is an object with at least one parameter")
    for name, value in values.items():
        if name not in PARAMETERS:
            raise MessageError("values names a parameter that does not exist")
        if not isinstance(value, (bool, int, float, str)):
            raise MessageError(f"{name} is a number, a text, true or false")
    return values


def _number(message: Message) -> int:
    number = message.get("number")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
        raise MessageError("number counts the changes, from 0")
    return number


def _text(text: Any, name: str, longest: int) -> str:
    if not isinstance(text, str) or len(text) > longest or not text.isprintable():
        raise MessageError(f"{name} is a text of at most {longest} characters")
    return text


def _refuse_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity, which JSON does not have

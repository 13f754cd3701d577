"""Frames between the two processes: a message as JSON, and raw bytes after it."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

Message = dict[str, Any]

_SIZES = struct.Struct("<II")  # of the message and of the bytes
MOST_BYTES = 1 << 24  # of either: what is longer is no frame


def write_frame(stream: IO[bytes], message: Message, payload: bytes = b"") -> None:
    """Waits while the pipe is full. Raises OSError when nobody reads any more."""
    text = json.dumps(message).encode()
    stream.write(_SIZES.pack(len(text), len(payload)) + text + payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[Message, bytes] | None:
    """The next frame, or None at the end. Raises ValueError for what is none."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    text_size, payload_size = _SIZES.unpack(sizes)
    if max(text_size, payload_size) > MOST_BYTES:
        raise ValueError(f"a frame of {text_size} and {payload_size} bytes cannot be")
    text, payload = stream.read(text_size), stream.read(payload_size)
    if len(text) < text_size or len(payload) < payload_size:
        return None  # whoever wrote it died on the way
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError(f"a frame holds {type(message).__name__}, not an object")
    return message, payload

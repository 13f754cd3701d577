"""What the session's process sends, as the browsers get it: messages as they are, audio as pictures."""

from __future__ import annotations

import numpy as np

from stream.control.page.hub import Hub
from stream.control.page.link import Message
from stream.control.page.spectrogram import Spectrogram


class Show:
    """[page]"""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._spectrogram: Spectrogram | None = None

    def hear(self, message: Message, audio: bytes) -> None:
        rate = message.pop("picture_rate", None)
        self._hub.hear(message)
        if audio and rate:
            self._draw(int(rate), audio)

    def _draw(self, rate: int, audio: bytes) -> None:
        if self._spectrogram is None or self._spectrogram.sample_rate != rate:
            self._spectrogram = Spectrogram(rate)
        columns = self._spectrogram.feed(np.frombuffer(audio, np.float32).reshape(2, -1))
        if len(columns):
            self._hub.show(columns.tobytes())

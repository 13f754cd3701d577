"""What the page is told: values when they change, and meters and audio while somebody is looking.

The worker's tap copies into a deque of fixed length and goes on. One thread of its own takes from there and
writes into the pipe: when the page's process stalls, that thread waits and what is old is forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream.control.page.link import Message, write_frame
from stream.control.page.report import about, facts, figures
from stream.separation.separator import Audio

if TYPE_CHECKING:
    from stream.control.presets import Presets
    from stream.session import Session

PERIOD_S = 0.05  # between two looks at the meters
FACTS_S = 1.0  # ... at what seldom changes
BREATH_S = 0.01  # between two changes of values: a fader moves by many a second
KEPT_STRETCHES = 64  # of audio, about 1.5 s of hops of 1,024 samples
PICTURE_RATE = 40_000  # Hz; at twice this rate and more, samples are averaged for the spectrograms

logger = logging.getLogger(__name__)


class Tap:
    """[worker] called with each stretch of audio   [feed] take()"""

    def __init__(self) -> None:
        self.open = False
        self._stretches: deque[tuple[Audio, Audio]] = deque(maxlen=KEPT_STRETCHES)

    def __call__(self, mixture: Audio, vocals: Audio) -> None:
        if self.open:
            self._stretches.append((mixture.copy(), vocals.copy()))

    def take(self, sample_rate: int) -> tuple[int, NDArray[np.float32]]:
        """What came since the last time: its sample rate, and (2, samples), mixture and vocals in mono."""
        taken = [self._stretches.popleft() for _ in range(len(self._stretches))]
        if not taken:
            return sample_rate, np.zeros((2, 0), np.float32)
        mono = np.stack([np.concatenate(part).mean(axis=1) for part in zip(*taken, strict=True)])
        step = max(1, sample_rate // PICTURE_RATE)
        whole = mono.shape[1] // step * step
        thinned = mono[:, :whole].reshape(2, -1, step).mean(axis=2, dtype=np.float32)
        return sample_rate // step, thinned


class Feed:
    """[control] start and close; `changed`, `acknowledge`, `refuse` and `watch` from any thread."""

    def __init__(self, pipe: IO[bytes], session: Session, presets: Presets | None):
        self.tap = Tap()
        self._pipe = pipe
        self._session = session
        self._presets = presets
        self._wake = threading.Event()
        self._closing = False
        self._values_are_new = self._facts_are_due = True
        self._acknowledged: dict[str, int] = {}
        self._refusals: deque[Message] = deque(maxlen=100)
        self._last_facts: Message = {}
        self._thread = threading.Thread(target=self._run, name="control page feed", daemon=True)

    def start(self) -> None:
        self._unsubscribe: Callable[[], None] = self._session.controls.subscribe(lambda *_: self.changed())
        self._session.taps = (*self._session.taps, self.tap)
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Says that this is the end; False when the page takes nothing any more."""
        self.tap.open = False
        self._session.taps = tuple(tap for tap in self._session.taps if tap is not self.tap)
        self._unsubscribe()
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def changed(self) -> None:
        self._values_are_new = True
        self._wake.set()

    def acknowledge(self, client: str, number: int) -> None:
        """What this client sent up to `number` is in the values, or was refused."""
        self._acknowledged[client] = number
        self.changed()

    def refuse(self, client: str, text: str) -> None:
        self._refusals.append({"type": "refused", "client": client, "text": text})
        self._wake.set()

    def refresh(self) -> None:
        """Looks at what seldom changes now: it has."""
        self._facts_are_due = True
        self._wake.set()

    def watch(self, clients: list[str]) -> None:
        """Who is looking: with nobody there, nothing but values is sent."""
        self.tap.open = bool(clients)
        for gone in self._acknowledged.keys() - set(clients):
            self._acknowledged.pop(gone, None)
        self._wake.set()

    def _run(self) -> None:
        try:
            write_frame(self._pipe, about(self._session))
            next_s = next_facts_s = time.monotonic()
            while not self._closing:
                self._wake.wait(max(0.0, next_s - time.monotonic()) if self.tap.open else FACTS_S)
                if self._wake.is_set():
                    self._wake.clear()
                    self._send_values()
                    time.sleep(BREATH_S)
                now_s = time.monotonic()
                if self._facts_are_due or now_s >= next_facts_s:
                    self._facts_are_due = False
                    self._send_facts()
                    next_facts_s = now_s + FACTS_S
                if self.tap.open and now_s >= next_s:
                    self._send_figures()
                    next_s = max(next_s + PERIOD_S, now_s)
            write_frame(self._pipe, {"type": "end"})
        except OSError:
            self.tap.open = False  # the page's process is gone; whoever reads from it says so
        except Exception:
            logger.exception("the control page is not told any more")

    def _send_values(self) -> None:
        if self._values_are_new:
            self._values_are_new = False
            acknowledged = dict(self._acknowledged)  # before the values: these hold at least that
            values = self._session.controls.snapshot()
            write_frame(self._pipe, {"type": "values", "values": values, "acknowledged": acknowledged})
        while self._refusals:
            write_frame(self._pipe, self._refusals.popleft())

    def _send_facts(self) -> None:
        now: dict[str, Any] = facts(self._session, self._presets)
        if now != self._last_facts:
            self._last_facts = now
            write_frame(self._pipe, now)

    def _send_figures(self) -> None:
        now = figures(self._session)
        now["picture_rate"], audio = self.tap.take(now["sample_rate"])
        write_frame(self._pipe, now, audio.tobytes())

"""`python -m stream.live` with a session of straw: real terminal, real keys and signals, no audio.

    python keyboard_rig.py HOW [options of stream.live]

HOW is "run", "raise" (the session fails after a second) or "hang" (it does not end when asked).
At the end it prints the controls that differ from the start.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import math
import os
import sys
import termios
import threading
import time
from dataclasses import replace

import snapshots
from snapshots import BUDGET

import stream.live
from stream.control.controls import Controls

STATS = replace(
    snapshots.STATS,
    position=0,
    separator="diffvs-live on cpu, 2 steps",
    peak_output=0.25,
    peak_vocals=0.1,
)


class StrawSession:
    """As much of Session as stream.live uses."""

    how = "run"
    title, model, without_model, notice = "USB to USB: 2 channels at 44100 Hz", "diffvs-live", False, ""

    def __init__(self, options):
        self.controls = Controls(options.controls("karaoke"))
        self._begun = self.controls.snapshot()
        self._stopping = threading.Event()
        self._stop_s = 0.0

    def start(self): ...

    def budget(self):
        return BUDGET

    def stats(self, reader=""):
        return STATS

    def stop(self):
        if self._stopping.is_set() and time.monotonic() - self._stop_s > 0.2:
            os._exit(130)
        if not self._stopping.is_set():
            self._stop_s = time.monotonic()
        self._stopping.set()

    def run(self, display):
        for tick in itertools.count():
            if self._stopping.wait(0.05) and self.how != "hang":
                return "stopped"
            if tick == 20 and self.how == "raise":
                raise RuntimeError("the session has failed")
            if not self._stopping.is_set():
                swing = abs(math.sin(tick / 10))
                stats = replace(STATS, position=2_205 * tick, peak_input=swing, peak_vocals=0.3 * swing)
                display.show(stats, self.controls)
            elif self.how == "hang":
                time.sleep(0.05)
        return "stopped"

    def close(self):
        now = self.controls.snapshot()
        with contextlib.suppress(OSError):
            print("moved", {name: now[name] for name in now if now[name] != self._begun[name]}, flush=True)
        return True


if __name__ == "__main__":
    if os.environ.get("RIG_TAKES_TERMINAL"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    StrawSession.how = sys.argv[1]
    stream.live.Session = StrawSession
    stream.live._conclude = lambda session: print("concluded", flush=True)
    code = stream.live.main(sys.argv[2:])
    stream.live.let_go_of_stdout()
    sys.exit(code)

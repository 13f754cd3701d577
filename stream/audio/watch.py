"""Watch: whether the device still plays, judged by what is seen of it at every look.

It ends its stream when it is unplugged; some drivers only fall silent instead. A system that was suspended
looks just like that, and mostly plays on by itself: so after a suspension a device has its time again.

[control] all of it
"""

from __future__ import annotations

from typing import Literal

STALL_S = 5.0  # without a single block, a device counts as gone
SUSPENDED_S = 2.0  # a look that comes so much too late tells of a suspension

Event = Literal["plays", "suspended", "lost"]


class Watch:
    """`now_s` is a steady clock, which some systems stop while suspended; `wall_s` the time of day."""

    def __init__(self, *, now_s: float, wall_s: float):
        self._now_s, self._wall_s = now_s, wall_s
        self._position = -1
        self._moved_s = now_s
        self.away_s = 0.0  # how long the last suspension was

    def look(self, *, active: bool, position: int, now_s: float, wall_s: float) -> Event:
        """Position counts the samples played. To be called several times a second."""
        passed_s = max(now_s - self._now_s, wall_s - self._wall_s)
        self._now_s, self._wall_s = now_s, wall_s
        moved, self._position = position != self._position, position
        if moved:
            self._moved_s = now_s
        if not active:
            return "lost"
        if passed_s > SUSPENDED_S and not moved:
            self.away_s, self._moved_s = passed_s, now_s
            return "suspended"
        return "lost" if now_s - self._moved_s > STALL_S else "plays"

"""A queue of samples inside one thread: blocks of one size in, blocks of another out."""

from __future__ import annotations

import numpy as np

from stream.separation.separator import Audio


class SampleFifo:
    """Holds up to `capacity` samples of `channels` channels, oldest first, in one piece of memory."""

    def __init__(self, capacity: int, channels: int):
        self._values: Audio = np.zeros((capacity, channels), np.float32)
        self._begin = self._end = 0

    def __len__(self) -> int:
        return self._end - self._begin

    def clear(self) -> None:
        self._begin = self._end = 0

    def free(self, samples: int) -> Audio:
        """Room for `samples` more, (samples, channels), to be filled in place and announced by `grow`.

        Raises OverflowError when the queue cannot hold them.
        """
        if self._end + samples > len(self._values):
            waiting = self._values[self._begin : self._end].copy()
            self._begin, self._end = 0, len(waiting)
            self._values[: self._end] = waiting
        if self._end + samples > len(self._values):
            raise OverflowError(
                f"the queue holds {len(self)} of {len(self._values)} samples: no room for {samples}"
            )
        return self._values[self._end : self._end + samples]

    def grow(self, samples: int) -> None:
        self._end += samples

    def push(self, block: Audio) -> None:
        self.free(len(block))[:] = block
        self.grow(len(block))

    def pop(self, samples: int) -> Audio:
        """The oldest `samples` samples, valid until the next call of `free` or `push`."""
        if samples > len(self):
            raise IndexError(f"the queue holds {len(self)} samples, fewer than {samples}")
        self._begin += samples
        return self._values[self._begin - samples : self._begin]

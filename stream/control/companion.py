"""What runs beside a live session: a way in for controls, or something that watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stream.session import Session


class Companion(Protocol):
    """[control] Made before the session opens, and refuses there what cannot be; then start, and close.

    A companion that fails later says so by `logging` and leaves the music alone.
    """

    def start(self, session: Session) -> None:
        """The session is running. Must return soon."""

    def close(self) -> None:
        """Must return soon; also called when `start` was not."""

"""What the page asks for: read from the pipe, carried out on the controls. [wishes] a thread of its own"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stream.control.page.link import Message
from stream.control.parameters import ControlError

if TYPE_CHECKING:
    from stream.control.page.feed import Feed
    from stream.control.presets import Presets
    from stream.session import Session

SOURCE = "control page"

logger = logging.getLogger(__name__)


class Wishes:
    """Carries out one message at a time. Whatever a message holds, it raises nothing."""

    def __init__(self, session: Session, presets: Presets | None, feed: Feed):
        self._session = session
        self._controls = session.controls
        self._presets = presets
        self._feed = feed
        self._holds = False  # the page has muted the vocals, and will let go

    def carry_out(self, message: Message) -> None:
        client = str(message.get("client", ""))
        try:
            self._do(str(message.get("type")), message)
        except ControlError as error:
            self._feed.refuse(client, str(error))
        except Exception:
            logger.exception("the control page asked for %s", message)
            self._feed.refuse(client, "that did not work; the terminal says why")
        number = message.get("number")
        if isinstance(number, int):
            self._feed.acknowledge(client, number)

    def let_go(self) -> None:
        """As if every hand had left the page."""
        if self._holds:
            self._hold(False)

    def _do(self, kind: str, message: Message) -> None:
        verbs: dict[str, Callable[[Any], None]] = {
            "set": lambda values: self._controls.apply(dict(values), SOURCE),
            "hold": lambda on: self._hold(bool(on)),
            "recall": lambda name: self._preset("recall", name),
            "save": lambda name: self._preset("save", name),
            "delete": lambda name: self._preset("delete", name),
            "reload": lambda _: self._reload(),
            "watched": self._feed.watch,
        }
        if kind not in verbs:
            raise ControlError(f"the page cannot ask for {kind!r}")
        verbs[kind](message.get("what"))

    def _hold(self, on: bool) -> None:
        self._holds = on
        self._controls.set("mute", on, SOURCE)

    def _reload(self) -> None:
        if not self._session.reload():
            raise ControlError("the model is being loaded already")

    def _preset(self, verb: str, name: Any) -> None:
        if self._presets is None:
            raise ControlError("this session has no presets")
        if verb == "recall":
            self._presets.recall(str(name), SOURCE)
        elif not (self._presets.save if verb == "save" else self._presets.delete)(str(name)):
            raise ControlError("the settings cannot be written: this lasts as long as the session")
        self._feed.refresh()

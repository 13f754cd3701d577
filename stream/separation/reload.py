"""Reloader: takes a model file anew while its session plays, or says why not."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream.separation.exchange import Exchange
from stream.separation.separator import ModelError, Separator

LOOK_S = 0.05


class Reloader:
    """`load` makes a separator or raises ModelError; `revive` is called when the running one may be dead.

    [any] reload()   the rest runs on a thread of its own
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        load: Callable[[], Separator],
        revive: Callable[[], None],
        say: Callable[[str], None],
    ):
        self._exchange, self._load, self._revive, self._say = exchange, load, revive, say
        self._busy = threading.Lock()
        self._stop = threading.Event()

    def reload(self) -> bool:
        """Begins, and returns at once; False while an earlier one is still under way."""
        if not self._busy.acquire(blocking=False):
            return False
        threading.Thread(target=self._run, name="reload", daemon=True).start()
        return True

    def stop(self) -> None:
        """Nothing more will be said."""
        self._stop.set()

    def _run(self) -> None:
        try:
            self._exchange.replace(self._load())
            self._revive()
            while self._exchange.changing and not self._stop.wait(LOOK_S):
                pass
            problem = self._exchange.error
        except ModelError as error:
            problem = str(error)
        except Exception as error:  # whatever a broken file makes a library throw
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._busy.release()
        if not self._stop.is_set():
            running = self._exchange.status
            self._say(
                f"the new model is not used, {running} plays on: {problem}"
                if problem
                else f"the model was loaded anew: {running}"
            )

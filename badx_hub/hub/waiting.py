"""How long a Hub is waited for: the user is told after some seconds, and after more of them it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

TELL_AFTER = 10.0
"""Seconds of waiting after which the user is told."""

# Tests put a clock of their own in place of these two.
now = time.monotonic
Timer = threading.Timer

_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_CURRENT: ContextVar[Patience | None] = ContextVar("patience", default=None)
_RUNNING: set[Patience] = set()


class Patience:
    """For one call, which may be several requests: how many seconds it may take, and when it was last heard of.

    `limit` None has no end. `doing` begins the sentence that tells of the waiting.
    """

    def __init__(self, doing: str, limit: float | None) -> None:
        self.doing = doing
        self.limit = limit
        self.told = False
        self._since = now()
        self._timer = Timer(TELL_AFTER, self._tell)
        self._timer.daemon = True

    @property
    def left(self) -> float | None:
        """The seconds that are left, 0 at the least; None where there is no limit."""
        return None if self.limit is None else max(0.0, self.limit - (now() - self._since))

    def heard(self) -> None:
        """Something arrived of what may take long: the seconds are counted from here."""
        self._since = now()
        self._timer.cancel()

    def _tell(self) -> None:
        with _LOCK:  # of several that wait at once, one tells
            if any(one.told for one in _RUNNING):
                return
            self.told = True
        _LOG.warning("%s: no answer for %.0f s. Still waiting; Ctrl-C stops it.", self.doing, TELL_AFTER)

    def start(self) -> None:
        """Begin to wait."""
        _RUNNING.add(self)
        self._timer.start()

    def stop(self) -> None:
        """It is over."""
        self._timer.cancel()
        _RUNNING.discard(self)


def current() -> Patience | None:
    """That of the call that is made now, if it has any."""
    return _CURRENT.get()


@contextmanager
def waiting(doing: str, limit: float | None) -> Iterator[Patience]:
    """The requests of the block are one call that may take `limit` seconds."""
    patience = Patience(doing, limit)
    token = _CURRENT.set(patience)
    patience.start()
    try:
        yield patience
    finally:
        patience.stop()
        _CURRENT.reset(token)

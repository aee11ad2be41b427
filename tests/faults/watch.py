"""The events at which a process can be stopped: each change of a file or folder in the world, each act on the network.

They are what `sys.addaudithook` tells, and `fsync`. A file that is opened for writing counts twice: a process may die
before it, and with a file of nothing behind it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHANGES = frozenset(
    (
        *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
        *("os.utime", "os.truncate", "os.chmod", "shutil.rmtree", "fcntl.flock"),
    )
)
_NETWORK = frozenset(("socket.connect", "http.client.send"))
_REFUSED = {
    errno.ENOSPC: frozenset(("open", "os.mkdir", "os.link", "os.symlink", "fsync")),
    errno.EROFS: frozenset(("open", "fsync", *_CHANGES)) - {"fcntl.flock"},
}
"""What a full disk refuses, and one that may only be read."""
_WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Strike:
    """What happens from an event on: signals, one at each event, or errors of the file system at every change."""

    signals: tuple[signal.Signals, ...] = ()
    error: int | None = None


KILL = Strike((signal.SIGKILL,))


class Watch:
    """Counts the events of this process below `root` and on the network; from number `at` on the strike comes."""

    def __init__(self, root: Path, at: int | None, strike: Strike = KILL) -> None:
        self.seen = 0
        self._root, self._at, self._strike, self._busy = str(root), at, strike, False
        self._signals = list(strike.signals)

    def start(self) -> None:
        """From now on; there is no end."""
        sys.addaudithook(self._hook)
        sync = os.fsync

        def synced(descriptor: int) -> None:
            self._event("fsync")
            sync(descriptor)

        os.fsync = synced

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event in _NETWORK or (event in _CHANGES and (event == "fcntl.flock" or self._is_inside(arguments))):
            self._event(event)
        elif event == "open" and arguments[2] & _WRITES and self._is_inside(arguments):
            self._event(event)
            if self.seen == self._at and self._strike == KILL:
                self._busy = True
                os.close(os.open(arguments[0], os.O_WRONLY | os.O_CREAT, 0o644))
            self._event(event)

    def _is_inside(self, arguments: tuple[Any, ...]) -> bool:
        return any(isinstance(one, str | bytes | Path) and os.fsdecode(one).startswith(self._root) for one in arguments)

    def _event(self, event: str) -> None:
        self.seen += 1
        if self._at is None or self.seen <= self._at:
            return
        if self._signals:
            os.kill(os.getpid(), self._signals.pop(0))
        elif (error := self._strike.error) is not None and event in _REFUSED[error]:
            raise OSError(error, os.strerror(error))

"""The events at which a process can be stopped: each change of a file or folder in the world, each act on the network.

They are what `sys.addaudithook` tells, and `fsync`. A file that is opened for writing counts twice: a process may die
before it, and with a file of nothing behind it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_CHANGES = frozenset(
    (
        *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
        *("os.utime", "os.truncate", "os.chmod", "shutil.rmtree", "fcntl.flock"),
    )
)
_NETWORK = frozenset(("socket.connect", "http.client.send"))
_WRITES = os.O_WRONLY | os.O_RDWR


class Watch:
    """Counts the events of this process below `root` and on the network; from number `kill_at` on signals come.

    `sent` has one signal, or one for each of as many events.
    """

    def __init__(self, root: Path, kill_at: int | None, sent: Sequence[signal.Signals] = (signal.SIGKILL,)) -> None:
        self.seen = 0
        self._root, self._kill_at, self._sent, self._busy = str(root), kill_at, list(sent), False

    def start(self) -> None:
        """From now on; there is no end."""
        sys.addaudithook(self._hook)
        sync = os.fsync

        def synced(descriptor: int) -> None:
            self._event()
            sync(descriptor)

        os.fsync = synced

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event in _NETWORK or (event in _CHANGES and (event == "fcntl.flock" or self._is_inside(arguments))):
            self._event()
        elif event == "open" and arguments[2] & _WRITES and self._is_inside(arguments):
            self._event()
            if self.seen == self._kill_at and self._sent == [signal.SIGKILL]:
                self._busy = True
                os.close(os.open(arguments[0], os.O_WRONLY | os.O_CREAT, 0o644))
            self._event()

    def _is_inside(self, arguments: tuple[Any, ...]) -> bool:
        return any(isinstance(one, str | bytes | Path) and os.fsdecode(one).startswith(self._root) for one in arguments)

    def _event(self) -> None:
        self.seen += 1
        if self._kill_at is not None and self.seen > self._kill_at and self._sent:
            os.kill(os.getpid(), self._sent.pop(0))

"""What a command must not do, seen while it does it: write or read outside, start a process, reach for the network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.hostile.artefact import Sandbox

ROOT = Path(__file__).resolve().parents[2]

_PATHS = {
    "open": (0,),
    "os.rename": (0, 1),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.chmod": (0,),
    "os.truncate": (0,),
}
_FOLDERS = {"os.rename": (2, 3), "os.mkdir": (2,), "os.remove": (1,), "os.rmdir": (1,), "os.link": (3,)}
_EXECUTED = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "pty.spawn",
)
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Collects the `faults` of what this process does within `over`."""

    def __init__(self) -> None:
        self.root = ""
        self.closed: tuple[str, ...] = ()
        self.faults: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)

    @contextmanager
    def over(self, box: Sandbox) -> Iterator[None]:
        """Watch one command, which may write in its sandbox, but not in the folders of others."""
        self.root = os.path.realpath(box.root)
        self.closed = tuple(os.path.realpath(folder) for folder in (box.outside, box.shared, box.base))
        self.faults, self.on = [], True
        try:
            yield
        finally:
            self.on = False

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _EXECUTED:
            self._note(f"executed {event} {str(args)[:100]}")
        elif event in _NETWORK:
            self._note(f"network {event} {str(args[1:])[:100]}")
        elif event in _PATHS:
            self._paths(event, args)

    def _paths(self, event: str, args: tuple[Any, ...]) -> None:
        self.on = False  # What follows opens files too.
        try:
            for which, at in enumerate(_PATHS[event]):
                folder = args[_FOLDERS[event][which]] if event in _FOLDERS else -1
                path = _real(args[at], folder, follow=event == "open")
                if path is None:
                    continue
                if event == "open" and not int(args[2] or 0) & _WRITING:
                    if _is_in(path, self.closed[0]):
                        self._note(f"read {path} outside")
                elif (
                    path != os.devnull
                    and not _is_compiled(path)
                    and (not _is_in(path, self.root) or any(_is_in(path, one) for one in self.closed))
                ):
                    self._note(f"wrote outside: {event} {path}")
        finally:
            self.on = True

    def _note(self, fault: str) -> None:
        if len(self.faults) < 5:
            self.faults.append(fault)


def _real(path: object, folder: object, *, follow: bool) -> str | None:
    if isinstance(path, int) or path is None:
        return None
    name = os.fsdecode(path)  # type: ignore[arg-type]
    if isinstance(folder, int) and folder >= 0:
        name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)  # noqa: PTH115, PTH118
    try:
        if follow:
            return os.path.realpath(name)
        return os.path.join(os.path.realpath(os.path.dirname(name) or "."), os.path.basename(name))  # noqa: PTH118, PTH119, PTH120
    except (OSError, ValueError):
        return None


def _is_compiled(path: str) -> bool:
    """Whether Python keeps a compiled module of ours there: whoever imports it first in a fresh checkout writes it."""
    return _is_in(path, str(ROOT)) and os.path.basename(os.path.dirname(path)) == "__pycache__"  # noqa: PTH119, PTH120


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)

"""What killed processes leave behind, and taking it away."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ABANDONED_AFTER = 24 * 3600.0
"""Seconds without a write after which nobody is at work in a file or folder."""


@dataclass(frozen=True)
class Leftover:
    """A temporary file or folder: its bytes, the seconds since anything in it was written, and whether it is ours."""

    path: Path
    size: int
    age: float
    ours: bool

    @property
    def is_abandoned(self) -> bool:
        """Whether it may be removed."""
        return self.ours and self.age > ABANDONED_AFTER


def look_at(path: Path) -> Leftover:
    """What is there; links are not followed. Raises OSError, as it may be gone at any moment."""
    status = path.lstat()
    parts = [status, *(one.lstat() for one in path.rglob("*"))] if stat.S_ISDIR(status.st_mode) else [status]
    newest = max(part.st_mtime for part in parts)
    size = sum(part.st_size for part in parts if stat.S_ISREG(part.st_mode))
    ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return Leftover(path, size, time.time() - newest, ours)


def matching(parent: Path, pattern: re.Pattern[str]) -> Iterator[Leftover]:
    """The files and folders in `parent` with names of this pattern. What cannot be looked at is left out."""
    with suppress(OSError):
        for path in parent.iterdir():
            if pattern.fullmatch(path.name):
                with suppress(OSError):  # another process may take it away at any step
                    yield look_at(path)


def sweep(parent: Path, pattern: re.Pattern[str]) -> None:
    """Remove what killed processes left in `parent`: files and folders with names of this pattern, our user's own.

    Nothing in them was written to for a day. Links are never followed. What cannot be looked at or removed stays.
    """
    for found in matching(parent, pattern):
        remove_if_abandoned(found.path)


def remove_if_abandoned(path: Path) -> bool:
    """Remove it unless somebody has written to it meanwhile; whether it is gone."""
    with suppress(OSError):
        if look_at(path).is_abandoned:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    return not os.path.lexists(path)

"""What killed processes leave behind, and taking it away."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

_ABANDONED_AFTER = 24 * 3600.0


def sweep(parent: Path, pattern: re.Pattern[str]) -> None:
    """Remove what killed processes left in `parent`: files and folders with names of this pattern, our user's own.

    Nothing in them was written to for a day. Links are never followed. What cannot be looked at or removed stays.
    """
    with suppress(OSError):
        for path in parent.iterdir():
            if pattern.fullmatch(path.name):
                with suppress(OSError):  # another process may take it away at any step
                    _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    status = path.lstat()
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    inside = path.rglob("*") if is_folder else ()
    newest = max(status.st_mtime, *(one.lstat().st_mtime for one in inside), 0.0)
    if newest >= time.time() - _ABANDONED_AFTER:
        return
    if is_folder:
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()

"""Paths as users type them, or as their files name them."""

from __future__ import annotations

import os
from pathlib import Path

from badx_hub.errors import UsageError
from badx_hub.remedies import Advice

HOME_VARIABLE = "BADX_HUB_HOME"
NO_HOME = (Advice(f"Set {HOME_VARIABLE} to a folder you may write to, and write paths in full, without ~."),)
"""What helps a user without a home folder."""

_SHOWN = 200
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4000


def source_text(source: object, what: str) -> str:
    """What names a file or a data set, as text. Raises UsageError, which says `what` it is of, for anything else."""
    text = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not text or not isinstance(text, str):
        shown = f"{str(source)[:_SHOWN]!r}"
        raise UsageError(f"The {what} is {shown}; expected a path, or the name of a data set, as text.")
    return text


def user_path(text: str | Path) -> Path:
    """The path, "~" being the user's home.

    Raises UsageError for "~" and "~NAME" of somebody without a home folder, and for what no file system takes: NUL
    characters, half surrogates, names of more than 255 bytes.
    """
    shown = f"{str(text)[:_SHOWN]!r}{'...' if len(str(text)) > _SHOWN else ''}"
    if "\0" in str(text):
        raise UsageError(f"{shown} is no path: it has a NUL character. Give the path of a file or folder.")
    try:
        path = Path(text).expanduser()
        names = [os.fsencode(name) for name in path.parts]
    except RuntimeError as error:
        raise UsageError(f"{shown} cannot be found: no such user has a home folder.", remedies=NO_HOME) from error
    except UnicodeEncodeError as error:
        raise UsageError(f"{shown} is no path: it has half a surrogate pair. Give the path of a file.") from error
    if max(map(len, names), default=0) > _MAX_NAME_BYTES or sum(map(len, names)) > _MAX_PATH_BYTES:
        raise UsageError(f"{shown} is too long for a path. Give the path of a file or folder.")
    return path

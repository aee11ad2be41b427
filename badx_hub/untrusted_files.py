"""Reading what others put into a folder: plain files of bounded size alone, and never through a link.

A shared folder may hold a link to somebody's private key, a pipe that never ends, a device, or a file of a terabyte.
Nothing of that is opened here. Every part of a path below `below` is looked at without following it, and where the
system can open a file relative to an open folder (Linux, macOS) a part that is exchanged meanwhile is not followed
either.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from badx_hub.errors import IntegrityError
from badx_hub.remedies import Advice
from badx_hub.storage import storage_errors

_CHUNK = 1 << 20
_OPENS_IN_FOLDERS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
# What the system answers for a link where none may be, and for a socket.
_IRREGULAR = frozenset({errno.ELOOP, errno.EMLINK, errno.ENOTDIR, errno.ENXIO})
_TAKE_OUT = Advice("Take it out; nothing is read through links, and only plain files are read.")


class IrregularFile(IntegrityError):  # noqa: N818 - what is there, as its siblings say
    """A link, pipe, device, socket or folder in place of a plain file, or a file that is too large."""


def open_plain(path: Path, *, below: Path | None = None, limit: int | None = None) -> BinaryIO:
    """Open a plain file for reading.

    Args:
        below: a folder above the file that is trusted, and may be a link; default its own folder.
        limit: the most bytes it may have; default any number.

    Raises:
        IrregularFile: the file, or a folder between `below` and it, is something else; or it is too large.
        StorageError: it is not there, or may not be read.
    """
    below = path.parent if below is None else below
    with storage_errors(path):
        try:
            descriptor = _opened(path, below)
        except OSError as error:
            _refuse_links(path, below)  # It knows better what is there.
            if error.errno in _IRREGULAR:
                raise _irregular(path, "is no plain file") from error
            raise
        try:
            _check(os.fstat(descriptor), path, limit)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise


def read_plain(path: Path, *, limit: int, below: Path | None = None) -> bytes:
    """The content of a plain file of at most `limit` bytes. Raises as `open_plain`."""
    with open_plain(path, below=below, limit=limit) as stream, storage_errors(path):
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(min(size, limit) + 1)  # Room for `limit` bytes would be made each time.
        if len(content) > size:
            content += stream.read(limit - size)
    if len(content) > limit:  # It grew meanwhile.
        raise _too_large(path, len(content), limit)
    return content


def read_regular(path: Path, *, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes, or of one that a link leads to, as in a base's folder.

    A user names that folder, and huggingface_hub keeps its files behind links. Raises IrregularFile, StorageError.
    """
    with open_regular(path, limit=limit) as stream, storage_errors(path):
        content = stream.read(limit + 1)
    if len(content) > limit:  # It grew meanwhile.
        raise _too_large(path, len(content), limit)
    return content


def open_regular(path: Path, *, limit: int) -> BinaryIO:
    """Open a regular file of at most `limit` bytes for reading, or one that a link leads to. Raises as above."""
    with storage_errors(path):
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        stream = os.fdopen(os.open(path, flags), "rb")
        try:
            _check(os.fstat(stream.fileno()), path, limit)
        except BaseException:
            stream.close()
            raise
        return stream


def sha256_plain(path: Path, *, below: Path | None = None, limit: int | None = None) -> str:
    """SHA-256 of a plain file's content, in hex. Raises as `open_plain`."""
    digest = hashlib.sha256()
    with open_plain(path, below=below, limit=limit) as stream, storage_errors(path):
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def copy_plain(source: Path, target: Path, *, below: Path | None = None, limit: int | None = None) -> None:
    """Copy a plain file to a new one. Raises as `open_plain`, and FileExistsError; a full disk is an OSError."""
    with open_plain(source, below=below, limit=limit) as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing)


def is_plain(path: Path) -> bool:
    """Whether there is a plain file, no link to one, under this path."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def refuse_linked_folder(folder: Path, below: Path) -> None:
    """Raises IrregularFile if `folder`, or one between `below` and it, is a link or no folder; StorageError."""
    with storage_errors(folder), suppress(FileNotFoundError):
        _refuse_links(folder / "_", below)


def _refuse_links(path: Path, below: Path) -> None:
    part = below
    for name in _inside(path, below)[:-1]:
        part = part / name
        mode = part.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise _irregular(part, _kind(mode))
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise _irregular(path, _kind(mode))


def _inside(path: Path, below: Path) -> tuple[str, ...]:
    """The parts of the path below a folder."""
    parts = path.relative_to(below).parts
    if ".." in parts:
        raise _irregular(path, "leads out of its folder")
    return parts


def _opened(path: Path, below: Path) -> int:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    *folders, name = _inside(path, below)
    if not _OPENS_IN_FOLDERS:
        _refuse_links(path, below)
        return os.open(path, flags)
    inside = os.open(below, _folder_flags())
    try:
        for folder in folders:
            outside, inside = inside, os.open(folder, _folder_flags() | os.O_NOFOLLOW, dir_fd=inside)
            os.close(outside)
        _check(os.stat(name, dir_fd=inside, follow_symlinks=False), path, None)  # To open a device may do something.
        return os.open(name, flags, dir_fd=inside)
    finally:
        os.close(inside)


def _folder_flags() -> int:
    return getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY


def _check(status: os.stat_result, path: Path, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _irregular(path, _kind(status.st_mode))
    if limit is not None and status.st_size > limit:
        raise _too_large(path, status.st_size, limit)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFREG: "a file"}
    return f"is {kinds.get(stat.S_IFMT(mode), 'no plain file')}"


def _irregular(path: Path, reason: str) -> IrregularFile:
    return IrregularFile(f"{path} {reason}.", remedies=(_TAKE_OUT,))


def _too_large(path: Path, size: int, limit: int) -> IrregularFile:
    return IrregularFile(
        f"{path} has {size:,} bytes and may have {limit:,}.", remedies=(Advice("Get the adapter again."),)
    )

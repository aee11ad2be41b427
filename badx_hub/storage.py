"""The edge to the file system: where things live, hashing, and writing that is whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

from badx_hub.abandoned_files import sweep
from badx_hub.errors import BadxError, StorageError, UsageError
from badx_hub.remedies import Advice, Remedy, RunAgain
from badx_hub.user_paths import HOME_VARIABLE, NO_HOME, user_path

STAGING = ".staging"
"""A folder beside the finished ones, in which the next ones are made."""
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
"""The names of files that are being written."""
SCRATCH = re.compile(r"badx-[a-z0-9_]{8}")
"""The names of `scratch_folder`s."""
_CHUNK = 1 << 20
_TIMESTAMP_GRAIN_NS = 2_000_000_000  # the coarsest file timestamps in use (FAT): 2 seconds
_ANYTHING = re.compile(r".*", re.DOTALL)
_NO_TEMPORARY = (Advice("Set TMPDIR to a folder you may write to."), RunAgain())
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WRONG_PATH = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP})


def home() -> Path:
    """Folder of registries and caches: ``$BADX_HUB_HOME``, or the platform's user data folder.

    Raises UsageError for a user without a home folder, as in some containers, where BADX_HUB_HOME names none either.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return user_path(chosen).absolute()
    try:
        return platformdirs.user_data_path("badx_hub", appauthor=False).expanduser()
    except RuntimeError as error:
        raise UsageError("This user has no home folder, so no place for registries.", remedies=NO_HOME) from error


def results_folder() -> Path:
    """The default folder of the results of studies, by their keys, for all studies together."""
    return home() / "results"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hex. An unreadable file raises StorageError."""
    digest = hashlib.sha256()
    with storage_errors(path), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """SHA-256 of a file's content, remembered below ``home()`` for as long as the file stays untouched.

    A remembered digest counts only if path, device, inode, size and both timestamps still match. A file
    changed within the last two seconds is not remembered: a later change might leave the same timestamps.
    """
    with storage_errors(path):
        resolved = path.resolve(strict=True)
        state = _file_state(resolved)
    memory = home() / "cache" / "digests" / f"{hashlib.sha256(os.fsencode(resolved)).hexdigest()}.json"
    remembered = _remembered_digest(memory, state)
    if remembered is not None:
        return remembered
    settled = max(state["mtime_ns"], state["ctime_ns"]) + _TIMESTAMP_GRAIN_NS < time.time_ns()
    digest = sha256_file(resolved)
    if settled:  # a change while it was read differs from the state taken before
        # A digest that cannot be remembered (full or read-only disk) is still right.
        with suppress(StorageError):
            atomic_write_text(memory, canonical_json({"digest": digest, "state": state}))
    return digest


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value. NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256, in hex, of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the file system into a StorageError that names ``path`` and says what to do.

    Errors that are not the file system's (network errors, which are OSErrors too) pass unchanged.
    """
    try:
        yield
    except (BadxError, ConnectionError, TimeoutError):
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise _storage_error(error, path) from error


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes ``final``, complete and on disk, when the block ends well.

    The folder lies in ``final.parent / ".staging"``, on the same file system. Any exception, Ctrl-C included,
    removes it and leaves ``final`` as it was. If ``final`` exists already and is not empty, it stays and the
    new folder is dropped: names are content-addressed, so the first of several writers has written the same.
    Raises StorageError where the file system refuses, also on behalf of the block.
    """
    with storage_errors(final):
        final = final.absolute()
        staging = final.parent / STAGING
        _sweep_abandoned(staging)
        temporary = _new_folder_in(staging)
        try:
            yield temporary
            _sync_tree(temporary)
            _rename_unless_taken(temporary, final)
            _sync_folder(final.parent)
        finally:
            _clear(temporary, staging)


def discard_folder(folder: Path) -> bool:
    """Hide a folder by one rename, then delete it; false if there is none. A link is deleted, not what it leads to.

    A process that is killed on the way leaves the folder whole or hidden in ``.staging``, where later ones sweep it.
    """
    with storage_errors(folder):
        folder = folder.absolute()
        if folder.is_symlink():
            folder.unlink()
            return True
        staging = folder.parent / STAGING
        _sweep_abandoned(staging)
        while folder.is_dir():
            trash = _new_folder_in(staging)
            try:
                with suppress(FileNotFoundError):  # another process was faster
                    folder.rename(trash / folder.name)
                    return True
            finally:
                _clear(trash, staging)
    return False


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Give an empty file to fill; it becomes ``path``, complete and on disk, when the block ends well.

    Readers see the old content or the new, never a part. Any exception, Ctrl-C included, leaves ``path`` as it was.
    Missing folders are made. Raises StorageError where the file system refuses, also on behalf of the block.
    """
    with storage_errors(path):
        path = path.absolute()
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        _make_folder(path.parent)
        _sweep_temporaries(path.parent)
        try:
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """``atomic_file`` with this content."""
    with atomic_file(path) as stream:
        stream.write(data)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder in the system's folder for temporary files, removed at the end of the block.

    Those of killed processes are removed first. Raises StorageError where it cannot be made.
    """
    try:
        parent = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        refusal = StorageError(f"There is no folder for temporary files: {error.strerror}.", remedies=_NO_TEMPORARY)
        refusal.errno = error.errno
        raise refusal from error
    sweep(parent, SCRATCH)
    with storage_errors(parent):
        folder = tempfile.TemporaryDirectory(prefix="badx-")
    with folder as name:
        yield Path(name)


def atomic_write_text(path: Path, text: str) -> None:
    """``atomic_write_bytes`` of the text in UTF-8, newlines as they are."""
    atomic_write_bytes(path, text.encode())


def _file_state(path: Path) -> dict[str, Any]:
    status = path.stat()
    kept = ("dev", "ino", "size", "mtime_ns", "ctime_ns")
    return {"path": os.fsencode(path).hex(), **{name: getattr(status, f"st_{name}") for name in kept}}


def _remembered_digest(memory: Path, state: dict[str, Any]) -> str | None:
    try:
        record = json.loads(memory.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(record, dict) and record.get("state") == state and isinstance(record.get("digest"), str)
    return str(record["digest"]) if known else None


def _storage_error(error: OSError, path: Path) -> StorageError:
    reason = os.strerror(error.errno or 0)
    remedies: tuple[Remedy, ...]
    if error.errno in _NO_ROOM:
        remedies = (Advice("Free some space or set BADX_HUB_HOME to a folder on another disk."), RunAgain())
    elif error.errno in _NO_RIGHT:
        advice = "Choose a folder you may write to (set BADX_HUB_HOME or pass {}) or change its rights."
        remedies = (Advice(advice, (("registry", None),)),)
    elif error.errno in _WRONG_PATH:
        remedies = (Advice("Give another path."),)
    else:
        remedies = (Advice("Check the path."), RunAgain())
    culprit = f" ({error.filename})" if _names_another_file(error, path) else ""
    wrapped = StorageError(f"{path}: {reason}{culprit}.", remedies=remedies)
    wrapped.errno = error.errno
    return wrapped


def _names_another_file(error: OSError, path: Path) -> bool:
    """Whether the error is about a file the user knows: neither ``path`` itself nor a temporary beside it."""
    if not isinstance(error.filename, str):
        return False
    culprit = Path(error.filename)
    return culprit.parent != path.parent and path.parent / STAGING not in culprit.parents


def _make_folder(folder: Path) -> None:
    """``mkdir -p`` that survives a power cut: each new folder's entry is synced too."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _new_folder_in(staging: Path) -> Path:
    while True:
        _make_folder(staging.parent)
        with suppress(FileExistsError):
            staging.mkdir()
        if staging.is_symlink():  # In a shared folder it may lead to other people's files.
            raise StorageError(f"{staging} is a link.", remedies=(Advice("Delete it."), RunAgain()))
        temporary = staging / uuid.uuid4().hex
        try:
            with suppress(FileNotFoundError):  # another writer has just removed the empty staging folder
                temporary.mkdir()
                return temporary
        except BaseException:  # Ctrl-C, a full disk
            with suppress(OSError):
                staging.rmdir()
            raise


def _clear(folder: Path, staging: Path) -> None:
    """Remove a folder in `staging`, and that if it is empty then, also if a signal comes meanwhile."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        with suppress(OSError):  # another writer still stages here
            staging.rmdir()


def _sweep_abandoned(staging: Path) -> None:
    """Remove what killed processes left behind: nothing in it was written to for a day."""
    if not staging.is_symlink():
        sweep(staging, _ANYTHING)


@lru_cache(maxsize=256)
def _sweep_temporaries(folder: Path) -> None:
    """Once a process: a folder may hold many files."""
    sweep(folder, TEMPORARY)


def _rename_unless_taken(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        if not (final.is_dir() and any(final.iterdir())):
            raise


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(parent, name))
        _sync_folder(Path(parent))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders and keeps its own journal of names
        return
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync names by themselves
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

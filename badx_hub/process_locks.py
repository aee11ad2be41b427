"""One process at a time: for moments (locks of the file system) and for hours (claims with an owner and a heartbeat).

A lock is `flock`, which the system takes back when its process ends. On NFS it is the server that keeps it, since
Linux 2.6.12 and NFS 4; where a file system has no `flock`, a file made exclusively stands in for it (`filelock`).

A claim is a small file that says who works on something. Its owner touches it every half minute. It is taken over if
its process is gone, which is seen at once on the same machine, or if nobody touched it for five minutes by the clock
of the file system: the clocks of two machines are never compared. A clock that jumps does no harm on one machine, as a
process that is there is never taken for dead.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from badx_hub.errors import BadxError, DataError, StorageError
from badx_hub.json_toml_yaml import read_json
from badx_hub.remedies import RunAgain
from badx_hub.storage import atomic_write_text, canonical_json, storage_errors
from badx_hub.untrusted_files import read_plain

WAIT_SECONDS = 60.0
_HEARTBEAT_SECONDS = 30.0
_DEAD_AFTER_SECONDS = 300.0
_MAX_BYTES = 2**12
_GUARD = ".guard"


@dataclass(frozen=True)
class Owner:
    """Who works on something: `place` tells machines, reboots and containers apart, `started` two users of one pid."""

    pid: int
    host: str
    since: str
    place: str
    started: str
    token: str

    @classmethod
    def this_process(cls) -> Owner:
        """A new claim of the running process."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        pid = os.getpid()
        return cls(pid, socket.gethostname(), now, _place(), _started(pid) or "", uuid.uuid4().hex)


@contextmanager
def exclusive(path: Path, *, mode: int = 0o644, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock file `path`; the file stays there.

    Args:
        mode: the rights of a new lock file; every process that is to lock it has to write to it.
        wait: the seconds to wait for another process that holds it; default a minute.

    Raises BadxError if it is held for longer, and StorageError.
    """
    from filelock import FileLock, Timeout

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=wait, mode=mode)
        try:
            lock.acquire()
        except Timeout as error:
            raise BadxError(
                f"{path} has been locked by another process for {wait:.0f} seconds.", remedies=(RunAgain(),)
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(path: Path, busy: Callable[[Owner], BadxError]) -> Iterator[None]:
    """Be the only one who works on what `path` stands for, as long as the block runs. Raises what `busy` makes."""
    mine = Owner.this_process()
    with exclusive(path.parent / _GUARD):
        other = _read(path)
        if other is not None and _is_alive(other, path):
            raise busy(other)
        atomic_write_text(path, canonical_json(asdict(mine)))
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, ended), daemon=True, name="badx-heartbeat")
    heart.start()
    try:
        yield
    finally:
        ended.set()
        with exclusive(path.parent / _GUARD):
            if _read(path) == mine:  # Otherwise this process slept for too long, and another one took over.
                path.unlink(missing_ok=True)


def is_claimed(path: Path) -> bool:
    """Whether a process that is alive works on what `path` stands for."""
    return owner_of(path) is not None


def owner_of(path: Path) -> Owner | None:
    """The process, alive, that works on what `path` stands for; None if there is none."""
    owner = _read(path)
    return owner if owner is not None and _is_alive(owner, path) else None


def release_dead(path: Path) -> bool:
    """Remove the claim of a process that is gone; whether there is none any more."""
    with exclusive(path.parent / _GUARD):
        if owner_of(path) is None:
            path.unlink(missing_ok=True)
    return not path.exists()


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_HEARTBEAT_SECONDS):
        with suppress(OSError):
            os.utime(path)


def _read(path: Path) -> Owner | None:
    """Who claims it; None if nobody does, or if the file is none of ours."""
    try:
        value = read_json(read_plain(path, limit=_MAX_BYTES), str(path), limit=_MAX_BYTES)
        return Owner(**value) if isinstance(value, Mapping) and isinstance(value.get("pid"), int) else None
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    except (DataError, TypeError):
        return None


def _is_alive(owner: Owner, path: Path) -> bool:
    if owner.place == _place() and os.name == "posix":
        return _started(owner.pid) == (owner.started or None)
    return _age(path) < _DEAD_AFTER_SECONDS


def _age(path: Path) -> float:
    """Seconds since somebody touched the file, by the clock of its file system."""
    with storage_errors(path):
        probe = path.with_name(f".{uuid.uuid4().hex}.tmp")
        probe.touch()
        try:
            return probe.stat().st_mtime - path.stat().st_mtime
        finally:
            probe.unlink()


def _place() -> str:
    """A machine since it was started, and the container in it: where a pid means one process."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "/".join(parts)


def _started(pid: int) -> str | None:
    """When the process began, in ticks of the system; "there" where that is not to be seen; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "there"

"""Temporary files of killed processes, claims of processes that are gone, and runs that were stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import gettempdir

from badx_hub.abandoned_files import Leftover, look_at, matching, remove_if_abandoned
from badx_hub.doctor.finding import Finding, FindingKind
from badx_hub.errors import BadxError, RunInProgress
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.process_locks import Owner, claimed, owner_of, release_dead
from badx_hub.registry import Entry
from badx_hub.remedies import Advice
from badx_hub.storage import SCRATCH, STAGING, TEMPORARY, discard_folder, home
from badx_hub.training.unfinished_runs import RUN_FILE, claim_of, step_of
from badx_hub.untrusted_files import read_plain

_CLAIM = re.compile(r"[0-9a-f]{32}\.json|\.[0-9a-f]{64}\.claim")
_RUN = re.compile(r"[0-9a-f]{32}")
_ANYTHING = re.compile(r".*", re.DOTALL)
_DROP = Advice("Train it on, or drop it with {}.", (("restart", True),))


def temporaries(roots: Iterable[Path], beside: Iterable[Path] = ()) -> Iterator[Finding]:
    """What is being written, or was when it was killed.

    Looks below `roots`, in the folders `beside` without those in them, and in that of the system for temporary files.
    """
    for found in matching(Path(gettempdir()), SCRATCH):
        yield _of_leftover(found)
    roots = list(roots)
    for one in beside:
        if not any(root.absolute() in (one, *one.parents) for root in roots):
            yield from map(_of_leftover, matching(one, TEMPORARY))
    for root in _apart(roots):
        for folder, inside, _ in os.walk(root):
            if STAGING in inside:
                inside.remove(STAGING)
                yield from _staged(Path(folder, STAGING))
            for found in matching(Path(folder), TEMPORARY):
                yield _of_leftover(found)


def claims(folders: Iterable[Path]) -> Iterator[Finding]:
    """Who is at work, and the claims of those who are gone."""
    for folder in folders:
        for found in matching(folder, _CLAIM):
            with suppress(BadxError):
                yield _of_claim(found)


def runs(entries: Iterable[Entry]) -> Iterator[Finding]:
    """The runs of this user that nobody works on. Those in `entries` are done: what is left of them is in the way."""
    published = {entry.manifest.run[:32]: str(entry.name) for entry in entries if entry.manifest.run}
    for folder in sorted((home() / "runs").glob("*/")):
        with suppress(OSError, BadxError):
            if _RUN.fullmatch(folder.name) and owner_of(claim_of(folder.name)) is None:
                yield _of_run(folder, published.get(folder.name))


def _staged(staging: Path) -> Iterator[Finding]:
    """What is being made in there, and the folder itself, which goes with the last that is made."""
    if staging.is_symlink():
        return
    yield from (_of_leftover(found) for found in matching(staging, _ANYTHING))
    with suppress(OSError):
        if (found := look_at(staging)).is_abandoned:
            yield _finding(found, "where new versions are made; nobody does", partial(_remove_empty, staging))


def _of_leftover(found: Leftover) -> Finding:
    if found.is_abandoned:
        return _finding(found, "of a process that was killed", partial(remove_if_abandoned, found.path))
    left = "perhaps in use: written to within a day" if found.ours else f"of another user ({_user(found.path)})"
    return _finding(found, left)


def _of_claim(found: Leftover) -> Finding:
    if (owner := owner_of(found.path)) is not None:
        what = f"process {owner.pid} on {owner.host}, since {owner.since}"
        return Finding(FindingKind.AT_WORK, str(found.path), what, found.size, found.age)
    if not found.ours:
        return _finding(found, f"of another user ({_user(found.path)})")
    return _finding(found, "claim of a process that is gone", partial(release_dead, found.path))


def _of_run(folder: Path, published: str | None) -> Finding:
    found, step, name = look_at(folder), step_of(folder), _name_of(folder)
    if published is not None:
        return _finding(found, f"checkpoints of {published}, which is published", partial(_discard_run, folder))
    if not step:
        return _finding(found, f"run of {name} without a checkpoint", partial(_discard_run, folder))
    what = f"run of {name}, stopped after step {step:,}"
    return Finding(FindingKind.STOPPED, str(folder), what, found.size, found.age, remedies=(_DROP,))


def _finding(found: Leftover, what: str, mend: partial[bool] | None = None) -> Finding:
    return Finding(FindingKind.LEFTOVER, str(found.path), what, found.size, found.age, mend)


def _remove_empty(folder: Path) -> bool:
    with suppress(OSError):  # Somebody has begun to use it.
        folder.rmdir()
    return not folder.exists()


def _discard_run(folder: Path) -> bool:
    """Remove the checkpoints of a run unless somebody has begun to work on it."""
    try:
        with claimed(claim_of(folder.name), _busy):
            return discard_folder(folder)
    except RunInProgress:
        return False


def _busy(owner: Owner) -> RunInProgress:
    return RunInProgress(f"Process {owner.pid} on {owner.host} works on it since {owner.since}.")


def _name_of(folder: Path) -> str:
    with suppress(BadxError, KeyError, TypeError):
        return str(read_json(read_plain(folder / RUN_FILE, limit=MIB), RUN_FILE, limit=MIB)["name"])
    return "an unknown name"


def _user(path: Path) -> str:
    with suppress(OSError, KeyError, NotImplementedError):
        return path.owner()
    return "unknown"


def _apart(roots: Iterable[Path]) -> list[Path]:
    """Each folder once, without those that lie in another one."""
    kept: list[Path] = []
    for root in sorted({root.absolute() for root in roots}):
        if not any(one in root.parents for one in kept):
            kept.append(root)
    return kept

"""Processes that change the same thing at once: lock files, and removing against publishing."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from badx_hub.errors import NotFoundError
from badx_hub.registry import LocalRegistry
from badx_hub.registry.lock import Lock

ROOT = Path(__file__).parents[2]
_WRITE = """
import sys
from pathlib import Path
from badx_hub.registry.lock import LockedAdapter, LockedBase, LockedStack, write_lock
path, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    base = LockedBase(name="tiny", digest=f"{number:064x}")
    made = [
        LockedAdapter(name=name, version="20260101T000000Z-000000000000", digest="a" * 64, manifest="b" * 64)
        for name in ("tiny/en-wo", "tiny/en-wo/pos")
    ]
    write_lock(path, LockedStack(pair="en-wo", task="pos", setup="bad-x", base=base, adapters=tuple(made)))
"""


def test_no_stack_of_two_processes_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "badx.lock"
    started = [
        subprocess.Popen([sys.executable, "-c", _WRITE, str(path), str(first), str(first + 30)], cwd=ROOT)
        for first in (0, 100)
    ]
    assert [one.wait() for one in started] == [0, 0]
    assert len(Lock.read(path).stacks) == 60
    assert [one.name for one in tmp_path.iterdir() if one.suffix in (".lock", ".tmp")] == ["badx.lock"]


def test_removing_and_publishing_at_once_loses_nothing(registry: LocalRegistry, make: Any) -> None:
    """Both make and remove the folder in which they stage."""
    folders = [make("mbert/en-wo", weights=float(number)) for number in range(2)]
    troubles: list[BaseException] = []

    def again(folder: Path) -> None:
        try:
            for _ in range(60):
                entry = registry.publish(folder)
                try:
                    registry.remove(entry)
                except NotFoundError:
                    troubles.append(AssertionError("removed by another"))
        except BaseException as error:
            troubles.append(error)

    workers = [threading.Thread(target=again, args=(folder,)) for folder in folders]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert troubles == []
    assert registry.list() == ()

"""Writers and readers of one registry at once: `python -m tests.faults.writers SECONDS [WRITERS] [READERS]`.

Each writer publishes versions of its own and of a name that all of them share, and removes some of its own; readers
list and verify. At the end every version that was published and not removed has to be there, whole.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from badx_hub.errors import BadxError, NotFoundError
from badx_hub.registry import LocalRegistry
from tests.registry.conftest import build

_SHARED = "mbert/en-wo"


def work(root: Path, seconds: float, *, writers: int = 16, readers: int = 4) -> dict[str, Any]:
    """What came of it: how many publishes, removals and reads there were, what was lost, and what went wrong."""
    registry, end = LocalRegistry(root / "registry"), time.monotonic() + seconds
    jobs = [(_write, number) for number in range(writers)] + [(_read, number) for number in range(readers)]
    pids = []
    for job, number in jobs:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                name = f"{job.__name__[1:]}{number}"
                (root / f"{name}.json").write_text(json.dumps(job(registry, root / name, number, end)))
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    crashed = sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
    told = [json.loads(file.read_text()) for file in root.glob("*.json")]
    there = {entry.location for entry in registry.list() if registry.verify(entry).ok}
    expected = {one for each in told for one in each.get("kept", ())}
    return {
        "seconds": seconds,
        "writers": writers,
        "readers": readers,
        "publishes": sum(each.get("publishes", 0) for each in told),
        "removals": sum(each.get("removals", 0) for each in told),
        "readings": sum(each.get("readings", 0) for each in told),
        "lost": len(expected - there),
        "not whole": len(registry.problems()) + sum(each.get("torn", 0) for each in told),
        "left": sum(1 for _ in registry.root.rglob(".staging/*")) + sum(1 for _ in registry.root.rglob("*.tmp")),
        "crashed": crashed,
    }


def _write(registry: LocalRegistry, folder: Path, number: int, end: float) -> dict[str, Any]:
    kept: list[str] = []
    publishes = removals = 0
    while time.monotonic() < end:
        name = _SHARED if publishes % 2 else f"mbert/en-wo#w{number}"
        created = f"2026-01-01T{publishes // 3600 % 24:02}:{publishes // 60 % 60:02}:{publishes % 60:02}Z"
        made = build(folder / str(publishes), name, weights=float(number * 100_000 + publishes), created=created)
        entry = registry.publish(made)
        kept.append(entry.location)
        publishes += 1
        if publishes % 4 == 0:
            kept.remove(entry.location)
            registry.remove(entry)
            removals += 1
    return {"publishes": publishes, "removals": removals, "kept": kept}


def _read(registry: LocalRegistry, _: Path, number: int, end: float) -> dict[str, Any]:
    readings = torn = 0
    while time.monotonic() < end:
        torn += len(registry.problems())
        for entry in registry.list()[number::40]:
            try:
                torn += not registry.verify(entry).ok
            except NotFoundError:  # removed meanwhile
                continue
            except BadxError:
                torn += 1
            readings += 1
    return {"readings": readings, "torn": torn}


def main() -> None:
    """Print the record."""
    seconds, *counts = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        known = dict(zip(("writers", "readers"), map(int, counts), strict=False))
        print(json.dumps(work(Path(folder), float(seconds), **known), indent=1))


if __name__ == "__main__":
    main()

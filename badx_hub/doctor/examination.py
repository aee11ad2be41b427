"""All that there is to see on this machine, for one registry and one folder of results."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from badx_hub.doctor import abandoned, caches, versions
from badx_hub.doctor.finding import Finding
from badx_hub.doctor.versions import Support
from badx_hub.registry import LocalRegistry
from badx_hub.storage import home


@dataclass(frozen=True)
class Space:
    """A file system: what we keep there, and its bytes in all and free for this user."""

    holds: tuple[str, ...]
    place: Path
    total: int
    free: int


@dataclass(frozen=True)
class Examination:
    """What was found, which language adapters others were trained on, and how much space there is."""

    findings: tuple[Finding, ...]
    supports: tuple[Support, ...]
    space: tuple[Space, ...]


def examine(registry: LocalRegistry, results: Path, *, beside: Sequence[Path] = ()) -> Examination:
    """Look at the registry, a study's results, the home folder and what is temporary. Nothing is changed.

    `beside`: other folders to look into for what is temporary, as those with lock files.
    """
    entries, problems = registry.contents()
    temporary = Path(gettempdir())
    findings = (
        *abandoned.temporaries((registry.root, results, home()), beside),
        *abandoned.claims((home() / "runs", results)),
        *abandoned.runs(entries),
        *caches.damaged(),
        *versions.wrong(registry, entries, problems),
    )
    places = {"home": home(), "registry": registry.root, "results": results, "temporary files": temporary}
    return Examination(findings, versions.supports(entries), _space(places))


def _space(places: Mapping[str, Path]) -> tuple[Space, ...]:
    """One row a file system; a folder that is not there yet will be on that of the one above it."""
    found: dict[int, Space] = {}
    for name, place in places.items():
        there = place.absolute()
        while not there.exists():
            there = there.parent
        with suppress(OSError):
            usage, device = shutil.disk_usage(there), there.stat().st_dev
            before = found.get(device)
            holds = (*(before.holds if before else ()), name)
            found[device] = Space(holds, before.place if before else there, usage.total, usage.free)
    return tuple(found.values())

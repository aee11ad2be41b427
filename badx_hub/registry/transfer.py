"""Push and pull: copying an entry from one registry to another, the adapter it stands on first."""

from __future__ import annotations

from dataclasses import dataclass

from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.registry.protocol import Entry, Registry, Report, newest


@dataclass(frozen=True)
class Transferred:
    """Entries of the destination: those `copied` now and those `already` there, a parent before its TA."""

    copied: tuple[Entry, ...]
    already: tuple[Entry, ...]


def copy(entry: Entry, source: Registry, destination: Registry) -> Transferred:
    """Copies `entry`, and before it the adapter under it, from `source` to `destination`.

    What the destination has already stays as it is, after its files have been re-hashed. A copy that is
    cut short leaves whole entries only, and the same call again goes on from there.

    Raises NotFoundError if the parent is in neither registry, IntegrityError if a file at either end is
    not what its manifest says, StorageError and UsageError as `publish` does.
    """
    copied: list[Entry] = []
    already: list[Entry] = []
    parent = entry.manifest.parent
    if parent is not None:
        if there := destination.by_digest(parent.digest, parent.name):
            already.append(_sound(newest(there), destination))
        else:
            copied.append(_publish(parent_of(entry, source), source, destination))
    same = _same_version(entry, destination)
    if same is not None:
        already.append(_sound(same, destination))
    else:
        copied.append(_publish(entry, source, destination))
    return Transferred(tuple(copied), tuple(already))


def parent_of(entry: Entry, source: Registry) -> Entry:
    """The adapter under a task adapter, by digest. Raises NotFoundError."""
    parent = entry.manifest.parent
    assert parent is not None
    if not (found := source.by_digest(parent.digest, parent.name)):
        raise NotFoundError(
            f"{entry.name} stands on {parent.name} with digest {parent.digest[:12]}, which is not in "
            f"{source.location}. Pull that adapter there first: "
            f"`badx-hub pull '{parent.name}' --from ORG`, or --from ./DIR."
        )
    return newest(found)


def _same_version(entry: Entry, registry: Registry) -> Entry | None:
    try:
        return registry.get(entry.name, entry.version)
    except NotFoundError:
        return None


def _publish(entry: Entry, source: Registry, destination: Registry) -> Entry:
    published = destination.publish(source.fetch(entry))
    if published.version != entry.version:
        raise IntegrityError(
            f"{entry.location} changed while it was copied to {destination.location}. "
            f"Check it with `badx-hub verify '{entry.name}'` and copy it again."
        )
    return _sound(published, destination)


def _sound(entry: Entry, registry: Registry) -> Entry:
    report: Report = registry.verify(entry)
    if report.faults:
        raise IntegrityError(
            f"{entry.name} {entry.version} in {registry.location} is damaged "
            f"({report.faults[0].name}: {report.faults[0].state}). Remove it there and copy it again."
        )
    return entry

"""Push and pull: copying an entry, after its language adapters, from one registry to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from badx_hub.arguments import checked
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Entry, Registry, VerificationReport, newest, same_weights
from badx_hub.remedies import Advice, PullAdapter, RemoveAdapter, VerifyAdapter


@dataclass(frozen=True)
class Transferred:
    """Entries of the destination: those `copied` now and those that were `already` there, language adapters first."""

    copied: tuple[Entry, ...]
    already: tuple[Entry, ...]


@dataclass(frozen=True)
class Copying:
    """What a copy comes to: entries of the source that have `to_go`, in this order, and those `already` there."""

    to_go: tuple[Entry, ...]
    already: tuple[Entry, ...]


@checked()
def copy(entry: Entry, source: Registry, destination: Registry, *, sign_with: Path | None = None) -> Transferred:
    """Copies `entry` from `source` to `destination`, after the language adapters that it was trained on.

    What the destination has already is re-hashed and stays as it is; damaged, it is mended where the destination can.
    A copy that is interrupted leaves only whole entries, and the same call goes on from there.

    `sign_with` is the file of an SSH key (`badx_hub.signing`): all of them are signed with it in `source` first, and
    what the destination has already gets its signature.

    Raises:
        NotFoundError: a language adapter is in neither registry; nothing is copied.
        IntegrityError: a file in either registry is not what its manifest says.
        StorageError, UsageError: as `publish` does.
    """
    found = plan_copy(entry, source, destination)
    if sign_with is not None:
        _sign((*_in(source, entry), entry), source, destination, sign_with)
    return Transferred(tuple(_publish(one, source, destination) for one in found.to_go), found.already)


def plan_copy(entry: Entry, source: Registry, destination: Registry) -> Copying:
    """What `copy` will do; nothing is changed. Raises like `copy`."""
    destination.require_publishable([entry.name])
    to_go: list[Entry] = []
    already: list[Entry] = []
    for ref in entry.manifest.language_adapters:
        there = same_weights(destination.by_digest(ref.digest, ref.name), ref)
        newest_first = (_usable(one, destination) for one in reversed(there))
        sound = next((one for one in newest_first if one is not None), None)
        if sound is None:
            to_go.append(language_adapter_of(entry, ref, source))
        else:
            already.append(sound)
    same = _same_version(entry, destination)
    if same is None:
        to_go.append(entry)
    else:
        already.append(same)
    destination.require_publishable([one.name for one in to_go])
    return Copying(tuple(to_go), tuple(already))


def language_adapter_of(entry: Entry, ref: LanguageAdapterRef, source: Registry) -> Entry:
    """The entry of a language adapter that `entry` was trained on, found by digest. Raises NotFoundError."""
    if not (found := same_weights(source.by_digest(ref.digest, ref.name), ref)):
        raise NotFoundError(
            f"{entry.name} was trained on {ref.name} with digest {ref.digest[:12]}, which is not in "
            f"{source.location}. Pull that adapter there first.",
            remedies=(PullAdapter(ref.name),),
        )
    return newest(found)


def _in(source: Registry, entry: Entry) -> tuple[Entry, ...]:
    """The language adapters of `entry` that `source` has."""
    found = [source.by_digest(ref.digest, ref.name) for ref in entry.manifest.language_adapters]
    return tuple(newest(entries) for entries in found if entries)


def _sign(entries: Iterable[Entry], source: Registry, destination: Registry, key: Path) -> None:
    if not isinstance(source, LocalRegistry):
        raise UsageError(f"Only adapters in a registry of your own can be signed, not those in {source.location}.")
    for entry in entries:
        source.sign(entry, key)
        if _same_version(entry, destination) is not None:
            destination.publish(source.fetch(entry))


def _same_version(entry: Entry, registry: Registry) -> Entry | None:
    try:
        found = registry.get(entry.name, entry.version)
    except NotFoundError:
        return None
    except (DataError, IntegrityError):
        if registry.mends:
            return None
        raise
    return _usable(found, registry)


def _usable(entry: Entry, registry: Registry) -> Entry | None:
    """The entry if it is sound, None if publishing it again mends it. Raises IntegrityError if neither."""
    if registry.mends and registry.verify(entry).faults:
        return None
    return _sound(entry, registry)


def _publish(entry: Entry, source: Registry, destination: Registry) -> Entry:
    published = destination.publish(source.fetch(entry))
    if published.version != entry.version:
        raise IntegrityError(
            f"{entry.location} changed while it was copied to {destination.location}.",
            remedies=(VerifyAdapter(str(entry.name)), Advice("Then copy it again.")),
        )
    return _sound(published, destination)


def _sound(entry: Entry, registry: Registry) -> Entry:
    report: VerificationReport = registry.verify(entry)
    if report.faults:
        raise IntegrityError(
            f"{entry.name} {entry.version} in {registry.location} is damaged "
            f"({report.faults[0].name}: {report.faults[0].state}).",
            remedies=(RemoveAdapter(str(entry.name), renew=True, registry=registry.location),),
        )
    return entry

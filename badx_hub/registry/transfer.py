"""Push and pull: copying an entry, after its language adapters, from one registry to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Entry, Registry, VerificationReport, newest
from badx_hub.remedies import Advice, PullAdapter, VerifyAdapter


@dataclass(frozen=True)
class Transferred:
    """Entries of the destination: those `copied` now and those that were `already` there, language adapters first."""

    copied: tuple[Entry, ...]
    already: tuple[Entry, ...]


def copy(entry: Entry, source: Registry, destination: Registry, *, sign_with: Path | None = None) -> Transferred:
    """Copies `entry` from `source` to `destination`, after the language adapters that it was trained on.

    What the destination has already is re-hashed and stays as it is. A copy that is interrupted leaves only whole
    entries, and the same call goes on from there.

    `sign_with` is the file of an SSH key (`badx_hub.signing`): all of them are signed with it in `source` first, and
    what the destination has already gets its signature.

    Raises:
        NotFoundError: a language adapter is in neither registry; nothing is copied.
        IntegrityError: a file in either registry is not what its manifest says.
        StorageError, UsageError: as `publish` does.
    """
    language_adapters = {ref: destination.by_digest(ref.digest, ref.name) for ref in entry.manifest.language_adapters}
    lacking = [language_adapter_of(entry, ref, source) for ref, there in language_adapters.items() if not there]
    already = [_sound(newest(there), destination) for there in language_adapters.values() if there]
    if sign_with is not None:
        _sign((*_in(source, entry), entry), source, destination, sign_with)
    copied = [_publish(one, source, destination) for one in lacking]
    same = _same_version(entry, destination)
    if same is not None:
        already.append(_sound(same, destination))
    else:
        copied.append(_publish(entry, source, destination))
    return Transferred(tuple(copied), tuple(already))


def language_adapter_of(entry: Entry, ref: LanguageAdapterRef, source: Registry) -> Entry:
    """The entry of a language adapter that `entry` was trained on, found by digest. Raises NotFoundError."""
    if not (found := source.by_digest(ref.digest, ref.name)):
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
        return registry.get(entry.name, entry.version)
    except NotFoundError:
        return None


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
            f"({report.faults[0].name}: {report.faults[0].state}). Remove it there and copy it again."
        )
    return entry

"""What a registry is: a place that keeps immutable versions of adapters, such as a local folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import BadxError
from badx_hub.hub.ref import HubRef
from badx_hub.manifest import LanguageAdapterRef, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.query import AdapterQuery, is_base

# "edited" is a README.md that somebody has changed. It is text for people and nothing is loaded from it, so no registry
# refuses an adapter because of it. Its digest in badx.json is that of the card that was published with the weights.
# "irregular" is a link, a pipe, a folder or anything else but a plain file, and a file larger than it can be; it is
# never opened.
FileState = Literal["ok", "missing", "changed", "extra", "edited", "irregular"]


@dataclass(frozen=True)
class Entry:
    """One version of an adapter in a registry; `location` is for people (a folder, a Hub address)."""

    manifest: Manifest = field(hash=False)
    version: str
    location: str

    @property
    def name(self) -> AdapterName:
        """The adapter's name."""
        return self.manifest.adapter_name

    @property
    def ref(self) -> LanguageAdapterRef:
        """How the manifest of a task adapter on it names it."""
        found = self.manifest
        return LanguageAdapterRef(name=found.name, digest=found.digest, vocabulary=found.vocabulary)

    def is_on_base(self, query: AdapterQuery) -> bool:
        """Whether its base is the one asked for."""
        base = self.manifest.base
        return is_base(self.name.base, base.digests, query.base) and (query.on is None or base.has_weights_of(query.on))

    @property
    def place(self) -> HubRef | None:
        """Where on a Hub it is; None in a folder."""
        return HubRef.parse(self.location)


@dataclass(frozen=True)
class Problem:
    """A version of an adapter that cannot be read; `error` says why."""

    name: AdapterName | None
    version: str
    location: str
    error: BadxError

    @property
    def reason(self) -> str:
        """The error, on one line."""
        return str(self.error)


@dataclass(frozen=True)
class FileCheck:
    """One file of an adapter against its manifest."""

    name: str
    state: FileState


@keeps_old_attributes
@dataclass(frozen=True)
class VerificationReport:
    """What `verify` found: the state of each file, and the language adapters that are `missing`."""

    entry: Entry
    files: tuple[FileCheck, ...]
    missing: tuple[LanguageAdapterRef, ...] = ()

    @property
    def language_adapters(self) -> Literal["present", "missing"] | None:
        """Whether all language adapters that it was trained on are here; None where it needs none."""
        if not self.entry.manifest.language_adapters:
            return None
        return "missing" if self.missing else "present"

    @property
    def ok(self) -> bool:
        """Whether all files are as the manifest says, there are no others, and no language adapter is missing."""
        return not self.missing and not self.faults

    @property
    def faults(self) -> tuple[FileCheck, ...]:
        """The files that are missing, changed, irregular or extra."""
        return tuple(check for check in self.files if check.state not in ("ok", "edited"))


class Contents(NamedTuple):
    """All that a registry holds, from one reading of it."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


class Registry(Protocol):
    """The interface that all commands and the loader use.

    The files of an entry never change. A registry shows complete entries only, even if the process that published them
    was killed.
    """

    @property
    def location(self) -> str:
        """Where this is, as the user would write it."""

    def list(self) -> tuple[Entry, ...]:
        """Every readable entry, sorted by name, then oldest version first."""

    def problems(self) -> tuple[Problem, ...]:
        """What `list` leaves out because it cannot be read."""

    def contents(self) -> Contents:
        """What `list` and `problems` give, from one reading."""

    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        """The given or newest version. Raises NotFoundError, and IntegrityError if that one is unreadable."""

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        """The entries that `resolve` needs for `query`: all there are or, on the Hub, all that could matter."""

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        """The entries whose weights have this digest, oldest first; a task adapter finds its language adapter so.

        `near` is the name to look under first. A large registry looks only under names like it.
        """

    def require_writable(self) -> None:
        """Called before work that ends in `publish`. Raises UsageError or StorageError if that would fail."""

    @property
    def mends(self) -> bool:
        """Whether `publish` mends a version that is there and damaged; where not, it refuses."""

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        """Called before a copy looks at what is there. Raises UsageError if `publish` would refuse any such adapter."""

    def publish(self, folder: Path) -> Entry:
        """Checks a prepared folder and makes all of it visible in one step. Does nothing if it is there already."""

    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        """Removes a version. Raises UsageError if a task adapter here was trained on it, unless `force`."""

    def fetch(self, entry: Entry) -> Path:
        """A local folder with the entry's files. Raises NotFoundError if the entry was removed."""

    def verify(self, entry: Entry) -> VerificationReport:
        """Re-hashes every file."""


def version_of(manifest_text: str, created: str) -> str:
    """A version's name, "20260101T000000Z-" and 12 digits of badx.json's sha256: later sorts higher."""
    stamp = created.replace("-", "").replace(":", "")
    return f"{stamp}-{hashlib.sha256(manifest_text.encode()).hexdigest()[:12]}"


def same_weights(entries: Iterable[Entry], ref: LanguageAdapterRef) -> tuple[Entry, ...]:
    """Those that have the weights which `ref` names by digest, of its name if there are any.

    An adapter that was imported, or given another label, may have the same weights under another name.
    """
    same = [one for one in entries if one.manifest.digest == ref.digest and one.name.task is None]
    return tuple([one for one in same if one.manifest.name == ref.name] or same)


def newest(entries: Iterable[Entry]) -> Entry:
    """The entry with the greatest version; among equals the greatest name, so the order does not matter."""
    return max(entries, key=lambda entry: (entry.version, str(entry.name)))

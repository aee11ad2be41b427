"""Finding an adapter on a Hub by the digest of its weights and a name to look under first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from badx_hub.errors import DataError, IntegrityError, NotFoundError
from badx_hub.hub.ref import MAIN, HubRef
from badx_hub.names import AdapterName
from badx_hub.registry.hub.reader import HubReader, RepoFilter, RepoListing
from badx_hub.registry.protocol import Entry


@dataclass(frozen=True)
class Lookup:
    """Looks in one namespace, or with `owner` None on all of the Hub; `confirm` reads what a listing names.

    The adapters that another one needs were published with it: on the branch `revision`, or on main before.
    """

    reader: HubReader
    owner: str | None
    revision: str
    confirm: Callable[[Iterable[RepoListing]], tuple[Entry, ...]]

    def near(self, digest: str, name: AdapterName) -> tuple[Entry, ...]:
        """Those with this digest: the newest version of that name, else its history, else names beside it."""
        for look in (self._newest_of, self._history_of, self._beside):
            if found := tuple(entry for entry in look(name) if entry.manifest.digest == digest):
                return found
        return ()

    def _newest_of(self, name: AdapterName) -> tuple[Entry, ...]:
        if self.owner is None:
            return tuple(e for e in self._beside(name) if e.name == name)
        found = []
        for place in self._places(name):
            with suppress(NotFoundError, DataError, IntegrityError):
                found.append(self.reader.read(place))
        return tuple(found)

    def _history_of(self, name: AdapterName) -> tuple[Entry, ...]:
        found: list[Entry] = []
        for place in self._places(name):
            with suppress(NotFoundError):
                found += self.reader.history(place)
        return tuple(found)

    def _places(self, name: AdapterName) -> tuple[HubRef, ...]:
        if self.owner is None:
            return ()
        place = HubRef(self.owner, name.repo_name)
        return tuple(replace(place, revision=one) for one in dict.fromkeys((self.revision, MAIN)))

    def _beside(self, name: AdapterName) -> tuple[Entry, ...]:
        mixture = name.mixture
        tags = RepoFilter(mixture.source, mixture.targets[0] if mixture.kind != "language" else None).tags()
        return self.confirm([one for one in self.reader.find(self.owner, tags) if _is_beside(one.name, name)])


def _is_beside(one: AdapterName, other: AdapterName) -> bool:
    """Whether they differ in ratio or label alone."""
    return (one.base, one.task, one.setup) == (other.base, other.task, other.setup) and (
        one.mixture.languages == other.mixture.languages
    )

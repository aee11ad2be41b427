"""Opening registries: one, or several as one, where the Hub is asked only if nothing nearer fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from badx_hub.arguments import checked
from badx_hub.errors import BadxError, NotFoundError, UsageError
from badx_hub.hub.ref import HubRef, parse_location
from badx_hub.names import AdapterName
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Contents, Entry, Problem, Registry, VerificationReport
from badx_hub.registry.query import AdapterQuery, swapped_in
from badx_hub.registry.resolve import RegistrySnapshot, Resolution, resolve_in_order
from badx_hub.remedies import Advice, ListAdapters
from badx_hub.setups import FALLBACKS
from badx_hub.storage import home
from badx_hub.user_paths import user_path

DEMO = "demo"
HUB_CACHE = "hf-cache:"

Where: TypeAlias = "Registry | str | Path | Sequence[Registry | str | Path | None] | None"
"""A registry, what `open_registry` opens, or several of these in the order in which to look into them."""


@checked()
def open_registry(where: str | Path | None = None) -> Registry:
    """The registry at a location.

    Args:
        where: None is the user's own registry, "demo" the embedded one (read-only), "hf:ORG" a namespace on the Hub,
            "hf:" the whole Hub. Anything else is a folder; one that does not exist yet is an empty registry.

    Raises:
        NotFoundError: this installation has no demo registry.
        UsageError: the path is a file.
    """
    if where is None:
        return LocalRegistry(home() / "registry")
    if where == DEMO:
        embedded = Path(str(files("badx_hub").joinpath("demo", "registry")))
        if not embedded.is_dir():
            raise NotFoundError("This installation has no demo registry. Reinstall badx_hub from a wheel.")
        return LocalRegistry(embedded, read_only=True)
    root = parse_location(where) if isinstance(where, str) else user_path(where)
    if isinstance(root, HubRef):
        from badx_hub.registry.hub import HubRegistry

        return HubRegistry(root.namespace)
    if root.exists() and not root.is_dir():
        raise UsageError(
            f"{root} is a file and a registry is a folder.",
            remedies=(Advice("Give a folder (`{}`).", (("registry", "DIR"),)),),
        )
    return LocalRegistry(root)


def open_chain(where: Where = None, *, offline: bool = False) -> RegistryChain:
    """The registries of `where` in order; default the user's own, the Hub's cache, the whole Hub.

    Offline (also by HF_HUB_OFFLINE) a registry on the Hub has only what its cache holds. Raises UsageError for an empty
    list.
    """
    given: Sequence[Registry | str | Path | None]
    if where is None:
        given = (None, HUB_CACHE, str(HubRef()))
    elif isinstance(where, Sequence) and not isinstance(where, str):
        given = where
    else:
        given = (where,)
    if not given:
        raise UsageError("The list of registries is empty. Leave it out to look into your own and the Hub.")
    return RegistryChain(given, offline=offline)


def find(chain: RegistryChain, query: AdapterQuery, *, fallback: str | None = None) -> Resolution:
    """`resolve_in_order` over the registries, each read only if the ones before it lack the adapter.

    The error of the first registry is raised as it is. If a later one cannot be read, the NotFoundError says so.
    """
    return resolve_in_order(chain.read(query, fallback), query, fallback=fallback)


class RegistryChain:
    """Registries in order of preference, behind the interface of one; each is opened when it is first needed.

    Publishing writes to the first registry. Everything else about an entry goes to the registry that has it.
    """

    def __init__(self, given: Sequence[Registry | str | Path | None], *, offline: bool = False) -> None:
        self.given = tuple(given)
        self.offline = offline
        self._opened: dict[int, Registry] = {}
        self._homes: dict[tuple[str, str], Registry] = {}

    @property
    def registries(self) -> Iterator[Registry]:
        """The registries in order."""
        for index, one in enumerate(self.given):
            if index not in self._opened:
                self._opened[index] = _opened(one, self.offline)
            yield self._opened[index]

    @property
    def location(self) -> str:
        """The locations in order."""
        return ", ".join(
            open_registry().location if one is None else str(one) if isinstance(one, (str, Path)) else one.location
            for one in self.given
        )

    def read(self, query: AdapterQuery, fallback: str | None = None) -> Iterator[RegistrySnapshot]:
        """What each registry has for `query` and its fallback; a registry is read when its snapshot is drawn."""
        for index, registry in enumerate(self.registries):
            try:
                entries = {entry: None for one in _all_queries(query, fallback) for entry in registry.candidates(one)}
                yield RegistrySnapshot(self._remember(tuple(entries), registry), registry.problems())
            except BadxError as error:
                if index == 0:
                    raise
                yield RegistrySnapshot((), unread=error)

    def home_of(self, entry: Entry) -> Registry:
        """The registry that has an entry. Raises NotFoundError."""
        known = self._homes.get((entry.location, entry.version))
        if known is not None:
            return known
        for registry in self.registries:
            try:
                if registry.get(entry.name, entry.version) == entry:
                    return registry
            except NotFoundError:
                continue
        raise NotFoundError(f"{entry.name} {entry.version} is not in {self.location}.", remedies=(ListAdapters(),))

    def list(self) -> tuple[Entry, ...]:
        """Every entry of every registry, each version once."""
        return self._without_repeats(self._remember(registry.list(), registry) for registry in self.registries)

    def problems(self) -> tuple[Problem, ...]:
        """Those of every registry."""
        return tuple(problem for registry in self.registries for problem in registry.problems())

    def contents(self) -> Contents:
        """What `list` and `problems` give."""
        return Contents(self.list(), self.problems())

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        """Those of every registry, each version once."""
        return self._without_repeats(
            self._remember(registry.candidates(query), registry) for registry in self.registries
        )

    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        """From the first registry that has it. Raises NotFoundError as the last one does."""
        missing = NotFoundError(f"{name} is not in {self.location}.", remedies=(ListAdapters(),))
        for registry in self.registries:
            try:
                return self._remember((registry.get(name, version),), registry)[0]
            except NotFoundError as error:
                missing = error
        raise missing

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        """Those of every registry, oldest first, each version once."""
        found = self._without_repeats(self._remember(one.by_digest(digest, near), one) for one in self.registries)
        return tuple(sorted(found, key=lambda entry: entry.version))

    def require_writable(self) -> None:
        """Of the first registry."""
        next(self.registries).require_writable()

    @property
    def mends(self) -> bool:
        """Of the first registry."""
        return next(self.registries).mends

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        """Of the first registry."""
        next(self.registries).require_publishable(names)

    def publish(self, folder: Path) -> Entry:
        """Into the first registry."""
        first = next(self.registries)
        return self._remember((first.publish(folder),), first)[0]

    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        """From the registry that has the entry; a problem from the one that reports it."""
        if isinstance(entry, Entry):
            self.home_of(entry).remove(entry, force=force)
            return
        for registry in self.registries:
            if entry in registry.problems():
                registry.remove(entry, force=force)
                return
        raise NotFoundError(f"{entry.location} is not in {self.location}.", remedies=(ListAdapters(),))

    def fetch(self, entry: Entry) -> Path:
        """From the registry that has the entry."""
        return self.home_of(entry).fetch(entry)

    def verify(self, entry: Entry) -> VerificationReport:
        """By the registry that has the entry."""
        return self.home_of(entry).verify(entry)

    def _remember(self, entries: tuple[Entry, ...], registry: Registry) -> tuple[Entry, ...]:
        for entry in entries:
            self._homes.setdefault((entry.location, entry.version), registry)
        return entries

    @staticmethod
    def _without_repeats(groups: Iterator[tuple[Entry, ...]]) -> tuple[Entry, ...]:
        found: dict[tuple[str, str], Entry] = {}
        for group in groups:
            for entry in group:
                found.setdefault((entry.manifest.name, entry.version), entry)
        return tuple(found.values())


def _opened(one: Registry | str | Path | None, offline: bool) -> Registry:
    if one is not None and not isinstance(one, (str, Path)):
        return one
    place = HubRef() if one == HUB_CACHE else parse_location(one) if isinstance(one, str) else one
    if isinstance(place, HubRef) and (offline or one == HUB_CACHE):
        from badx_hub.registry.hub import HubRegistry

        return HubRegistry(place.namespace, offline=True)
    return open_registry(one)


def _all_queries(query: AdapterQuery, fallback: str | None) -> Iterator[AdapterQuery]:
    """All that `resolve_in_order` may look for to answer `query`."""
    for setup in dict.fromkeys((query.setup, FALLBACKS.get(fallback or "", query.setup))):
        one = replace(query, setup=setup)
        yield one
        if one.setup_definition.swaps:
            yield swapped_in(one)

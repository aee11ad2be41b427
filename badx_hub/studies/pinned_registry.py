"""A registry as one step of a study sees it: of the adapters it needs, only the given versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from badx_hub.errors import NotFoundError
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, Entry, Registry
from badx_hub.registry.protocol import Contents, Problem, VerificationReport, newest


class Pinned:
    """`registry` without the other versions of the adapters in `pinned`.

    Training finds a language adapter by its name and takes the newest. A study names its language adapters by content,
    as the newest may be of another recipe. `known`: what `registry` lists, where that is known already.
    """

    def __init__(self, registry: Registry, pinned: Iterable[Entry], known: tuple[Entry, ...] | None = None) -> None:
        self.registry, self.known = registry, known
        self.versions = {entry.name: entry.version for entry in pinned}

    @property
    def location(self) -> str:
        return self.registry.location

    def list(self) -> tuple[Entry, ...]:
        """The entries of the registry, without other versions of pinned adapters."""
        return self._visible(self.registry.list() if self.known is None else self.known)

    def problems(self) -> tuple[Problem, ...]:
        """The problems of the registry that are not about pinned adapters."""
        return tuple(problem for problem in self.registry.problems() if problem.name not in self.versions)

    def contents(self) -> Contents:
        """The entries of `list` and the problems of `problems`."""
        return Contents(self.list(), self.problems())

    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        """The given version, else the pinned or newest one. Raises NotFoundError, also for a hidden version."""
        if version is not None:
            entry = self.registry.get(name, version)
            if not self._visible((entry,)):
                raise NotFoundError(f"{name} {version} is left out here. Take {self.versions[entry.name]}.")
            return entry
        if known := [entry for entry in self.list() if str(entry.name) == str(name)]:
            return newest(known)
        return self.registry.get(name)

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        """The candidates of the registry, without other versions of pinned adapters."""
        return self._visible(self.registry.candidates(query))

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        """The registry's entries of a digest, which identifies one adapter anyway."""
        return self.registry.by_digest(digest, near)

    def require_writable(self) -> None:
        self.registry.require_writable()

    @property
    def mends(self) -> bool:
        return self.registry.mends

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        self.registry.require_publishable(names)

    def publish(self, folder: Path) -> Entry:
        return self.registry.publish(folder)

    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        self.registry.remove(entry, force=force)

    def fetch(self, entry: Entry) -> Path:
        return self.registry.fetch(entry)

    def verify(self, entry: Entry) -> VerificationReport:
        return self.registry.verify(entry)

    def _visible(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple(e for e in entries if self.versions.get(e.name, e.version) == e.version)

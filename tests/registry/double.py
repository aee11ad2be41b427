"""A registry in memory, which counts how often it is read and can be out of reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from badx_hub.errors import BadxError, HubError, NotFoundError
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, Entry, Problem, VerificationReport
from badx_hub.registry.protocol import Contents, newest


class Double:
    """Behaves as the Registry protocol says, as far as entries without files let it."""

    def __init__(self, location: str, entries: Iterable[Entry] = (), *, failure: BadxError | None = None) -> None:
        self.location = location
        self.entries = tuple(entries)
        self.failure = failure
        self.asked = 0

    def list(self) -> tuple[Entry, ...]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.entries

    def problems(self) -> tuple[Problem, ...]:
        return ()

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        return self.list()

    def contents(self) -> Contents:
        return Contents(self.list(), self.problems())

    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        found = [one for one in self.list() if str(one.name) == str(name) and version in (None, one.version)]
        if not found:
            raise NotFoundError(f"{name} is not in {self.location}.")
        return newest(found)

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        return tuple(one for one in self.list() if one.manifest.digest == digest)

    @property
    def mends(self) -> bool:
        return False

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        pass

    def publish(self, folder: Path) -> Entry:
        raise NotImplementedError

    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        self.entries = tuple(one for one in self.entries if one != entry)

    def fetch(self, entry: Entry) -> Path:
        return Path(self.location) / str(entry.name)

    def verify(self, entry: Entry) -> VerificationReport:
        return VerificationReport(entry, ())


UNREACHABLE = HubError("Reading hf: failed: nobody answers.")

"""Reading a Hub: repositories by tags and names, manifests by commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from badx_hub.adapter_files import MANIFEST_FILE
from badx_hub.base_spec import spec_slug
from badx_hub.errors import DataError, IntegrityError, NotFoundError
from badx_hub.hub.client import HubClient
from badx_hub.hub.errors import NoSuchFile
from badx_hub.hub.ref import MAIN, HubRef, split_repo
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.hub.cache import HubCache
from badx_hub.registry.protocol import Entry, Problem, version_of
from badx_hub.remedies import ImportAdapter

TAG = "badx"
MAX_REPOS = 20_000
MAX_HISTORY = 200
_READERS = 8

_A = TypeVar("_A")
_T = TypeVar("_T")


@dataclass(frozen=True)
class RepoFilter:
    """What to look for; None: any. `base` is a Hub id, a folder or a slug ("mbert")."""

    source: str | None = None
    target: str | None = None
    task: str | None = None
    base: str | None = None

    def tags(self) -> tuple[str, ...]:
        """The tags of cards that narrow a search over the whole Hub."""
        given = {"source": self.source, "target": self.target, "task": self.task}
        return tuple(f"badx-{field}:{value}" for field, value in given.items() if value is not None)

    def fits(self, name: AdapterName) -> bool:
        """Whether the adapter of that name is meant."""
        mixture = name.mixture
        return (
            self.source in (None, mixture.source)
            and (self.target is None or self.target in mixture.targets)
            and self.task in (None, name.task)
            and (self.base is None or name.base == spec_slug(self.base))
        )


@dataclass(frozen=True)
class RepoListing:
    """A repository in a listing: named as an adapter of ours, which its badx.json has yet to confirm."""

    owner: str
    name: AdapterName
    sha: str | None
    tagged: bool

    @property
    def repo(self) -> str:
        """The repository's id."""
        return f"{self.owner}/{self.name.repo_name}"


@dataclass(frozen=True)
class HubReader:
    """Reads one Hub, through its cache."""

    client: HubClient
    cache: HubCache

    def find(self, owner: str | None, tags: Iterable[str] = ()) -> tuple[RepoListing, ...]:
        """The repositories named as adapters of ours, sorted; of one owner, or of all that have the tags.

        An owner's repositories are not narrowed by tags: a server may have none, and names say what tags say.
        """
        found = []
        for one in self.client.models(owner, (TAG, *tags), most=MAX_REPOS):
            if (split := split_repo(one.repo)) is not None and split[0] == (owner or split[0]):
                found.append(RepoListing(*split, one.sha, TAG in one.tags))
        return tuple(sorted(found, key=lambda one: (str(one.name), one.owner)))

    def read(self, place: HubRef) -> Entry:
        """The adapter in a repository at a revision, from badx.json alone.

        Raises NotFoundError (no repository, revision or badx.json), DataError and IntegrityError (a badx.json
        that cannot be trusted), HubError.
        """
        if place.commit is not None and (known := self.cache.manifest(place)) is not None:
            return _entry(known, place)
        try:
            answer = self.client.read(place, MANIFEST_FILE, limit=MAX_MANIFEST_BYTES)
        except NoSuchFile as error:
            raise NoSuchFile(
                f"{place.repo} at {place.at} has no {MANIFEST_FILE}: it is no adapter of badx_hub, or is being made.",
                remedies=(ImportAdapter(place.repo),),
            ) from error
        try:
            text = answer.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{MANIFEST_FILE} of {place.repo} is not UTF-8 (byte {error.start}). Tell its owner."
            ) from error
        commit = answer.commit or self.client.head(place)
        if commit is None:
            raise IntegrityError(f"{place.repo}: the Hub does not say which commit {place.at} is. Check HF_ENDPOINT.")
        place = replace(place, revision=commit)
        entry = _entry(text, place)
        self.cache.remember(place, text)
        return entry

    def read_all(self, found: Iterable[RepoListing]) -> tuple[list[Entry], list[Problem]]:
        """The adapters of a listing, in its order, and what cannot be read of those that are tagged as ours."""
        entries: list[Entry] = []
        problems: list[Problem] = []
        for one in self._in_parallel(self._confirm, tuple(found)):
            if isinstance(one, Entry):
                entries.append(one)
            elif one is not None:
                problems.append(one)
        return entries, problems

    def history(self, place: HubRef) -> tuple[Entry, ...]:
        """Every readable version in the last 200 commits of a repository's branch, newest commit first."""
        commits = self.client.commits(place, most=MAX_HISTORY)
        seen: dict[str, Entry] = {}
        for entry in self._in_parallel(lambda commit: self._try(replace(place, revision=commit)), commits):
            if entry is not None:
                seen.setdefault(entry.version, entry)
        return tuple(seen.values())

    def _confirm(self, found: RepoListing) -> Entry | Problem | None:
        place = HubRef(found.owner, found.name.repo_name, found.sha or MAIN)
        try:
            return self.read(place)
        except NotFoundError as error:
            # Named like one of ours by chance, or made by a push that has yet to commit.
            gone = replace(place, revision=None)
            return Problem(found.name, place.at, str(gone), error) if found.tagged else None
        except (DataError, IntegrityError) as error:
            return Problem(found.name, place.at, str(place), error)

    def _try(self, place: HubRef) -> Entry | None:
        try:
            return self.read(place)
        except (NotFoundError, DataError, IntegrityError):
            return None

    def _in_parallel(self, act: Callable[[_A], _T], items: Sequence[_A]) -> list[_T]:
        if len(items) < 2:
            return [act(item) for item in items]
        with ThreadPoolExecutor(min(_READERS, len(items))) as pool:
            return list(pool.map(act, items))


def _entry(text: str, place: HubRef) -> Entry:
    manifest = Manifest.from_json(text, f"{MANIFEST_FILE} of {place.repo}")
    _check_repo_name(manifest, place.repo)
    return Entry(manifest, version_of(text, manifest.created), str(place))


def _check_repo_name(manifest: Manifest, repo: str) -> None:
    """Raises IntegrityError if the manifest is that of another adapter than the repository's name says."""
    if manifest.adapter_name.repo_name != repo.partition("/")[2]:
        raise IntegrityError(
            f"{repo} says in its {MANIFEST_FILE} that it is {manifest.name}. Do not use it; tell its owner."
        )

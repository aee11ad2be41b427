"""Reading a Hub: repositories by tags and names, manifests by commit, what a commit holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile

from badx_hub.adapter_files import MANIFEST_FILE
from badx_hub.errors import DataError, HubError, IntegrityError, NotFoundError
from badx_hub.hub.ref import HUB, MAIN, HubRef, is_commit, split_repo
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.hub.cache import HubCache
from badx_hub.registry.hub.client import TIME_LIMITS, RetryPolicy, attempt, client, read_file
from badx_hub.registry.hub.trust import MAX_FILES_LISTED, check_repo_name
from badx_hub.registry.protocol import Entry, Problem, version_of

TAG = "badx"
MAX_REPOS = 20_000
_MAX_HISTORY = 200
_READERS = 8

_A = TypeVar("_A")
_T = TypeVar("_T")


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

    endpoint: str | None
    token: str | None
    cache: HubCache
    retries: RetryPolicy

    @cached_property
    def api(self) -> HfApi:
        """The client."""
        return client(self.endpoint, self.token)

    def find(self, owner: str | None, tags: Iterable[str] = ()) -> tuple[RepoListing, ...]:
        """The repositories named as adapters of ours, sorted; of one owner, or of all that have the tags.

        An owner's repositories are not narrowed by tags: a server may have none, and names say what tags say.
        """

        def listing() -> list[tuple[str, str | None, Sequence[str]]]:
            models = self.api.list_models(
                author=owner, filter=None if owner else [TAG, *tags], expand=["sha", "tags"], limit=MAX_REPOS
            )
            return [(str(model.id), model.sha, model.tags or ()) for model in models]

        whose = f"the adapters of {owner}" if owner else "adapters on the Hub"
        found = []
        for repo, sha, tagged in attempt(listing, f"Looking for {whose}", self.retries):
            if (split := split_repo(repo)) is not None and split[0] == (owner or split[0]):
                commit = sha if isinstance(sha, str) and is_commit(sha) else None
                found.append(RepoListing(*split, commit, TAG in tagged))
        return tuple(sorted(found, key=lambda one: (str(one.name), one.owner)))

    def read(self, owner: str, name: AdapterName, revision: str = MAIN) -> Entry:
        """The adapter at a revision, from badx.json alone.

        Raises NotFoundError (no repository, revision or badx.json), DataError and IntegrityError (a badx.json
        that cannot be trusted), HubError.
        """
        repo = f"{owner}/{name.repo_name}"
        place = HubRef(owner, name.repo_name, revision)
        if place.commit is not None and (text := self.cache.manifest(place)) is not None:
            return _entry(text, place)
        answer = read_file(self.api, repo, MANIFEST_FILE, revision, limit=MAX_MANIFEST_BYTES, retries=self.retries)
        try:
            text = answer.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{MANIFEST_FILE} of {repo} is not UTF-8 (byte {error.start}). Tell its owner.") from error
        commit = answer.commit or self.head(repo, revision)
        if commit is None:
            raise IntegrityError(f"{repo}: the Hub does not say which commit {revision} is. Check HF_ENDPOINT.")
        place = HubRef(owner, name.repo_name, commit)
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

    def history(self, owner: str, name: AdapterName, revision: str = MAIN) -> tuple[Entry, ...]:
        """Every readable version in the repository's last 200 commits, newest commit first."""
        repo = f"{owner}/{name.repo_name}"
        commits = self.commits(repo, revision)[:_MAX_HISTORY]
        seen: dict[str, Entry] = {}
        for commit in self._in_parallel(lambda commit: self._try(owner, name, commit), commits):
            if commit is not None:
                seen.setdefault(commit.version, commit)
        return tuple(seen.values())

    def commits(self, repo: str, revision: str = MAIN) -> tuple[str, ...]:
        """The commits of a revision, newest first; none where the server keeps no such list."""

        def listing() -> tuple[str, ...]:
            found = self.api.list_repo_commits(repo, revision=revision)
            return tuple(commit.commit_id for commit in found if is_commit(commit.commit_id))

        try:
            return attempt(listing, f"Reading the history of {repo}", self.retries)
        except HubError as error:
            if error.status in (405, 501):
                return ()
            raise

    def head(self, repo: str, revision: str = MAIN) -> str | None:
        """The commit that a revision is at; None for an empty repository. Raises NotFoundError."""

        def ask() -> str | None:
            sha = self.api.model_info(repo, revision=revision, timeout=TIME_LIMITS[1]).sha
            return sha if sha and is_commit(sha) else None

        return attempt(ask, f"Reading {repo}", self.retries)

    def is_public(self, repo: str) -> bool:
        """Whether the server says that everybody may read it."""
        return attempt(
            lambda: self.api.model_info(repo, timeout=TIME_LIMITS[1]).private is False, f"Reading {repo}", self.retries
        )

    def files(self, repo: str, commit: str) -> dict[str, RepoFile]:
        """The files at the top of the repository with sizes and, for LFS files, the server's own sha256."""

        def listing() -> dict[str, RepoFile]:
            tree = islice(self.api.list_repo_tree(repo, revision=commit), MAX_FILES_LISTED + 1)
            return {str(item.path): item for item in tree if isinstance(item, RepoFile)}

        found = attempt(listing, f"Listing the files of {repo}", self.retries)
        if len(found) > MAX_FILES_LISTED:
            raise IntegrityError(f"{repo} has more than {MAX_FILES_LISTED} files: it is no adapter of ours.")
        return found

    def _confirm(self, found: RepoListing) -> Entry | Problem | None:
        revision = found.sha or MAIN
        try:
            return self.read(found.owner, found.name, revision)
        except NotFoundError as error:
            # Named like one of ours by chance, or made by a push that has yet to commit.
            return Problem(found.name, revision, f"{HUB}{found.repo}", error) if found.tagged else None
        except (DataError, IntegrityError) as error:
            return Problem(found.name, revision, f"{HUB}{found.repo}@{revision}", error)

    def _try(self, owner: str, name: AdapterName, commit: str) -> Entry | None:
        try:
            return self.read(owner, name, commit)
        except (NotFoundError, DataError, IntegrityError):
            return None

    def _in_parallel(self, act: Callable[[_A], _T], items: Sequence[_A]) -> list[_T]:
        if len(items) < 2:
            return [act(item) for item in items]
        with ThreadPoolExecutor(min(_READERS, len(items))) as pool:
            return list(pool.map(act, items))


def _entry(text: str, place: HubRef) -> Entry:
    manifest = Manifest.from_json(text, f"{MANIFEST_FILE} of {place.repo}")
    check_repo_name(manifest, place.repo)
    return Entry(manifest, version_of(text, manifest.created), str(place))


def set_tag(reader: HubReader, place: HubRef, tag: str) -> None:
    """Names a commit. Raises HubError if the tag is taken by another commit."""
    refs = attempt(lambda: reader.api.list_repo_refs(place.repo), f"Reading the tags of {place.repo}", reader.retries)
    taken = next((ref.target_commit for ref in refs.tags if ref.name == tag), None)
    if taken == place.revision:
        return
    if taken is not None:
        raise HubError(
            f"{place} is published, but {place.repo} has a tag {tag} already, on {taken[:8]}. "
            f"Choose another: badx-hub push '{place.adapter}' --to {HUB}{place.owner} --tag NAME",
            409,
        )

    def create() -> None:
        reader.api.create_tag(place.repo, tag=tag, revision=place.at)

    attempt(create, f"Tagging {place}", reader.retries)

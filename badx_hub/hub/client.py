"""The one client for Hubs: each thing that badx_hub asks of one, in its own types and with its own errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    scan_cache_dir,
    snapshot_download,
)
from huggingface_hub.errors import CacheNotFound, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile

from badx_hub.errors import HubError, IntegrityError, NotFoundError
from badx_hub.hub.errors import FAILURES, hub_error, one_line
from badx_hub.hub.ref import HubRef, is_commit
from badx_hub.hub.transport import TIME_LIMITS, Answer, RetryPolicy, attempt, client, download, read_file
from badx_hub.hub.validation import check_card
from badx_hub.remedies import Advice

MAX_FILES_LISTED = 5000

_NOT_OFFERED = (405, 501)
_PARENT_DIGITS = 40  # huggingface_hub takes no longer id as the parent of a commit
_T = TypeVar("_T")
_ASK_THE_HUB = Advice("Leave out {} and HF_HUB_OFFLINE to ask the Hub.", (("offline", True),))


@dataclass(frozen=True)
class ListedRepo:
    """A repository in a listing, as the server describes it: its newest commit `sha`, and the tags of its card."""

    repo: str
    sha: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ListedFile:
    """A file in a listing: `size` in bytes, and the server's own `sha256` for those in LFS."""

    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Upload:
    """A file to commit, of `size` bytes; `content` may be that of a file here."""

    name: str
    size: int
    content: bytes | Path = field(repr=False)


@dataclass(frozen=True)
class HubClient:
    """Asks the Hub at `endpoint` (default HF_ENDPOINT) with `token` (default: huggingface_hub's own store).

    Unless they say otherwise, methods try again as `retries` says and raise NotFoundError (no such thing, or not for
    this account), HubError (refused, failed, out of reach) and IntegrityError (no answer of a Hub).
    """

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    retries: RetryPolicy = field(default_factory=RetryPolicy)

    @cached_property
    def _api(self) -> HfApi:
        return client(self.endpoint, self.token)

    def read(self, place: HubRef, file: str, *, limit: int) -> Answer:
        """A file's content. Raises IntegrityError if it has more than `limit` bytes, too."""
        return read_file(self._api, place, file, limit=limit, retries=self.retries)

    def download(self, place: HubRef, file: str, target: Path, *, limit: int) -> None:
        """A file of at most `limit` bytes into `target`; nothing of it is checked."""
        download(self._api, place, file, target, limit=limit, retries=self.retries)

    def models(self, owner: str | None, tags: Sequence[str], *, most: int) -> tuple[ListedRepo, ...]:
        """At most `most` model repositories of an owner, or of all those that have the tags."""

        def listing() -> tuple[ListedRepo, ...]:
            found = self._api.list_models(
                author=owner, filter=None if owner else list(tags), expand=["sha", "tags"], limit=most
            )
            return tuple(ListedRepo(str(one.id), _commit(one.sha), _tags(one.tags)) for one in found)

        return self._ask(listing, f"Looking for {f'the adapters of {owner}' if owner else 'adapters on the Hub'}")

    def head(self, place: HubRef) -> str | None:
        """The commit that a place is at; None for an empty repository."""
        return self._ask(
            lambda: _commit(self._api.model_info(place.repo, revision=place.at, timeout=TIME_LIMITS[1]).sha),
            f"Reading {place.repo}",
        )

    def is_public(self, repo: str) -> bool:
        """Whether the server says that everybody may read it."""
        return self._ask(lambda: self._api.model_info(repo, timeout=TIME_LIMITS[1]).private is False, f"Reading {repo}")

    def files(self, place: HubRef) -> dict[str, ListedFile]:
        """The files at the top of a repository by name. Raises IntegrityError beyond `MAX_FILES_LISTED`."""

        def listing() -> dict[str, ListedFile]:
            tree = islice(self._api.list_repo_tree(place.repo, revision=place.at), MAX_FILES_LISTED + 1)
            return {str(item.path): _listed(item) for item in tree if isinstance(item, RepoFile)}

        found = self._ask(listing, f"Listing the files of {place.repo}")
        if len(found) > MAX_FILES_LISTED:
            raise IntegrityError(f"{place.repo} has more than {MAX_FILES_LISTED} files: it is no adapter of ours.")
        return found

    def commits(self, place: HubRef) -> tuple[str, ...]:
        """The commits of a revision, newest first; none where the server keeps no such list."""

        def listing() -> tuple[str, ...]:
            found = self._api.list_repo_commits(place.repo, revision=place.at)
            return tuple(commit.commit_id for commit in found if is_commit(commit.commit_id))

        try:
            return self._ask(listing, f"Reading the history of {place.repo}")
        except HubError as error:
            if error.status in _NOT_OFFERED:
                return ()
            raise

    def tags(self, repo: str) -> dict[str, str]:
        """The commits that tags name."""
        return self._ask(
            lambda: {ref.name: ref.target_commit for ref in self._api.list_repo_refs(repo).tags},
            f"Reading the tags of {repo}",
        )

    def create_tag(self, place: HubRef, tag: str) -> None:
        """Names a commit."""
        self._ask(lambda: self._api.create_tag(place.repo, tag=tag, revision=place.at), f"Tagging {place}")

    def check_card(self, text: str, repo: str, *, kind: str = "model") -> None:
        """Raises DataError if the Hub would refuse this README.md of a repository for its metadata."""
        check_card(self._api, text, repo, kind=kind, retries=self.retries)

    def create_repo(self, repo: str, *, private: bool) -> None:
        """Makes a repository unless it is there. One try; what fails is one of `FAILURES`."""
        self._api.create_repo(repo, private=private or None, exist_ok=True)

    def collect(self, owner: str, title: str, repos: Iterable[str]) -> str:
        """Puts models into the collection of that title, which is made unless it is there. Returns its address."""

        def add() -> str:
            found = self._api.create_collection(title, namespace=owner, exists_ok=True)
            for repo in repos:
                self._api.add_collection_item(found.slug, repo, "model", exists_ok=True)
            return str(found.url)

        return self._ask(add, f"Adding to the collection {owner}/{title}")

    def create_branch(self, place: HubRef) -> None:
        """Makes a branch of main unless it is there. One try; what fails is one of `FAILURES`."""
        self._api.create_branch(place.repo, branch=place.at, exist_ok=True)

    def commit(
        self,
        place: HubRef,
        uploads: Iterable[Upload],
        deletes: Iterable[str],
        *,
        parent: str | None,
        message: str,
        create_pr: bool,
    ) -> str:
        """The id of one new commit on top of `parent`. Raises IntegrityError for an answer that cannot be used.

        One try, and what fails is one of `FAILURES`: who publishes has to look before they try again.
        """
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(one.name, one.content) for one in uploads
        ]
        operations += [CommitOperationDelete(name) for name in deletes]
        try:
            done = self._api.create_commit(
                place.repo,
                operations,
                commit_message=message,
                revision=place.at,
                create_pr=create_pr,
                parent_commit=parent if parent and len(parent) <= _PARENT_DIGITS else None,
            )
            return str(done.oid)
        except FAILURES:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"Publishing {place.repo}: the Hub gave an answer that cannot be used ({one_line(str(error))}). "
                "Look at the repository, then push again."
            ) from error

    def dataset_commit(self, dataset: str, *, silence: float) -> str | None:
        """The newest commit of a data set, waiting at most `silence` seconds; None with HF_HUB_OFFLINE."""

        def ask() -> str | None:
            try:
                return self._api.dataset_info(dataset, timeout=silence).sha
            except OfflineModeIsEnabled:
                return None

        return self._ask(ask, f"Reading {dataset}")

    def snapshot(self, repo: str, patterns: Sequence[str], *, offline: bool) -> Path:
        """The folder of huggingface_hub's own cache with those files of a model, downloaded where need be.

        Raises NotFoundError if nothing may be asked (`offline`, HF_HUB_OFFLINE) and it is not in the cache, too.
        """
        doing = f"Downloading {repo}"

        def get() -> Path:
            return Path(
                snapshot_download(
                    repo,
                    allow_patterns=list(patterns),
                    local_files_only=offline,
                    endpoint=self._api.endpoint,
                    token=self.token,
                )
            )

        def or_its_cause() -> Path:
            try:
                return get()
            except LocalEntryNotFoundError as error:  # it could not ask, and the cache has nothing
                if isinstance(error.__cause__, FAILURES):
                    raise error.__cause__ from error
                raise hub_error(error, doing) from error

        if offline or is_offline():
            try:
                return get()
            except FAILURES as error:
                raise NotFoundError(f"{repo} is not in the Hugging Face cache, and you are offline.") from error
        return self._ask(or_its_cause, doing)

    def _ask(self, act: Callable[[], _T], doing: str) -> _T:
        return attempt(act, doing, self.retries)


def default_endpoint() -> str:
    """HF_ENDPOINT, or the Hub of Hugging Face."""
    return str(constants.ENDPOINT)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE is set."""
    return bool(constants.HF_HUB_OFFLINE)


def refuse_if_offline(offline: bool, doing: str) -> None:
    """Raises HubError if the Hub must not be asked."""
    if offline:
        raise HubError(f"{doing}: you are offline.", remedies=(_ASK_THE_HUB,))


def cached_models() -> tuple[str, ...]:
    """The models of which huggingface_hub's own cache has something, sorted."""
    try:
        return tuple(sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model"))
    except CacheNotFound:
        return ()


def _commit(sha: object) -> str | None:
    return sha if isinstance(sha, str) and is_commit(sha) else None


def _tags(tags: object) -> tuple[str, ...]:
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _listed(item: RepoFile) -> ListedFile:
    return ListedFile(item.size, item.lfs.sha256 or None if item.lfs is not None else None)

"""The one client for Hubs: each thing that badx_hub asks of one, in its own types and with its own errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.errors import OfflineModeIsEnabled

from badx_hub.errors import HubError, IntegrityError, NotFoundError
from badx_hub.hub.card_validation import check_card
from badx_hub.hub.errors import FAILURES, one_line, status_of
from badx_hub.hub.listings import ListedFile as ListedFile
from badx_hub.hub.listings import ListedRepo, commit_in, file_in, tags_in
from badx_hub.hub.paging import Pages, Query
from badx_hub.hub.ref import MAIN, HubRef, RepoAt, is_commit
from badx_hub.hub.session import TIME_LIMITS
from badx_hub.hub.transport import Answer, RetryPolicy, attempt, client, download, get_page, read_file
from badx_hub.hub.waiting import waiting
from badx_hub.remedies import Advice, Notice

MAX_FILES_LISTED = 5000

_LOG = logging.getLogger(__name__)
_PAGE = 1000  # repositories, the most that the Hub gives at once
_BAD_REQUEST, _IN_THE_WAY = 400, 409
_NOT_OFFERED = (405, 501)
_PARENT_DIGITS = 40  # huggingface_hub takes no longer id as the parent of a commit
_T = TypeVar("_T")
_ASK_THE_HUB = Advice("Leave out {} to ask the Hub.", (("offline", True),))
_UNSET = Advice("Unset HF_HUB_OFFLINE to ask the Hub.")


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

    def read(self, place: RepoAt, file: str, *, limit: int) -> Answer:
        """A file's content. Raises IntegrityError if it has more than `limit` bytes, too."""
        return read_file(self._api, place, file, limit=limit, retries=self.retries)

    def download(self, place: RepoAt, file: str, target: Path, *, limit: int) -> None:
        """A file of at most `limit` bytes into `target`; nothing of it is checked."""
        download(self._api, place, file, target, limit=limit, retries=self.retries)

    def models(self, owner: str | None, tags: Sequence[str], *, most: int) -> tuple[ListedRepo, ...]:
        """At most `most` model repositories of an owner, or of all those that have the tags.

        What is no repository is passed over. A note says so, and also if a listing has more than was read.
        """
        doing = f"Looking for {f'the adapters of {owner}' if owner else 'adapters on the Hub'}"
        chosen = [("author", owner)] if owner else [("filter", tag) for tag in tags]
        query = [*chosen, ("limit", str(_PAGE))]
        try:
            return self._models([*query, ("expand", "sha"), ("expand", "tags")], doing, most)
        except HubError as error:
            if error.status != _BAD_REQUEST:
                raise
            return self._models(query, doing, most)  # some Hubs know no `expand`

    def _models(self, query: Query, doing: str, most: int) -> tuple[ListedRepo, ...]:
        pages = self._pages("/api/models", query, doing)
        found: list[ListedRepo] = []
        for item in pages:
            if len(found) == most:
                pages.is_cut = True
                break
            if isinstance(repo := item.get("id"), str):
                found.append(ListedRepo(repo, commit_in(item.get("sha")), tags_in(item.get("tags"))))
            else:
                pages.passed_over += 1
        if pages.passed_over:
            _LOG.warning("%s: %d entries of the listing name no repository.", doing, pages.passed_over)
        if pages.is_cut:
            fact = f"{doing}: only the first {len(found):,} repositories were looked at, and there are more."
            _LOG.warning(Notice(fact, (Advice("Say whose you mean: {}.", (("owner", "ORG"),)),)))
        return tuple(found)

    def _pages(self, path: str, query: Query, doing: str) -> Pages:
        return Pages(lambda asked: get_page(self._api, path, asked, doing, self.retries), query)

    def head(self, place: RepoAt) -> str | None:
        """The commit that a place is at; None for an empty repository."""
        return self._ask(
            lambda: commit_in(self._api.model_info(place.repo, revision=place.at, timeout=TIME_LIMITS[1]).sha),
            f"Reading {place.repo}{'' if place.at == MAIN or is_commit(place.at) else f'@{place.at}'}",
        )

    def is_public(self, repo: str) -> bool:
        """Whether everybody may read it. A server that does not say so is asked by nobody in particular."""
        doing = f"Reading {repo}"
        private = self._ask(lambda: self._api.model_info(repo, timeout=TIME_LIMITS[1]).private, doing)
        if isinstance(private, bool):
            return not private
        try:
            self._ask(lambda: self._api.model_info(repo, timeout=TIME_LIMITS[1], token=False), doing)
        except (NotFoundError, HubError):
            return False
        return True

    def files(self, place: RepoAt) -> dict[str, ListedFile]:
        """The files at the top of a repository by name.

        Raises IntegrityError beyond `MAX_FILES_LISTED`, or for a listing without an end.
        """
        path = f"/api/models/{place.repo}/tree/{quote(place.at, safe='')}"
        pages = self._pages(path, (("recursive", "False"), ("expand", "False")), f"Listing the files of {place.repo}")
        found: dict[str, ListedFile] = {}
        for item in pages:
            if len(found) > MAX_FILES_LISTED:
                break
            if item.get("type") == "file" and isinstance(name := item.get("path"), str):
                found[name] = file_in(item)
        if len(found) > MAX_FILES_LISTED or pages.is_cut:
            raise IntegrityError(f"{place.repo} has more than {MAX_FILES_LISTED} files: nothing of it is taken.")
        return found

    def commits(self, place: HubRef, *, most: int, until: str | None = None) -> tuple[str, ...]:
        """The commits of a revision, newest first; none where the server keeps no such list.

        At most `most`, and none after `until`.
        """
        path = f"/api/models/{place.repo}/commits/{quote(place.at, safe='')}"
        found: list[str] = []
        try:
            for item in self._pages(path, (), f"Reading the history of {place.repo}"):
                if (commit := commit_in(item.get("id"))) is not None:
                    found.append(commit)
                if len(found) == most or commit == until is not None:
                    break
        except HubError as error:
            if error.status not in _NOT_OFFERED:
                raise
            return ()
        return tuple(found)

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

    def create_repo(self, repo: str, *, private: bool) -> bool:
        """Makes a repository, and says whether it was not there before. One try; what fails is one of `FAILURES`."""
        try:
            self._api.create_repo(repo, private=private or None)
        except FAILURES as error:
            if status_of(error) != _IN_THE_WAY:
                raise
            return False
        return True

    def delete_repo(self, repo: str) -> None:
        """Deletes a repository with all its history."""
        self._ask(lambda: self._api.delete_repo(repo), f"Deleting {repo}")

    def collect(self, owner: str, title: str, repos: Iterable[str]) -> str:
        """Puts models into the collection of that title, which is made unless it is there. Returns its address."""

        def add() -> str:
            found = self._api.create_collection(title, namespace=owner, exists_ok=True)
            for repo in repos:
                self._api.add_collection_item(found.slug, repo, "model", exists_ok=True)
            return str(found.url)

        return self._ask(add, f"Adding to the collection {owner}/{title}")

    def push_space(self, repo: str, folder: Path, *, private: bool, message: str) -> str:
        """Publishes a folder as a Gradio Space, which is made unless it is there. Returns the Space's address."""

        def push() -> str:
            made = self._api.create_repo(repo, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
            self._api.upload_folder(repo_id=repo, repo_type="space", folder_path=folder, commit_message=message)
            return str(made)

        return self._ask(push, f"Publishing the Space {repo}")

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
        """The id of one new commit on top of `parent`, or of the newest where the answer names none.

        It is `parent` if the server found nothing to commit. Raises IntegrityError for an answer that cannot be used.
        One try, and what fails is one of `FAILURES`: who publishes has to look before they try again.
        """
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(one.name, one.content) for one in uploads
        ]
        operations += [CommitOperationDelete(name) for name in deletes]
        try:
            with waiting(f"Publishing {place.repo}", None):
                done = self._api.create_commit(
                    place.repo,
                    operations,
                    commit_message=message,
                    revision=place.at,
                    create_pr=create_pr,
                    parent_commit=parent if parent and len(parent) <= _PARENT_DIGITS else None,
                )
            revision = done.pr_revision if create_pr else place.revision
            return commit_in(done.oid) or self.head(replace(place, revision=revision)) or ""
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
        raise HubError(f"{doing}: you are offline.", remedies=(_UNSET if is_offline() else _ASK_THE_HUB,))

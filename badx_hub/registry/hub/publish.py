"""Publishing on a Hub: read what is there, plan, make one atomic commit, and read it back.

A push never writes over what it does not know: a repository with other files in it, another adapter, a newer
version or one that cannot be read is refused. The commit names its parent. A server may still accept it after
somebody else's commit, so the result is read back, and if the files of two pushes are mixed, the push is repeated on
top of them. What others published stays in the history.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, SIGNATURE_FILE
from badx_hub.errors import BadxError, DataError, HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.client import HubClient
from badx_hub.hub.errors import FAILURES, cause_of, hub_error, is_silence, status_of
from badx_hub.hub.ref import MAIN, HubRef, adapter_at_commit, is_commit
from badx_hub.hub.transport import RetryPolicy
from badx_hub.manifest import LanguageAdapterRef, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.adapter_folder import signature_in
from badx_hub.registry.cards import card_data, render_card
from badx_hub.registry.hub.push_plans import Prepared, PushOptions, PushPlan, refuse_foreign, refuse_newer, uploads
from badx_hub.registry.hub.reader import MAX_HISTORY, HubReader
from badx_hub.registry.hub.readme import is_ours, merged, metadata_of, sealed, with_fields
from badx_hub.registry.protocol import Entry, FileCheck
from badx_hub.registry.size_limits import MAX_README
from badx_hub.remedies import Advice, Notice, PullAdapter, RunAgain
from badx_hub.untrusted_files import read_plain

_CONFLICTS = frozenset({409, 412})


@dataclass(frozen=True)
class Publisher:
    """Publishes in the namespace `owner`.

    `faults` finds what is wrong with an entry there; `say` is told what the user should know.
    """

    reader: HubReader
    owner: str
    options: PushOptions
    faults: Callable[[Entry], tuple[FileCheck, ...]]
    say: Callable[[Notice], None]

    @property
    def revision(self) -> str:
        """The branch."""
        return self.options.revision or MAIN

    def check(self, names: Iterable[AdapterName]) -> None:
        """Raises UsageError if nothing may be published under one of these names with these options."""
        for name in names:
            repo = HubRef(self.owner, name.repo_name).repo
            with suppress(NotFoundError):  # there is no such repository yet
                if self.options.private:
                    self._refuse_public(repo)
                if self.options.revision is not None and not self.options.create_pr:
                    self._refuse_no_branch(repo, self.options.revision)

    def publish(self, prepared: Prepared, published: Mapping[LanguageAdapterRef, str]) -> Entry:
        """Makes the commit; `published` says where the adapters that it was trained on are ("org/repo@commit").

        A repository that was made for it and is still empty is deleted if the commit is refused.

        Raises IntegrityError and UsageError (something else is there, a public repository), HubError.
        """
        self.check([prepared.manifest.adapter_name])
        created = CreatedRepository(self.reader.client, self._place(prepared))
        try:
            return self._publish(prepared, published, created)
        except BadxError as error:
            if _is_refusal(error) and (left := created.undo()) is not None:
                error.fact = f"{error.fact} {left}"
            raise

    def _publish(
        self, prepared: Prepared, published: Mapping[LanguageAdapterRef, str], created: CreatedRepository
    ) -> Entry:
        repo = self._place(prepared).repo
        for tried in count(1):
            plan = self.plan(prepared, published)
            try:
                if plan.creates or plan.new_branch:
                    # Plan again: others may have created it at the same moment, and the commit needs its parent.
                    self._create(prepared, plan, created)
                    plan = self.plan(prepared, published)
                if plan.already is not None:
                    return plan.already
                if self.options.private:
                    self._refuse_public(repo)
                return self._read_back(prepared, plan, self._commit(prepared, plan))
            except _ConcurrentPush as mixed:
                if tried >= self._retries.tries:
                    raise IntegrityError(
                        f"{repo} does not hold what was published ({mixed}): others keep changing it, or its Hub does.",
                        remedies=(Advice("Look at the repository."), RunAgain()),
                    ) from mixed
            except FAILURES as error:
                self._wait_or_raise(error, tried, repo)
        raise AssertionError("unreachable")

    def plan(self, prepared: Prepared, published: Mapping[LanguageAdapterRef, str]) -> PushPlan:
        """What publishing will do; nothing is changed. Raises like `publish`."""
        manifest = prepared.manifest
        place = self._place(prepared)
        repo = place.repo
        head, to_create = self._parent_commit(place)
        at_head = replace(place, revision=head)
        names = self.reader.client.files(at_head) if head else {}
        present = self._entry_at_head(at_head) if MANIFEST_FILE in names else None
        refuse_foreign(repo, list(names), present.manifest if present else None)
        already = None
        if present is not None:
            if present.version == prepared.version:
                unsigned = SIGNATURE_FILE not in names and signature_in(prepared.folder) is not None
                is_head = adapter_at_commit(present.location).at == head
                already = present if is_head and not unsigned and not self.faults(present) else None
            elif self.revision == MAIN:  # any other branch may hold an older version
                refuse_newer(repo, present, manifest)
        remote_readme = self._readme(at_head) if CARD_FILE in names else None
        card = self._card(prepared, remote_readme, repo, published, present.manifest if present else None)
        if already is None:
            self.reader.client.check_card(card, repo)
        old = set(present.manifest.files) if present else set()
        return PushPlan(
            repo=repo,
            revision=self.revision,
            version=prepared.version,
            creates=to_create == "repository",
            new_branch=to_create is not None and self.revision != MAIN and not self.options.create_pr,
            parent=head,
            uploads=uploads(prepared, card),
            deletes=tuple(sorted((old & set(names)) - set(manifest.files) - {CARD_FILE})),
            keeps_readme=remote_readme is not None and bool(remote_readme.strip()) and not is_ours(remote_readme),
            already=already,
        )

    @property
    def _retries(self) -> RetryPolicy:
        return self.reader.client.retries

    def _place(self, prepared: Prepared) -> HubRef:
        return HubRef(self.owner, prepared.manifest.adapter_name.repo_name, self.revision)

    def _parent_commit(self, place: HubRef) -> tuple[str | None, Literal["branch", "repository"] | None]:
        """The commit to build on (that of main if the branch is not there yet), and what has to be made first."""
        with suppress(NotFoundError):
            return self.reader.client.head(place), None
        with suppress(NotFoundError):
            return self.reader.client.head(replace(place, revision=MAIN)), "branch"
        return None, "repository"

    def _entry_at_head(self, place: HubRef) -> Entry:
        """The adapter at the head; if its badx.json cannot be read, as it was last.

        A push may replace a broken badx.json where an earlier commit holds one of ours.
        """
        try:
            return self.reader.read(place)
        except (DataError, IntegrityError) as error:
            if last := self.reader.history(place):
                return last[0]
            raise IntegrityError(
                f"{place.repo} holds an adapter that cannot be read, so it is left alone: {error.fact}",
                remedies=(
                    Advice(
                        f"Take {MANIFEST_FILE} out there, or publish elsewhere ({{}}, {{}}).",
                        (("to", "ORG"), ("label", "NAME")),
                    ),
                ),
            ) from error

    def _readme(self, place: HubRef) -> str:
        return self.reader.client.read(place, CARD_FILE, limit=MAX_README).content.decode("utf-8", "replace")

    def _card(
        self,
        prepared: Prepared,
        readme: str | None,
        repo: str,
        published: Mapping[LanguageAdapterRef, str],
        published_before: Manifest | None,
    ) -> str:
        """README.md to publish: our card, or what people wrote (`readme` on the Hub, or in the folder)."""
        ours = render_card(prepared.manifest, location=repo, published=published)
        local = prepared.folder / CARD_FILE
        if readme is None and local.is_file():
            content = read_plain(local, limit=MAX_README)
            if hashlib.sha256(content).hexdigest() != prepared.manifest.files.get(CARD_FILE):
                readme, published_before = content.decode("utf-8", "replace"), prepared.manifest
        before = metadata_of(f"---\n{card_data(published_before).to_yaml()}\n---\n") if published_before else {}
        card = sealed(ours) if readme is None else merged(readme, ours, before)
        return with_fields(card, self.options.card)

    def _commit(self, prepared: Prepared, plan: PushPlan) -> str:
        """The new commit's hash. Failures are huggingface_hub's own: the caller looks again before another try."""
        return self.reader.client.commit(
            self._place(prepared),
            plan.uploads,
            plan.deletes,
            parent=plan.parent,
            message=self.options.message or f"Publish {prepared.manifest.name} ({plan.version})",
            create_pr=self.options.create_pr,
        )

    def _create(self, prepared: Prepared, plan: PushPlan, created: CreatedRepository) -> None:
        if plan.creates and self.reader.client.create_repo(plan.repo, private=self.options.private):
            created.repository = True
        if plan.new_branch:
            self.reader.client.create_branch(self._place(prepared))

    def _refuse_no_branch(self, repo: str, revision: str) -> None:
        try:
            tags = self.reader.client.tags(repo)
        except HubError as error:
            if error.status not in (405, 501):  # a Hub without tags
                raise
            tags = {}
        if revision in tags or is_commit(revision):
            what = "tag" if revision in tags else "commit"
            raise UsageError(
                f"{revision} is a {what} of {repo}, and what a {what} names never changes: a push needs a branch.",
                remedies=(Advice("Leave {} out, or name a branch.", (("revision", None),)),),
            )

    def _refuse_public(self, repo: str) -> None:
        """With `private` nothing may become public, and an existing repository keeps the visibility its owner chose."""
        if self.reader.client.is_public(repo):
            raise UsageError(
                f"{repo} is there and public, and only new repositories are made private.",
                remedies=(
                    Advice("Leave {} out, or make the repository private in its settings first.", (("private", True),)),
                ),
            )

    def _read_back(self, prepared: Prepared, plan: PushPlan, commit: str) -> Entry:
        entry, wrong = self._entry_and_difference(prepared, commit)
        if entry is None or wrong:
            if commit == plan.parent:
                raise IntegrityError(
                    f"{plan.repo}: the Hub made no commit, as if the push had nothing new, but {wrong} there.",
                    remedies=(Advice("Push it to another repository ({}).", (("label", "NAME"),)),),
                )
            if self._no_other_commit(prepared, plan, commit):
                raise IntegrityError(
                    f"{plan.repo}: the Hub made a commit that differs from what was sent: {wrong}. "
                    "It will do the same again; tell those who run it."
                )
            raise _ConcurrentPush(wrong)
        if not self.options.create_pr:
            self._report_other_commits(prepared, plan, adapter_at_commit(entry.location))
        return entry

    def _entry_and_difference(self, prepared: Prepared, commit: str) -> tuple[Entry | None, str]:
        """The entry at a commit (None if it cannot be read), and the first difference to what was sent ("" if none)."""
        place = replace(self._place(prepared), revision=commit)
        try:
            entry = self.reader.read(place)
        except (NotFoundError, DataError, IntegrityError):
            return None, f"{MANIFEST_FILE} is missing or broken"
        if entry.version != prepared.version:
            return entry, f"{MANIFEST_FILE} is another one"
        faults = self.faults(entry)
        return entry, f"{faults[0].name} is {faults[0].state}" if faults else ""

    def _no_other_commit(self, prepared: Prepared, plan: PushPlan, commit: str) -> bool:
        """Whether nobody else committed meanwhile: the commit is the newest one, and its parent is the planned one."""
        if self.options.create_pr:
            return True
        client = self.reader.client
        return client.commits(self._place(prepared), most=2) == (commit, plan.parent)

    def _report_other_commits(self, prepared: Prepared, plan: PushPlan, place: HubRef) -> None:
        """Reports commits between the planned parent and ours, for which the server should have refused ours."""
        history = self.reader.client.commits(self._place(prepared), most=MAX_HISTORY, until=plan.parent)
        if place.at not in history:
            head = self.reader.read(self._place(prepared)) if history else None
            if head is not None and head.version != prepared.version:
                raise _ConcurrentPush("somebody else's push took its place")
            return
        below = history[history.index(place.at) + 1 :]
        between = below[: below.index(plan.parent)] if plan.parent in below else ()
        for commit in between:
            fact = f"{plan.repo} was changed by somebody else at the same time. Their version is kept in its history."
            name, origin = str(prepared.manifest.adapter_name), str(HubRef(place.owner))
            self.say(Notice(fact, (PullAdapter(name, origin, commit),)))

    def _wait_or_raise(self, error: Exception, tried: int, repo: str) -> None:
        retries = self._retries
        if isinstance(error, RuntimeError) and cause_of(error) is error:
            raise error
        if status_of(error) in _CONFLICTS and tried < retries.tries:
            time.sleep(retries.first_wait)
            return
        wait = retries.pause(error, tried)
        if wait is None or (tried > 1 and is_silence(error)):
            raise hub_error(error, f"Publishing {repo}") from error
        time.sleep(wait)


@dataclass
class CreatedRepository:
    """Whether this push created the repository, so that it can be deleted again if the push is refused."""

    client: HubClient
    place: HubRef
    repository: bool = False

    def undo(self) -> str | None:
        """Deletes the repository if this push made it and it has nothing but its first commit.

        Returns what the user has to know if it is left behind.
        """
        if not self.repository:
            return None
        try:
            if self._is_empty(MAIN) and self._is_empty(self.place.at):
                self.client.delete_repo(self.place.repo)
        except BadxError:
            return f"The repository {self.place.repo} was made for this and is left there, empty."
        return None

    def _is_empty(self, branch: str) -> bool:
        """Whether a branch has no commit but the one that some Hubs begin a repository with."""
        with suppress(NotFoundError):
            return len(self.client.commits(replace(self.place, revision=branch), most=2)) < 2
        return True


def _is_refusal(error: BadxError) -> bool:
    """Whether the Hub refused. After no answer, or a failure of its own, the commit may still appear."""
    if isinstance(error, HubError):
        return error.status is not None and 400 <= error.status < 500 and error.status not in (408, 429)
    return isinstance(error, (NotFoundError, UsageError))


class _ConcurrentPush(BadxError):  # noqa: N818 - never seen outside
    """What can be read back is not what was sent."""

"""Publishing on a Hub: look, plan, one atomic commit, look again.

A push never writes over what it does not know: a repository with other files in it, another adapter, a newer
version or one that cannot be read is refused. The commit names the commit it builds on; and because a server may
take it all the same after somebody else's, the result is read back and, if files of two pushes got mixed, the push
is done again on top. What others published stays in the history.
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
from badx_hub.plain_files import read_plain
from badx_hub.registry.cards import card_data, render_card
from badx_hub.registry.folders import signature_in
from badx_hub.registry.hub.plans import Prepared, PushOptions, PushPlan, refuse_foreign, refuse_newer, uploads
from badx_hub.registry.hub.reader import MAX_HISTORY, HubReader
from badx_hub.registry.hub.readme import is_ours, merged, metadata_of, sealed, with_fields
from badx_hub.registry.protocol import Entry, FileCheck
from badx_hub.registry.sizes import MAX_README
from badx_hub.remedies import Advice, Notice, PullAdapter, RunAgain

_ONCE_MORE = frozenset({409, 412})


@dataclass(frozen=True)
class Publisher:
    """Publishes in the namespace `owner`. `faults` checks an entry there; `say` takes notes for the user."""

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
        made = Made(self.reader.client, self._place(prepared))
        try:
            return self._publish(prepared, published, made)
        except BadxError as error:
            if _is_refusal(error) and (left := made.undo()) is not None:
                error.fact = f"{error.fact} {left}"
            raise

    def _publish(self, prepared: Prepared, published: Mapping[LanguageAdapterRef, str], made: Made) -> Entry:
        repo = self._place(prepared).repo
        for tried in count(1):
            plan = self.plan(prepared, published)
            try:
                if plan.creates or plan.new_branch:
                    # Then look again: others may have done the same just now, and the commit needs its parent.
                    self._make(prepared, plan, made)
                    plan = self.plan(prepared, published)
                if plan.already is not None:
                    return plan.already
                if self.options.private:
                    self._refuse_public(repo)
                return self._read_back(prepared, plan, self._commit(prepared, plan))
            except _Mixed as mixed:
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
        head, new = self._head(place)
        at_head = replace(place, revision=head)
        names = self.reader.client.files(at_head) if head else {}
        there = self._there(at_head) if MANIFEST_FILE in names else None
        refuse_foreign(repo, list(names), there.manifest if there else None)
        already = None
        if there is not None:
            if there.version == prepared.version:
                unsigned = SIGNATURE_FILE not in names and signature_in(prepared.folder) is not None
                is_head = adapter_at_commit(there.location).at == head
                already = there if is_head and not unsigned and not self.faults(there) else None
            elif self.revision == MAIN:  # on a branch people may keep what they like
                refuse_newer(repo, there, manifest)
        theirs = self._readme(at_head) if CARD_FILE in names else None
        card = self._card(prepared, theirs, repo, published, there.manifest if there else None)
        if already is None:
            self.reader.client.check_card(card, repo)
        old = set(there.manifest.files) if there else set()
        return PushPlan(
            repo=repo,
            revision=self.revision,
            version=prepared.version,
            creates=new == "repository",
            new_branch=new is not None and self.revision != MAIN and not self.options.create_pr,
            parent=head,
            uploads=uploads(prepared, card),
            deletes=tuple(sorted((old & set(names)) - set(manifest.files) - {CARD_FILE})),
            keeps_readme=theirs is not None and bool(theirs.strip()) and not is_ours(theirs),
            already=already,
        )

    @property
    def _retries(self) -> RetryPolicy:
        return self.reader.client.retries

    def _place(self, prepared: Prepared) -> HubRef:
        return HubRef(self.owner, prepared.manifest.adapter_name.repo_name, self.revision)

    def _head(self, place: HubRef) -> tuple[str | None, Literal["branch", "repository"] | None]:
        """The commit to build on (that of main if the branch is not there yet), and what has to be made first."""
        with suppress(NotFoundError):
            return self.reader.client.head(place), None
        with suppress(NotFoundError):
            return self.reader.client.head(replace(place, revision=MAIN)), "branch"
        return None, "repository"

    def _there(self, place: HubRef) -> Entry:
        """The adapter at the head; if its badx.json cannot be read, as it was last.

        Who has written that file before may write it again, on top of what is there.
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
        theirs: str | None,
        repo: str,
        published: Mapping[LanguageAdapterRef, str],
        there: Manifest | None,
    ) -> str:
        ours = render_card(prepared.manifest, location=repo, published=published)
        local = prepared.folder / CARD_FILE
        if theirs is None and local.is_file():
            content = read_plain(local, limit=MAX_README)
            if hashlib.sha256(content).hexdigest() != prepared.manifest.files.get(CARD_FILE):
                theirs, there = content.decode("utf-8", "replace"), prepared.manifest
        before = metadata_of(f"---\n{card_data(there).to_yaml()}\n---\n") if there else {}
        card = sealed(ours) if theirs is None else merged(theirs, ours, before)
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

    def _make(self, prepared: Prepared, plan: PushPlan, made: Made) -> None:
        if plan.creates and self.reader.client.create_repo(plan.repo, private=self.options.private):
            made.repository = True
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
        """Who asks for a private one does not want it read by all: an older repository is as its owner made it."""
        if self.reader.client.is_public(repo):
            raise UsageError(
                f"{repo} is there and public, and only new repositories are made private.",
                remedies=(
                    Advice("Leave {} out, or make the repository private in its settings first.", (("private", True),)),
                ),
            )

    def _read_back(self, prepared: Prepared, plan: PushPlan, commit: str) -> Entry:
        entry, wrong = self._at(prepared, commit)
        if entry is None or wrong:
            if commit == plan.parent:
                raise IntegrityError(
                    f"{plan.repo}: the Hub made no commit. It took the push for nothing new, though {wrong} there.",
                    remedies=(Advice("Push it to another repository ({}).", (("label", "NAME"),)),),
                )
            if self._is_alone(prepared, plan, commit):
                raise IntegrityError(
                    f"{plan.repo}: the Hub made the commit and not as it was sent: {wrong}. "
                    "It will do the same again; tell those who run it."
                )
            raise _Mixed(wrong)
        if not self.options.create_pr:
            self._look_for_others(prepared, plan, adapter_at_commit(entry.location))
        return entry

    def _at(self, prepared: Prepared, commit: str) -> tuple[Entry | None, str]:
        """What a commit holds, and what of it is not as it was sent: a file, and how it is."""
        place = replace(self._place(prepared), revision=commit)
        try:
            entry = self.reader.read(place)
        except (NotFoundError, DataError, IntegrityError):
            return None, f"{MANIFEST_FILE} is missing or broken"
        if entry.version != prepared.version:
            return entry, f"{MANIFEST_FILE} is another one"
        faults = self.faults(entry)
        return entry, f"{faults[0].name} is {faults[0].state}" if faults else ""

    def _is_alone(self, prepared: Prepared, plan: PushPlan, commit: str) -> bool:
        """Whether nobody else can have had a hand in it: the commit is the newest, directly on what was seen before."""
        if self.options.create_pr:
            return True
        client = self.reader.client
        return client.commits(self._place(prepared), most=2) == (commit, plan.parent)

    def _look_for_others(self, prepared: Prepared, plan: PushPlan, place: HubRef) -> None:
        """Tells of a commit that came between the look and ours: the server should have refused ours."""
        history = self.reader.client.commits(self._place(prepared), most=MAX_HISTORY, until=plan.parent)
        if place.at not in history:
            head = self.reader.read(self._place(prepared)) if history else None
            if head is not None and head.version != prepared.version:
                raise _Mixed("somebody else's push took its place")
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
        if status_of(error) in _ONCE_MORE and tried < retries.tries:
            time.sleep(retries.first_wait)
            return
        wait = retries.pause(error, tried)
        if wait is None or (tried > 1 and is_silence(error)):
            raise hub_error(error, f"Publishing {repo}") from error
        time.sleep(wait)


@dataclass
class Made:
    """What a push has made so far: the whole `repository`, or nothing that would have to go again."""

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
        """A Hub begins a repository with one commit or none."""
        with suppress(NotFoundError):
            return len(self.client.commits(replace(self.place, revision=branch), most=2)) < 2
        return True


def _is_refusal(error: BadxError) -> bool:
    """Whether the Hub has said no: where it said nothing, or failed, a commit may yet be made."""
    if isinstance(error, HubError):
        return error.status is not None and 400 <= error.status < 500 and error.status not in (408, 429)
    return isinstance(error, (NotFoundError, UsageError))


class _Mixed(BadxError):  # noqa: N818 - never seen outside
    """What can be read back is not what was sent."""

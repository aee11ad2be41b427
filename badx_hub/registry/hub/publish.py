"""Publishing on a Hub: look, plan, one atomic commit, look again.

A push never writes over what it does not know: a repository with other files in it, another adapter, a newer
version or one that cannot be read is refused. The commit names the commit it builds on; and because a server may
take it all the same after somebody else's, the result is read back and, if files of two pushes got mixed, the push
is done again on top. What others published stays in the history.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, SIGNATURE_FILE
from badx_hub.errors import BadxError, DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.client import Upload
from badx_hub.hub.errors import FAILURES, cause_of, hub_error, status_of
from badx_hub.hub.ref import MAIN, HubRef, adapter_at_commit
from badx_hub.hub.transport import RetryPolicy
from badx_hub.manifest import LanguageAdapterRef, Manifest, read_manifest_text
from badx_hub.plain_files import read_plain
from badx_hub.registry.cards import card_data, render_card
from badx_hub.registry.folders import check_content, check_names, signature_in
from badx_hub.registry.hub.files import foreign_weights
from badx_hub.registry.hub.reader import HubReader
from badx_hub.registry.hub.readme import is_ours, merged, metadata_of, sealed, with_fields
from badx_hub.registry.protocol import Entry, FileCheck, version_of
from badx_hub.registry.sizes import MAX_README
from badx_hub.remedies import Advice, Notice, PullAdapter

_ONCE_MORE = frozenset({409, 412})


@dataclass(frozen=True)
class PushOptions:
    """How to publish: a new repository `private`; on a branch `revision`; as a pull request; under a `message`.

    `card` has metadata for the cards, as `card_fields` reads them: they go before what badx.json or people say there.
    """

    private: bool = False
    revision: str | None = None
    create_pr: bool = False
    message: str | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PushPlan:
    """What a push will do: `creates` the repository, `uploads` and `deletes` files on top of the commit `parent`.

    `already` is the entry if that very version is there, sound, and there is nothing to do.
    """

    repo: str
    revision: str
    version: str
    creates: bool
    new_branch: bool
    parent: str | None
    uploads: tuple[Upload, ...]
    deletes: tuple[str, ...]
    keeps_readme: bool
    already: Entry | None


@dataclass(frozen=True)
class Prepared:
    """A folder that has passed every check, and its manifest."""

    folder: Path
    text: str
    manifest: Manifest

    @classmethod
    def of(cls, folder: Path) -> Prepared:
        """Raises UsageError (a whole model), IntegrityError (a pickle, a changed, missing or foreign file), DataError,
        NotFoundError.
        """
        text = read_manifest_text(folder)
        manifest = Manifest.from_json(text, str(folder / MANIFEST_FILE))
        if manifest.kind == "model":
            raise UsageError(
                f"{manifest.name} is a fully fine-tuned model, which stays local.",
                remedies=(Advice("Share adapters, or copy it to a folder: `{}`.", (("to", "./DIR"),)),),
            )
        check_names(folder, manifest)
        check_content(folder, manifest, folder)
        return cls(folder, text, manifest)

    @property
    def version(self) -> str:
        """The version it will have everywhere."""
        return version_of(self.text, self.manifest.created)


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

    def publish(self, prepared: Prepared, published: Mapping[LanguageAdapterRef, str]) -> Entry:
        """Makes the commit; `published` says where the adapters that it was trained on are ("org/repo@commit").

        Raises IntegrityError and UsageError (something else is there, a public repository), HubError.
        """
        repo = self._place(prepared).repo
        for tried in count(1):
            plan = self.plan(prepared, published)
            try:
                if plan.creates or plan.new_branch:
                    # Then look again: others may have done the same just now, and the commit needs its parent.
                    self._make(prepared, plan)
                    plan = self.plan(prepared, published)
                if plan.already is not None:
                    return plan.already
                if self.options.private:
                    self._refuse_public(repo)
                return self._read_back(prepared, plan, self._commit(prepared, plan))
            except _Mixed as mixed:
                if tried >= self._retries.tries:
                    raise IntegrityError(
                        f"{repo} does not hold what was published ({mixed}): its Hub keeps changing files or refuses "
                        "some. Look at the repository, then push again."
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
        _refuse_foreign(repo, list(names), there.manifest if there else None)
        already = None
        if there is not None:
            if there.version == prepared.version:
                unsigned = SIGNATURE_FILE not in names and signature_in(prepared.folder) is not None
                already = None if unsigned or self.faults(there) else there
            elif self.revision == MAIN:  # on a branch people may keep what they like
                _refuse_newer(repo, there, manifest)
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
            uploads=_uploads(prepared, card),
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
        try:
            return self.reader.read(place)
        except (DataError, IntegrityError) as error:
            raise IntegrityError(
                f"{place.repo} holds an adapter that cannot be read, so it is left alone: {error.fact}",
                remedies=error.remedies,
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

    def _make(self, prepared: Prepared, plan: PushPlan) -> None:
        if plan.creates:
            self.reader.client.create_repo(plan.repo, private=self.options.private)
        if plan.new_branch:
            self.reader.client.create_branch(self._place(prepared))

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
        entry = self.reader.read(replace(self._place(prepared), revision=commit))
        if entry.version != prepared.version:
            raise _Mixed(f"{MANIFEST_FILE} is another one")
        if faults := self.faults(entry):
            raise _Mixed(f"{faults[0].name} is {faults[0].state}")
        if not self.options.create_pr:
            self._look_for_others(prepared, plan, adapter_at_commit(entry.location))
        return entry

    def _look_for_others(self, prepared: Prepared, plan: PushPlan, place: HubRef) -> None:
        """Tells of a commit that came between the look and ours: the server should have refused ours."""
        history = self.reader.client.commits(self._place(prepared))
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
        if wait is None:
            raise hub_error(error, f"Publishing {repo}") from error
        time.sleep(wait)


class _Mixed(BadxError):  # noqa: N818 - never seen outside
    """What can be read back is not what was sent."""


def _uploads(prepared: Prepared, card: str) -> tuple[Upload, ...]:
    """badx.json as it is, the weights, and the card; README.md comes from the card alone."""
    signature = {SIGNATURE_FILE} if signature_in(prepared.folder) is not None else set()
    names = sorted({MANIFEST_FILE, *prepared.manifest.files} - {CARD_FILE} | signature)
    paths = [prepared.folder / name for name in names]
    content = card.encode()
    files = [Upload(path.name, path.stat().st_size, path) for path in paths]
    return (*files, Upload(CARD_FILE, len(content), content))


def _refuse_foreign(repo: str, names: list[str], there: Manifest | None) -> None:
    if strange := foreign_weights(names, there):
        raise IntegrityError(
            f"{repo} holds {', '.join(strange[:3])}, which badx_hub did not put there: weights of others are never "
            "written over or mixed with.",
            remedies=(
                Advice("Take them out there, or publish elsewhere ({}, {}).", (("to", "ORG"), ("label", "NAME"))),
            ),
        )
    if there is None and (
        other := sorted(set(names) - {CARD_FILE, SIGNATURE_FILE, ".gitattributes", ".gitignore", "LICENSE"})
    ):
        raise IntegrityError(
            f"{repo} holds something else ({', '.join(other[:3])}) and no {MANIFEST_FILE}.",
            remedies=(Advice("Publish elsewhere ({}, or train with another {}).", (("to", "ORG"), ("label", None))),),
        )


def _refuse_newer(repo: str, there: Entry, manifest: Manifest) -> None:
    if there.manifest.created > manifest.created:
        raise UsageError(
            f"{repo} has a newer version ({there.manifest.created}) than this one ({manifest.created}).",
            remedies=(Advice("Publish this one on a branch: {}.", (("revision", "NAME"),)),),
        )

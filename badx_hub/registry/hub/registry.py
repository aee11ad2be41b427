"""A Hub as a registry: ORG/<repo name> holds an adapter, its commits are the versions, badx.json is the truth.

Tags only narrow a search. Files are downloaded by commit, into a cache in which an adapter appears whole, checked,
or not at all. README.md is prose that people edit on the Hub: it is never a reason to refuse an adapter.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from badx_hub.errors import HubError, NotFoundError, UsageError
from badx_hub.hub.client import HubClient, default_endpoint, is_offline, refuse_if_offline
from badx_hub.hub.ref import MAIN, HubRef, adapter_at_commit, checked_owner, is_commit
from badx_hub.hub.transport import RetryPolicy
from badx_hub.manifest import LanguageAdapterRef, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.hub.cache import HubCache
from badx_hub.registry.hub.commit_files import check_files, download_into
from badx_hub.registry.hub.lookup_by_digest import Lookup
from badx_hub.registry.hub.publish import Publisher
from badx_hub.registry.hub.push_plans import Prepared, PushOptions, PushPlan
from badx_hub.registry.hub.reader import HubReader, RepoFilter, RepoListing
from badx_hub.registry.protocol import Contents, Entry, FileCheck, Problem, VerificationReport
from badx_hub.registry.query import AdapterQuery, is_exactly
from badx_hub.registry.suggest import relation
from badx_hub.remedies import Advice, Notice, PushAdapter, SearchHub
from badx_hub.storage import atomic_folder

_RELATED = 3


class HubRegistry:
    """The adapters of `owner` (a user or an organisation) on a Hub; with None all of the Hub, to search and read.

    Many arguments: where, as whom, and how; each has a default.

    Args:
        endpoint, token: default HF_ENDPOINT and what huggingface_hub has stored. Another endpoint is for reading:
            the client cannot read the answer to a commit from it.
        cache: the cache's folder; default one for each endpoint below `storage.home()`.
        offline: ask nobody, know what is in the cache; default whether HF_HUB_OFFLINE is set.
        revision: the branch, tag or commit to read at.
        options: how `publish` publishes.
        retries: how often to try and how long to wait.
        say: takes notes for the user, one line each.
    """

    def __init__(
        self,
        owner: str | None = None,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        cache: Path | None = None,
        offline: bool | None = None,
        revision: str | None = None,
        options: PushOptions | None = None,
        retries: RetryPolicy | None = None,
        say: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self.owner = None if owner is None else checked_owner(owner)
        self.offline = is_offline() if offline is None else offline
        self.options = options or PushOptions()
        self.revision = revision or self.options.revision or MAIN
        self._endpoint = endpoint or default_endpoint()
        self.cache = HubCache(cache) if cache else HubCache.of(self._endpoint)
        self._reader = HubReader(HubClient(endpoint, token, retries or RetryPolicy()), self.cache)
        self._say = say
        self._sound: dict[str, tuple[FileCheck, ...]] = {}
        self._problems: dict[str, Problem] | None = None

    @property
    def location(self) -> str:
        """ "hf:ORG", or "hf:" for the whole Hub."""
        return str(HubRef(self.owner))

    def list(self) -> tuple[Entry, ...]:
        """Every readable adapter, in its newest version; offline, those in the cache."""
        return self.search(RepoFilter())

    def search(self, query: RepoFilter, *, limit: int | None = None) -> tuple[Entry, ...]:
        """The adapters that fit, sorted by name; at most `limit`."""
        if self.offline:
            entries = [entry for entry in self.cache.entries(self.owner) if query.fits(entry.name)]
            return tuple(sorted(entries, key=lambda entry: (str(entry.name), entry.location))[:limit])
        return self.confirm(self.find(query)[:limit])

    def find(self, query: RepoFilter) -> tuple[RepoListing, ...]:
        """The repositories whose names fit, from the listing alone: quick, and not yet confirmed by badx.json."""
        refuse_if_offline(self.offline, "Searching the Hub")
        found = self._reader.find(self.owner, query.tags())
        return tuple(one for one in found if query.fits(one.name))

    def page(self, query: RepoFilter, first: int, most: int) -> tuple[tuple[Entry, ...], int]:
        """At most `most` of the adapters that fit, after the `first` ones, and how many more there can be.

        Only what badx.json confirms counts; of what comes after, the names alone are known.
        """
        found, entries = self.find(query), list[Entry]()
        while found and len(entries) < first + most:
            size = first + most - len(entries)
            entries += self.confirm(found[:size])
            found = found[size:]
        return tuple(entries[first:]), len(found)

    def confirm(self, found: Iterable[RepoListing]) -> tuple[Entry, ...]:
        """The adapters of a listing, in its order; `problems` has what cannot be read of it."""
        entries, problems = self._reader.read_all(found)
        self._problems = (self._problems or {}) | {problem.location: problem for problem in problems}
        return tuple(entries)

    def problems(self) -> tuple[Problem, ...]:
        """What `list`, `search` and `candidates` met so far and could not trust; all there is, if none was asked."""
        if self._problems is None and not self.offline:
            self.list()
        return tuple(sorted((self._problems or {}).values(), key=lambda problem: problem.location))

    def contents(self) -> Contents:
        """What `list` and `problems` give."""
        return Contents(self.list(), self.problems())

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        """The adapters that share a language with what is wanted, for its task or as a language adapter.

        Where none of them is what is wanted, also the closest few of related languages, to be named.
        """
        if self.offline:
            return self.list()
        mixture = query.setup_definition.mixture(query.mixture)
        languages = set(mixture.targets)
        tags = () if len(mixture.targets) > 1 else (f"badx-target:{mixture.targets[0]}",)
        found = self._reader.find(self.owner, tags)
        near = [o for o in found if o.name.task in (None, query.task) and languages & set(o.name.mixture.languages)]
        if not any(is_exactly(one.name, query) for one in near):
            near += [one for one in self._related(query, found) if one not in near]
        entries = self.confirm(near)
        known = {entry.manifest.digest for entry in entries}
        language_adapters = (
            dict.fromkeys(ref for entry in entries for ref in entry.manifest.language_adapters) if query.task else ()
        )
        for ref in language_adapters:
            if ref.digest not in known:
                entries += self.by_digest(ref.digest, ref.name)
        return entries

    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        """The given or newest version; `version` may be a commit too.

        Raises NotFoundError, UsageError (several owners have it), and DataError or IntegrityError if that
        version cannot be trusted.
        """
        name = AdapterName.parse(name) if isinstance(name, str) else name
        if self.offline:
            return self._cached(name, version)
        owner = self.owner or self._only_owner(name)
        place = HubRef(owner, name.repo_name, self.revision)
        if version is not None and is_commit(version):
            return self._reader.read(replace(place, revision=version))
        try:
            newest = self._reader.read(place)
        except NotFoundError as error:
            hint = "" if version else self._nearest(owner, name)
            raise NotFoundError(f"{error.fact}{hint}", remedies=error.remedies) from error
        if version in (None, newest.version):
            return newest
        for entry in self._reader.history(place):
            if entry.version == version:
                return entry
        raise NotFoundError(f"{place.repo} has no version {version}. Its newest is {newest.version}.")

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        """The adapters whose weights have this digest, oldest first.

        With `near` (a name): that adapter's newest version, then its history, then others of the same base and
        languages, and no further. Without: all of the newest versions.
        """
        entries = self._near(digest, AdapterName.parse(near)) if near else self.list()
        return tuple(sorted((e for e in entries if e.manifest.digest == digest), key=lambda entry: entry.version))

    def require_writable(self) -> None:
        """Refuses: what is published is for others to see, so it is pushed on purpose. Raises UsageError."""
        raise UsageError(
            "Nothing is trained into a registry on a Hub. Train into one of your own.",
            remedies=(PushAdapter("NAME", self.owner or "ORG"),),
        )

    @property
    def mends(self) -> bool:
        """A damaged version is published again, on top of what is there."""
        return True

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        """Raises UsageError: no owner, `private` where it is public, a tag in place of a branch."""
        self._publisher().check(names)

    def publish(self, folder: Path) -> Entry:
        """One atomic commit in ORG/<repo name>, which is made if it is not there; there already: no-op.

        Raises UsageError (no owner; a newer version is there; a whole model), IntegrityError (a file that is not as
        badx.json says, something else in the repository), HubError, NotFoundError.
        """
        refuse_if_offline(self.offline, "Publishing")
        if self._endpoint != default_endpoint():
            raise UsageError(
                f"Publishing goes to HF_ENDPOINT ({default_endpoint()}). Set it to {self._endpoint} first."
            )
        prepared = Prepared.of(folder)
        return self._publisher().publish(prepared, self._published(prepared.manifest))

    def plan(self, folder: Path) -> PushPlan:
        """What `publish` would do; nothing is changed."""
        refuse_if_offline(self.offline, "Planning a push")
        prepared = Prepared.of(folder)
        publisher = self._publisher()
        publisher.check([prepared.manifest.adapter_name])
        return publisher.plan(prepared, self._published(prepared.manifest))

    def tag(self, entry: Entry, tag: str) -> None:
        """Gives the entry's commit a name. Raises HubError if another commit has it."""
        refuse_if_offline(self.offline, "Tagging")
        _set_tag(self._reader.client, adapter_at_commit(entry.location), tag)

    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        """Always a UsageError: what others may need is not deleted from here, and with it all its history."""
        place = HubRef.parse(entry.location)
        repo = place.repo if place and place.name else entry.location
        raise UsageError(
            f"badx_hub deletes nothing on a Hub: others' task adapters may need {repo}. "
            f"If you must, do it in the repository's settings ({self._endpoint}/{repo}/settings)."
        )

    def fetch(self, entry: Entry) -> Path:
        """The cache's folder with the entry's files, downloaded if need be, every digest checked.

        Raises NotFoundError, HubError, IntegrityError (files not as badx.json says, or too large), StorageError.
        """
        place = adapter_at_commit(entry.location)
        owner, name = place.parts
        kept = self.cache.adapters(owner)
        final = kept.root / name / entry.version
        if final.is_dir():
            if not kept.verify(entry).faults:
                return final
            refuse_if_offline(self.offline, f"{final} is damaged, and downloading {place} again")
            kept.remove(replace(entry, location=str(final)), force=True)
        refuse_if_offline(self.offline, f"Downloading {place}")
        with atomic_folder(final) as staged:
            download_into(self._reader, place, entry, staged)
        return final

    def verify(self, entry: Entry) -> VerificationReport:
        """Compares every file with badx.json: by the server's own sha256 where it has one, else by reading it.

        README.md is left out; files that could be taken for weights and are not ours are "extra".
        """
        if self.offline:
            place = adapter_at_commit(entry.location)
            return self.cache.adapters(place.parts[0]).verify(entry)
        return VerificationReport(entry, self._checks(entry), self._missing(entry))

    def _checks(self, entry: Entry) -> tuple[FileCheck, ...]:
        """What was found sound at a commit stays so: commits never change."""
        if (known := self._sound.get(entry.location)) is not None:
            return known
        checks = check_files(self._reader, adapter_at_commit(entry.location), entry)
        if not VerificationReport(entry, checks).faults:
            self._sound[entry.location] = checks
        return checks

    def _faults(self, entry: Entry) -> tuple[FileCheck, ...]:
        return VerificationReport(entry, self._checks(entry)).faults

    def _missing(self, entry: Entry) -> tuple[LanguageAdapterRef, ...]:
        return tuple(ref for ref in entry.manifest.language_adapters if not self.by_digest(ref.digest, ref.name))

    def _published(self, manifest: Manifest) -> dict[LanguageAdapterRef, str]:
        """Where the adapters that a task adapter was trained on are, "org/repo@commit", as far as they are here."""
        found = {ref: self.by_digest(ref.digest, ref.name) for ref in manifest.language_adapters}
        return {ref: adapter_at_commit(entries[-1].location).repo_at for ref, entries in found.items() if entries}

    def _publisher(self) -> Publisher:
        if self.owner is None:
            raise UsageError(
                "This registry is all of the Hub.",
                remedies=(
                    Advice(
                        "Say whose repository to publish in: `{}` (your own name or an organisation).", (("to", "ORG"),)
                    ),
                ),
            )
        return Publisher(self._reader, self.owner, self.options, self._faults, self._say)

    def _near(self, digest: str, name: AdapterName) -> tuple[Entry, ...]:
        if self.offline:
            return self.list()
        return Lookup(self._reader, self.owner, self.revision, self.confirm).near(digest, name)

    def _related(self, query: AdapterQuery, found: tuple[RepoListing, ...]) -> tuple[RepoListing, ...]:
        if self.owner is None:  # narrowed to the wanted target so far
            mixture = query.mixture
            found = self._reader.find(None, RepoFilter(None if mixture.kind == "language" else mixture.source).tags())
        ranked = [(rank, one) for one in found if (rank := relation(one.name, query)) is not None]
        ranked.sort(key=lambda pair: (pair[0], pair[1].repo))
        return tuple(one for _, one in ranked[:_RELATED])

    def _cached(self, name: AdapterName, version: str | None) -> Entry:
        found = [entry for entry in self.list() if entry.name == name]
        if version is not None:
            found = [e for e in found if version in (e.version, adapter_at_commit(e.location).commit)]
        if not found:
            raise NotFoundError(f"{name} of {self.location} is not in the cache, and you are offline. Pull it online.")
        return max(found, key=lambda entry: entry.version)

    def _only_owner(self, name: AdapterName) -> str:
        tags = RepoFilter(name.mixture.source, task=name.task).tags()
        owners = sorted({one.owner for one in self._reader.find(None, tags) if one.name == name})
        if not owners:
            raise NotFoundError(f"Nobody on this Hub has {name}.", remedies=(SearchHub(),))
        if len(owners) > 1:
            raise UsageError(f"{name} is published by {', '.join(owners[:5])}. Say whose: `hf:{owners[0]}`.")
        return owners[0]

    def _nearest(self, owner: str, name: AdapterName) -> str:
        known = [str(one.name) for one in self._reader.find(owner)]
        nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4)
        return f" Nearest there: {', '.join(nearest)}." if nearest else ""


def _set_tag(client: HubClient, place: HubRef, tag: str) -> None:
    """Names a commit. Raises HubError if the tag is taken by another commit."""
    taken = client.tags(place.repo).get(tag)
    if taken == place.commit:
        return
    if taken is not None:
        raise HubError(
            f"{place} is published, but {place.repo} has a tag {tag} already, on {taken[:8]}.",
            409,
            remedies=(PushAdapter(str(place.adapter), place.owner or "ORG", tag=True),),
        )
    client.create_tag(place, tag)

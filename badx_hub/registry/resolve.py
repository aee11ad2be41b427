"""From a query to the entries that serve it: one pure function over what the registries hold.

Registries come in order, the nearest first: the user's own, the Hub's cache, the Hub. Nothing is ever taken in place of
what was asked for. The rules:

1. The first registry with the exact mixture (also the ratio: 1:1 by default), task, setup and label (none by default)
   wins. Registries after it are not read, so an adapter that was pulled stays in use. Some setups serve every language
   they were trained on (`TargetCoverage`): for them a mixture with more languages will do, if there is only one.
2. The base is the one asked for, or the only one there is. The publisher is the only namespace there is. Several bases
   or several publishers are an error.
3. The newest version wins.
4. A task adapter gets the language adapter whose digest its manifest names, from the first registry that has it: under
   the name in the manifest if it is there, else under any other. Some setups use the target's LA or a merged adapter
   instead. If the task adapter was not trained on it, the newest one on the same base and with the same label is taken.
5. Only if nothing fits, the setup of `fallback` is tried in the same way. `Resolution.setup` says so. Where the target
   lacks an LA, some fallbacks take another one in its place (`badx_hub.registry.fallbacks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from badx_hub.base_spec import spec_slug
from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import BadxError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.ref import HubRef
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.names import AdapterName
from badx_hub.registry.fallbacks import check_fallback, substitute
from badx_hub.registry.protocol import Entry, Problem, newest, same_weights
from badx_hub.registry.query import AdapterQuery, is_exactly, swapped_in
from badx_hub.registry.suggest import (
    MAX_SHOWN,
    language_adapter_not_found,
    missing_adapters,
    not_found,
    title,
    training_call,
)
from badx_hub.remedies import RemoveAdapter, TrainAdapters, one_of
from badx_hub.setups import DEFAULT, FALLBACKS, NEAREST_LA, PROXY_LA


@keeps_old_attributes
@dataclass(frozen=True)
class Resolution:
    """The entry that a query means, and the language adapter that it is used on (None: the bare base).

    `setup` names the setup that serves: the one asked for, or the fallback.
    """

    entry: Entry
    language_adapter: Entry | None
    setup: str = DEFAULT

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The stack, the language adapter first."""
        return (self.entry,) if self.language_adapter is None else (self.language_adapter, self.entry)


@dataclass(frozen=True)
class RegistrySnapshot:
    """What one registry holds: entries, and problems in place of entries that cannot be read.

    `unread` says why the registry as a whole could not be read.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    unread: BadxError | None = None


def resolve(
    candidates: Sequence[Entry], query: AdapterQuery, *, broken: Sequence[Problem] = (), fallback: str | None = None
) -> Resolution:
    """`resolve_in_order` with a single registry."""
    return resolve_in_order([RegistrySnapshot(tuple(candidates), tuple(broken))], query, fallback=fallback)


def resolve_in_order(
    snapshots: Iterable[RegistrySnapshot], query: AdapterQuery, *, fallback: str | None = None
) -> Resolution:
    """The entry that `query` means and its language adapter, from the first registry that has them.

    `snapshots` may be lazy: none is drawn beyond those needed. In the registry that has the adapter, a newer version
    that cannot be read is an error: no older version is taken in its place. That does not hold for a Hub, where anybody
    can publish a broken version under any name; such problems are mentioned only if nothing fits.

    Raises:
        NotFoundError: nothing fits; with the nearest adapters and what to train.
        UsageError: several bases or publishers, or a fallback for a query that has none.
        IntegrityError: the newest version cannot be read, or the language adapter is on another base.
    """
    check_fallback(fallback, query)
    seen: list[RegistrySnapshot] = []
    entry: Entry | None = None
    reason: NotFoundError | None = None
    for snapshot in snapshots:
        seen.append(snapshot)
        if snapshot.unread is not None:
            break
        entry = entry or _choose(snapshot, query)
        if entry is None:
            continue
        if (needed := _needed_language_adapter(entry, query)) is None:
            return Resolution(entry, None, query.setup)
        if (language_adapter := _find_language_adapter(entry, needed, seen)) is not None:
            return Resolution(entry, language_adapter, query.setup)
        reason = language_adapter_not_found(entry, needed)
    reason = reason or not_found(_all_entries(seen), query)
    if fallback is not None:
        return _fall_back(seen, replace(query, setup=FALLBACKS[fallback]), reason, fallback)
    raise _with_unread(reason, seen, query)


def _all_entries(snapshots: Sequence[RegistrySnapshot]) -> list[Entry]:
    return [entry for snapshot in snapshots for entry in snapshot.entries]


def _choose(snapshot: RegistrySnapshot, query: AdapterQuery) -> Entry | None:
    """The newest entry of one registry that is exactly what the query means."""
    matching = [one for one in snapshot.entries if is_exactly(one.name, query) and one.is_on_base(query)]
    _refuse_broken(matching, query, snapshot.problems)
    if not matching:
        return None
    same_mixture = [one for one in matching if one.name.mixture == query.mixture_in_name]
    matching = same_mixture or matching
    _refuse_several_mixtures(matching, query)
    _refuse_several_bases(matching, query)
    _refuse_several_owners(matching, query)
    return newest(matching)


def _choose_first(snapshots: Sequence[RegistrySnapshot], query: AdapterQuery) -> Entry | None:
    return next((found for one in snapshots if (found := _choose(one, query)) is not None), None)


def _refuse_broken(matching: Sequence[Entry], query: AdapterQuery, broken: Sequence[Problem]) -> None:
    readable = {entry.name: entry.version for entry in sorted(matching, key=lambda entry: entry.version)}
    for problem in broken:
        name = problem.name
        if name is None or not is_exactly(name, query) or _owner(problem.location) is not None:
            continue
        if query.base is not None and name.base != spec_slug(query.base):
            continue
        if not matching or problem.version > readable.get(name, problem.version):
            raise IntegrityError(
                f"The newest version of {name} cannot be used: {problem.error.fact}",
                remedies=(RemoveAdapter(str(name), renew=True),),
            )


def _refuse_several_mixtures(matching: Sequence[Entry], query: AdapterQuery) -> None:
    mixtures = sorted({entry.name.mixture for entry in matching})
    if len(mixtures) > 1:
        raise UsageError(
            f"{title(query)} is there for {len(mixtures)} sets of languages. "
            f"Name one in place of {query.mixture}: {' or '.join(map(str, mixtures[:MAX_SHOWN]))}."
        )


def _refuse_several_bases(matching: Sequence[Entry], query: AdapterQuery) -> None:
    bases: list[Entry] = []
    for entry in matching:
        if not any(entry.manifest.base.has_weights_of(one.manifest.base) for one in bases):
            bases.append(entry)
    if len(bases) < 2:
        return
    names = {entry.name.base: entry.manifest.base.name for entry in bases}
    digests = sorted(entry.manifest.base.digest[:12] for entry in bases)
    choices = sorted(names.values()) if len(names) == len(bases) else digests
    raise UsageError(
        f"{title(query)} is there on {len(bases)} bases.", remedies=(one_of("Choose one", "base", choices),)
    )


def _refuse_several_owners(matching: Sequence[Entry], query: AdapterQuery) -> None:
    """Anybody can publish under a name, so the publisher is never guessed."""
    owners = sorted({owner for entry in matching if (owner := _owner(entry.location)) is not None})
    if len(owners) > 1:
        raise UsageError(
            f"{title(query)} is published by {len(owners)} namespaces.",
            remedies=(one_of("Say whose", "registry", [str(HubRef(owner)) for owner in owners[:MAX_SHOWN]]),),
        )


def _owner(location: str) -> str | None:
    """The namespace on the Hub that publishes what is at a location; None for one that is not on a Hub."""
    place = HubRef.parse(location)
    return place.owner if place else None


def _needed_language_adapter(entry: Entry, query: AdapterQuery) -> LanguageAdapterRef | AdapterQuery | None:
    """What `entry` is used on: an adapter it was trained on, or the one swapped in; None: the bare base."""
    setup = query.setup_definition
    if setup.inference is None:
        return None
    if not setup.swaps:
        return entry.manifest.parent
    needed = swapped_in(query)
    trained_on = {AdapterName.parse(ref.name).mixture: ref for ref in entry.manifest.language_adapters}
    return trained_on.get(needed.mixture) or replace(needed, base=None, on=entry.manifest.base)


def _find_language_adapter(
    entry: Entry, needed: LanguageAdapterRef | AdapterQuery, snapshots: Sequence[RegistrySnapshot]
) -> Entry | None:
    if isinstance(needed, AdapterQuery):
        return _choose_first(snapshots, needed)
    for snapshot in snapshots:
        if same := same_weights(snapshot.entries, needed):
            return _on_same_base(newest(same), entry)
    return None


def _on_same_base(language_adapter: Entry, entry: Entry) -> Entry:
    if not language_adapter.manifest.base.has_weights_of(entry.manifest.base):
        raise IntegrityError(
            f"{entry.name} and {language_adapter.name} below it were trained on different bases. "
            f"Remove {entry.name} and train it again."
        )
    return language_adapter


def _fall_back(
    snapshots: Sequence[RegistrySnapshot], query: AdapterQuery, reason: NotFoundError, fallback: str
) -> Resolution:
    """What the fallback gives. Raises NotFoundError that says all that is missing."""
    try:
        return resolve_in_order(snapshots, query)
    except NotFoundError as error:
        entry = _choose_first(snapshots, query)
        if entry is not None and fallback in (NEAREST_LA, PROXY_LA):
            return Resolution(entry, substitute(_all_entries(snapshots), entry, query, fallback), query.setup)
        base = entry.manifest.base if entry else None
        on_base = replace(query, base=None, on=base) if base else query
        missing = missing_adapters(_all_entries(snapshots), on_base)
        calls = tuple(training_call(replace(one, base=base.name if base else query.base)) for one in missing)
        both = NotFoundError(
            f"{reason.fact} The fallback {query.setup} lacks adapters too.",
            remedies=(*reason.remedies, TrainAdapters(calls, goal="train those of the fallback")),
        )
        raise _with_unread(both, snapshots, query) from error


def _with_unread(error: NotFoundError, snapshots: Sequence[RegistrySnapshot], query: AdapterQuery) -> NotFoundError:
    """The error, with what could not be looked into."""
    problems = [one for snapshot in snapshots for one in snapshot.problems if one.name and is_exactly(one.name, query)]
    broken = [problem.error for problem in problems[:MAX_SHOWN]]
    unread = [snapshot.unread for snapshot in snapshots if snapshot.unread is not None]
    facts = (*(f"Not readable: {one.fact}" for one in broken), *(f"Not looked into: {one.fact}" for one in unread))
    more = dict.fromkeys(remedy for one in unread for remedy in one.remedies)  # the broken are for others to repair
    return NotFoundError(" ".join((error.fact, *facts)), remedies=(*error.remedies, *more))

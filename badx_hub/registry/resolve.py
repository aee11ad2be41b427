"""From what the user wants to the entries that give it: one pure function over candidates.

Candidates come in places, the nearest first: the user's own registry, what the Hub's cache holds, the Hub. The
order, in which nothing is ever taken in place of what was asked for:

1. the first place that has the exact mixture (its ratio too: 1:1 unless asked), task, setup and label (none unless
   asked); a place farther away is not even read then, so that what was pulled stays what is used; a setup whose
   adapters serve all the languages they were trained on (`TargetCoverage`) takes one with more languages, if there is
   one only;
2. there, on the one base that has it, or on the base asked for, and of the one namespace that publishes it;
   several and none asked is an error;
3. the newest version;
4. under a task adapter: the adapter with the digest that its manifest names, never one by name, from the first
   place that has it; where the setup swaps in the target's LA and the task adapter was not trained on it, the newest
   LA of the target on the same base and with the same label;
5. only if nothing fits: the same for the setup that `fallback` names. The resolution's `setup` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import BadxError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.ref import HubRef
from badx_hub.languages import UNRELATED, Mixture, distance
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.names import AdapterName, base_slug
from badx_hub.registry.protocol import Entry, Problem, newest
from badx_hub.remedies import (
    Advice,
    NearestAdapter,
    OptionValue,
    PullAdapter,
    RemoveAdapter,
    TakeNearest,
    TrainAdapters,
    TrainingCall,
)
from badx_hub.setups import DEFAULT, FALLBACKS, LanguageAdapterRole, Setup, TargetCoverage, setup_named

_SHOWN = 3
_SEED_LABEL = re.compile(r"seed(?P<seed>[0-9]+)")
_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@keeps_old_attributes
@dataclass(frozen=True)
class AdapterQuery:
    """What is asked for.

    `task` None: the language-side adapter itself. `base`: a slug, a Hub id, a folder or the first 8 or more
    digits of a base's digest. `setup`: a name in `badx_hub.setups.SETUPS`; only a task adapter has another than
    the default. `label` None: an unlabelled one.
    """

    mixture: Mixture
    task: str | None = None
    base: str | None = None
    setup: str = DEFAULT
    label: str | None = None

    def __post_init__(self) -> None:
        if setup_named(self.setup).name != DEFAULT and self.task is None:
            raise UsageError(
                f"The setup {self.setup} is about a task adapter.",
                remedies=(Advice("Name its task (`{}`).", (("task", "pos"),)),),
            )

    @property
    def setup_definition(self) -> Setup:
        """`setup`, as data."""
        return setup_named(self.setup)


@keeps_old_attributes
@dataclass(frozen=True)
class Resolution:
    """What was found: the adapter asked for, and the one under it (None under a language-side or TA only).

    `setup` is what really serves: as wanted, or the fallback. The language adapter is the one for inference.
    """

    entry: Entry
    language_adapter: Entry | None
    setup: str = DEFAULT

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The stack, the language-side adapter first."""
        return (self.entry,) if self.language_adapter is None else (self.language_adapter, self.entry)


@dataclass(frozen=True)
class RegistrySnapshot:
    """What one registry offers: entries, and what stands there and cannot be read.

    `unread` says why the registry as a whole could not be read.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    unread: BadxError | None = None


@dataclass(frozen=True)
class Suggestion:
    """Something close to what was asked for: the entry, how it differs, and the options that ask for it."""

    entry: Entry
    difference: str
    options: tuple[tuple[str, OptionValue], ...]


def resolve(
    candidates: Sequence[Entry], query: AdapterQuery, *, broken: Sequence[Problem] = (), fallback: str | None = None
) -> Resolution:
    """`resolve_in_order` with a single place."""
    return resolve_in_order([RegistrySnapshot(tuple(candidates), tuple(broken))], query, fallback=fallback)


def resolve_in_order(
    chain: Iterable[RegistrySnapshot], query: AdapterQuery, *, fallback: str | None = None
) -> Resolution:
    """The entry that `query` means and the adapter under it, from the first of `chain` that has it.

    `chain` may be lazy: none is drawn beyond those needed. A place's problems count where the adapter is looked
    for: a newer version that cannot be read is an error, not a reason to take an older one. Those on a Hub stop
    nobody (anybody can publish a broken one under any name) and are told of where nothing fits.

    Raises NotFoundError (with the nearest there are and what to train), UsageError (several bases or publishers,
    a fallback for what has none) and IntegrityError (unreadable newest version, parent on another base).
    """
    _check_fallback(fallback, query)
    seen: list[RegistrySnapshot] = []
    entry: Entry | None = None
    reason: NotFoundError | None = None
    for place in chain:
        seen.append(place)
        if place.unread is not None:
            break
        entry = entry or _choose(place, query)
        if entry is None:
            continue
        if (under := _under(entry, query)) is None:
            return Resolution(entry, None, query.setup)
        if (language_adapter := _language_adapter(entry, under, seen)) is not None:
            return Resolution(entry, language_adapter, query.setup)
        reason = _language_adapter_missing(entry, under)
    pool = [one for place in seen for one in place.entries]
    reason = reason or _nothing_fits(pool, query)
    if fallback is not None:
        return _fall_back(seen, replace(query, setup=fallback), reason)
    raise _with_unread(reason, seen, query)


def nearest(candidates: Sequence[Entry], query: AdapterQuery) -> tuple[Suggestion, ...]:
    """What comes closest, best first: another ratio, another label, another base, other languages.

    Other languages: another source for the same target, more languages, a target that is related to the wanted one
    (by `badx_hub.languages.distance`), the other direction.

    The newest version of each name; same task (or both language-side) and same setup only.
    """
    ranked: dict[AdapterName, tuple[float, Suggestion]] = {}
    for entry in sorted(candidates, key=lambda entry: entry.version):
        if (found := _difference(entry, query)) is not None:
            ranked[entry.name] = found
    order = sorted(ranked, key=lambda name: (ranked[name][0], str(name)))
    return tuple(ranked[name][1] for name in order)


def relation(name: AdapterName, query: AdapterQuery) -> float | None:
    """How near other languages than the wanted ones are, lower is nearer; None if they are not worth naming."""
    mixture, setup = _key(query)
    if (name.task, name.setup) != (query.task, setup) or (found := _relation(name.mixture, mixture)) is None:
        return None
    return found[0]


def training_call(query: AdapterQuery) -> TrainingCall:
    """How to train what is wanted."""
    plain = Mixture(tuple((language, 1) for language in query.mixture.languages))
    skewed = query.mixture != plain and query.setup_definition.mixture(query.mixture) == query.mixture
    # A seed that is not the default makes the label; the label alone would not make the seed.
    seed = _SEED_LABEL.fullmatch(query.label or "")
    return TrainingCall(
        mixture=str(plain),
        ratio=":".join(str(weight) for weight in query.mixture.weights) if skewed else None,
        task=query.task,
        setup=query.setup if query.setup != DEFAULT else None,
        base=query.base,
        seed=int(seed["seed"]) if seed else None,
        label=None if seed else query.label,
    )


def _key(query: AdapterQuery) -> tuple[Mixture, str | None]:
    """The mixture and the setup as names write them."""
    return query.setup_definition.mixture(query.mixture), query.setup_definition.name_field


def is_exactly(name: AdapterName, query: AdapterQuery) -> bool:
    """Whether `query` means the adapter of that name, whatever its base."""
    alike = (name.task, name.setup, name.label) == (query.task, query.setup_definition.name_field, query.label)
    return alike and query.setup_definition.serves(name.mixture, query.mixture)


def is_base(slug: str, digest: str, asked: str | None) -> bool:
    """Whether the base with this slug and digest is the one asked for: by name, by digits of its digest, or any."""
    if asked is None or slug == base_slug(asked):
        return True
    return _DIGEST_PREFIX.fullmatch(asked) is not None and digest.startswith(asked)


def _on_base(entry: Entry, base: str | None) -> bool:
    return is_base(entry.name.base, entry.manifest.base.digest, base)


def _refuse_broken(matching: Sequence[Entry], query: AdapterQuery, broken: Sequence[Problem]) -> None:
    readable = {entry.name: entry.version for entry in sorted(matching, key=lambda entry: entry.version)}
    for problem in broken:
        name = problem.name
        if name is None or not is_exactly(name, query) or _owner(problem.location) is not None:
            continue
        if query.base is not None and name.base != base_slug(query.base):
            continue
        if not matching or problem.version > readable.get(name, problem.version):
            raise IntegrityError(
                f"The newest version of {name} cannot be used: {problem.error.fact}",
                remedies=(RemoveAdapter(str(name), renew=True),),
            )


def _check_fallback(fallback: str | None, query: AdapterQuery) -> None:
    if fallback is None:
        return
    if fallback not in FALLBACKS:
        raise UsageError(f"There is no fallback {fallback!r}. Known: {', '.join(FALLBACKS)}.")
    if query.task is None or query.setup != DEFAULT or query.mixture.kind != "bilingual":
        raise UsageError(f"The fallback {fallback} is for the task adapter of a pair, such as en-wo with task pos.")


def _choose(place: RegistrySnapshot, query: AdapterQuery) -> Entry | None:
    """The newest entry of `place` that is exactly what is wanted."""
    matching = [one for one in place.entries if is_exactly(one.name, query) and _on_base(one, query.base)]
    _refuse_broken(matching, query, place.problems)
    if not matching:
        return None
    exact = [one for one in matching if one.name.mixture == _key(query)[0]]
    matching = exact or matching
    _refuse_several_mixtures(matching, query)
    _refuse_several_bases(matching, query)
    _refuse_several_owners(matching, query)
    return newest(matching)


def _first(chain: Sequence[RegistrySnapshot], query: AdapterQuery) -> Entry | None:
    return next((found for place in chain if (found := _choose(place, query)) is not None), None)


def _fall_back(chain: Sequence[RegistrySnapshot], query: AdapterQuery, reason: NotFoundError) -> Resolution:
    """What the fallback's setup gives. Raises NotFoundError that says all that is missing."""
    try:
        return resolve_in_order(chain, query)
    except NotFoundError as error:
        entry = _first(chain, query)
        base = entry.manifest.base if entry else None
        pool = [one for place in chain for one in place.entries]
        missing = _missing(pool, replace(query, base=base.digest if base else query.base))
        calls = tuple(training_call(replace(one, base=base.name if base else query.base)) for one in missing)
        both = NotFoundError(
            f"{reason.fact} The fallback {query.setup} lacks adapters too.",
            remedies=(*reason.remedies, TrainAdapters(calls, goal="train those of the fallback")),
        )
        raise _with_unread(both, chain, query) from error


def _with_unread(error: NotFoundError, chain: Sequence[RegistrySnapshot], query: AdapterQuery) -> NotFoundError:
    """The error, with what could not be looked into."""
    problems = [one for place in chain for one in place.problems if one.name and is_exactly(one.name, query)]
    broken = [problem.error for problem in problems[:_SHOWN]]
    unread = [place.unread for place in chain if place.unread is not None]
    facts = (*(f"Not readable: {one.fact}" for one in broken), *(f"Not looked into: {one.fact}" for one in unread))
    more = dict.fromkeys(remedy for one in (*broken, *unread) for remedy in one.remedies)
    return NotFoundError(" ".join((error.fact, *facts)), remedies=(*error.remedies, *more))


def _owner(location: str) -> str | None:
    """The namespace on the Hub that publishes what is at a location; None for one that is not on a Hub."""
    place = HubRef.parse(location)
    return place.owner if place else None


def _refuse_several_owners(matching: Sequence[Entry], query: AdapterQuery) -> None:
    """Anybody can publish under a name: whose adapter it is to be is never guessed."""
    owners = sorted({owner for entry in matching if (owner := _owner(entry.location)) is not None})
    if len(owners) > 1:
        raise UsageError(
            f"{_title(query)} is published by {len(owners)} namespaces.",
            remedies=(_one_of("Say whose", "registry", [str(HubRef(owner)) for owner in owners[:_SHOWN]]),),
        )


def _refuse_several_bases(matching: Sequence[Entry], query: AdapterQuery) -> None:
    bases = {entry.manifest.base.digest: entry for entry in matching}
    if len(bases) < 2:
        return
    names = {entry.name.base: entry.manifest.base.name for entry in bases.values()}
    choices = sorted(names.values()) if len(names) == len(bases) else sorted(digest[:12] for digest in bases)
    raise UsageError(
        f"{_title(query)} is there on {len(bases)} bases.", remedies=(_one_of("Choose one", "base", choices),)
    )


def _one_of(what: str, option: str, values: Sequence[str]) -> Advice:
    return Advice(f"{what}: {' or '.join(['`{}`'] * len(values))}.", tuple((option, value) for value in values))


def _under(entry: Entry, query: AdapterQuery) -> LanguageAdapterRef | AdapterQuery | None:
    """What carries `entry` at inference: an adapter it was trained on, or the LA of the target; None: nothing."""
    if query.setup_definition.inference is not LanguageAdapterRole.TARGET:
        return entry.manifest.parent
    target = target_of(query)
    trained_on = {AdapterName.parse(ref.name).mixture: ref for ref in entry.manifest.language_adapters}
    return trained_on.get(target) or AdapterQuery(target, base=entry.manifest.base.digest, label=query.label)


def target_of(query: AdapterQuery) -> Mixture:
    """The one target of what is wanted, as the mixture of its LA. Raises UsageError if there are several."""
    if len(query.mixture.targets) > 1:
        raise UsageError(
            f"The setup {query.setup} puts the adapter of one target under the task adapter, and {query.mixture} "
            f"has {len(query.mixture.targets)}. Name a pair, such as {pair_of(query.mixture)}."
        )
    return Mixture(((query.mixture.targets[0], 1),))


def pair_of(mixture: Mixture) -> Mixture:
    """The source and the first target."""
    return Mixture(tuple((language, 1) for language in mixture.languages[:2]))


def _language_adapter(
    entry: Entry, under: LanguageAdapterRef | AdapterQuery, chain: Sequence[RegistrySnapshot]
) -> Entry | None:
    if isinstance(under, AdapterQuery):
        return _first(chain, under)
    for place in chain:
        same = [one for one in place.entries if one.manifest.digest == under.digest and one.name.task is None]
        if same:
            return _on_same_base(newest(same), entry)
    return None


def _on_same_base(language_adapter: Entry, entry: Entry) -> Entry:
    if language_adapter.manifest.base.digest != entry.manifest.base.digest:
        raise IntegrityError(
            f"{entry.name} and {language_adapter.name} under it were trained on different bases. "
            f"Remove {entry.name} and train it again."
        )
    return language_adapter


def _language_adapter_missing(entry: Entry, under: LanguageAdapterRef | AdapterQuery) -> NotFoundError:
    base = entry.manifest.base.name
    if isinstance(under, AdapterQuery):
        return NotFoundError(
            f"{_title(under)}, on which {entry.name} would stand, is not here.",
            remedies=(TrainAdapters((training_call(replace(under, base=base)),)),),
        )
    name = AdapterName.parse(under.name)
    first = training_call(AdapterQuery(name.mixture, base=base, label=name.label))
    return NotFoundError(
        f"{entry.name} stands on {under.name} with digest {under.digest[:12]}, which is not here.",
        remedies=(PullAdapter(under.name), TrainAdapters((first,), goal="train both anew, begin with")),
    )


def _difference(entry: Entry, query: AdapterQuery) -> tuple[float, Suggestion] | None:
    name = entry.name
    mixture, setup = _key(query)
    if (name.task, name.setup) != (query.task, setup):
        return None
    options: list[tuple[str, OptionValue]] = []
    said: list[str] = []
    rank = 0.0
    if name.mixture.languages != mixture.languages:
        if not (step := _relation(name.mixture, mixture)):
            return None
        rank += 8 * step[0]
        said.append(step[1])
    elif name.mixture != mixture:
        rank += 1
        said.append("another ratio")
        options.append(("ratio", ":".join(str(weight) for weight in name.mixture.weights)))
    if name.label != query.label:
        rank += 2
        said.append("another label" if name.label else "no label")
        options += [("label", name.label)] if name.label else []
    if not _on_base(entry, query.base):
        rank += 4
        said.append("another base")
        options.append(("base", entry.manifest.base.name))
    if not said:
        return None
    return rank, Suggestion(entry, ", ".join(said), tuple(options))


def _relation(other: Mixture, mixture: Mixture) -> tuple[float, str] | None:
    if other.targets == mixture.targets:
        return 1, "another source"
    if set(mixture.targets) <= set(other.targets):
        return 2, "more languages"
    if (far := _target_distance(other, mixture)) < UNRELATED:
        return 3 + far / (2 * UNRELATED), "a related target"
    if other.languages == mixture.languages[::-1]:
        return 4, "the other direction"
    return None


def _target_distance(other: Mixture, mixture: Mixture) -> int:
    """Between the targets of two mixtures of one target; of mixtures that differ in more: UNRELATED."""
    alike = other.kind == mixture.kind and len(mixture.targets) == 1
    if not alike or (mixture.kind != "language" and other.source != mixture.source):
        return UNRELATED
    return distance(mixture.targets[0], other.targets[0])


def _nothing_fits(candidates: Sequence[Entry], query: AdapterQuery) -> NotFoundError:
    base = f" on {query.base}" if query.base else ""
    near = tuple(
        NearestAdapter(str(one.entry.name), one.difference, str(one.entry.name.mixture), one.options)
        for one in nearest(candidates, query)[:_SHOWN]
    )
    train = TrainAdapters(training_calls(candidates, query))
    return NotFoundError(
        f"{_title(query)}{base} is not here.", remedies=(TakeNearest(near), train) if near else (train,)
    )


def training_calls(candidates: Sequence[Entry], query: AdapterQuery) -> tuple[TrainingCall, ...]:
    """What to train, in order, to get what is wanted: first the language adapters that are still missing.

    An MA is written with `LANG` for the languages that a pair does not say.
    """
    if (
        query.task is not None
        and query.setup_definition.coverage is TargetCoverage.WIDER
        and query.mixture.kind != "multilingual"
    ):
        wider = f"{'+'.join(query.mixture.languages)}+LANG"
        return tuple(replace(training_call(one), mixture=wider) for one in (_language_side(query), query))
    return tuple(training_call(one) for one in _missing(candidates, query))


def _missing(candidates: Sequence[Entry], query: AdapterQuery) -> list[AdapterQuery]:
    """What is wanted and the language adapters it needs, in the order of training, as far as they are not there."""
    mixtures = [] if query.task is None else [*query.setup_definition.language_adapters(query.mixture)]
    if query.setup_definition.inference is LanguageAdapterRole.TARGET:
        mixtures.append(target_of(query))
    under = [replace(_language_side(query), mixture=mixture) for mixture in dict.fromkeys(mixtures)]
    return [one for one in (*under, query) if not _is_there(candidates, one)]


def _language_side(query: AdapterQuery) -> AdapterQuery:
    return AdapterQuery(query.mixture, base=query.base, label=query.label)


def _refuse_several_mixtures(matching: Sequence[Entry], query: AdapterQuery) -> None:
    mixtures = sorted({entry.name.mixture for entry in matching})
    if len(mixtures) > 1:
        raise UsageError(
            f"{_title(query)} is there for {len(mixtures)} sets of languages. "
            f"Name one in place of {query.mixture}: {' or '.join(map(str, mixtures[:_SHOWN]))}."
        )


def _is_there(candidates: Sequence[Entry], query: AdapterQuery) -> bool:
    return any(is_exactly(entry.name, query) and _on_base(entry, query.base) for entry in candidates)


def _title(query: AdapterQuery) -> str:
    label = f" (label {query.label})" if query.label else ""
    if query.task is None:
        return f"The {query.mixture.kind} adapter {query.mixture}{label}"
    if query.setup == DEFAULT:
        return f"The {query.task} adapter for {query.mixture}{label}"
    if query.setup_definition.training is None:
        return f"The {query.task} adapter trained on {query.mixture.source} alone{label}"
    return f"The {query.task} adapter of setup {query.setup} for {query.mixture}{label}"

"""What to say and to offer where an adapter is not found: the nearest ones, and what to train, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from badx_hub.base_spec import spec_slug
from badx_hub.errors import NotFoundError
from badx_hub.languages import UNRELATED, Mixture, distance
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.names import DEFAULT_BASE, AdapterName, base_slug, plain_label, sentences_in
from badx_hub.registry.protocol import Entry
from badx_hub.registry.query import AdapterQuery, is_exactly, swapped_in
from badx_hub.remedies import NearestAdapter, OptionValue, PullAdapter, TakeNearest, TrainAdapters, TrainingCall
from badx_hub.setups import DEFAULT, TargetCoverage, is_merged_label, label_for

MAX_SHOWN = 3
"""How many of several things an error names."""

_SEED_LABEL = re.compile(r"seed(?P<seed>[0-9]+)")


@dataclass(frozen=True)
class Suggestion:
    """An adapter that is close to a query: how it differs, and the options that ask for it."""

    entry: Entry
    difference: str
    options: tuple[tuple[str, OptionValue], ...]


def title(query: AdapterQuery) -> str:
    """What a query asks for, to begin a sentence: "The pos adapter for en-wo"."""
    label = f" (label {query.label})" if query.label else ""
    if query.task is None:
        return f"The {query.mixture.kind} adapter {query.mixture}{label}"
    if query.setup == DEFAULT:
        return f"The {query.task} adapter for {query.mixture}{label}"
    if query.setup_definition.training is None:
        return f"The {query.task} adapter trained on {query.mixture.source} alone{label}"
    return f"The {query.task} adapter of setup {query.setup} for {query.mixture}{label}"


def not_found(candidates: Sequence[Entry], query: AdapterQuery) -> NotFoundError:
    """The error for a query that none of `candidates` fits: with the nearest of them, and what to train."""
    base = f" on {query.base}" if query.base else ""
    near = tuple(
        NearestAdapter(str(one.entry.name), one.difference, str(one.entry.name.mixture), one.options)
        for one in nearest(candidates, query)[:MAX_SHOWN]
    )
    train = TrainAdapters(training_calls(candidates, query))
    return NotFoundError(
        f"{title(query)}{base} is not here.", remedies=(TakeNearest(near), train) if near else (train,)
    )


def _only_base(candidates: Sequence[Entry], query: AdapterQuery) -> str | None:
    """The base of all candidates of the query's languages; None if there are several, none, or it is the default.

    What is trained next has to be of that base: an adapter on another one neither compares nor stacks.
    """
    languages = set(query.mixture.languages)
    bases = {one.manifest.base.name for one in candidates if languages.issuperset(one.name.mixture.languages)}
    only = bases.pop() if len(bases) == 1 else DEFAULT_BASE
    return None if base_slug(only) == base_slug(DEFAULT_BASE) else only


def language_adapter_not_found(entry: Entry, needed: LanguageAdapterRef | AdapterQuery) -> NotFoundError:
    """The error for a task adapter that was found without the language adapter it needs."""
    base = entry.manifest.base.name
    if isinstance(needed, AdapterQuery):
        return NotFoundError(
            f"{title(needed)}, which {entry.name} would be used on, is not here.",
            remedies=(TrainAdapters((training_call(replace(needed, base=base)),)),),
        )
    name = AdapterName.parse(needed.name)
    first = training_call(AdapterQuery(name.mixture, base=base, label=name.label))
    return NotFoundError(
        f"{entry.name} was trained on {needed.name} with digest {needed.digest[:12]}, which is not here.",
        remedies=(PullAdapter(needed.name), TrainAdapters((first,), goal="train both again, begin with")),
    )


def nearest(candidates: Sequence[Entry], query: AdapterQuery) -> tuple[Suggestion, ...]:
    """The candidates that come closest to a query, best first: the newest version of each name.

    They have the task and the setup of the query. They differ in the ratio, the label, the base or the languages. Of
    other languages count: another source for the same target, more languages, a target that is related to the one
    asked for (by `badx_hub.languages.distance`), and the other direction.
    """
    ranked: dict[AdapterName, tuple[float, Suggestion]] = {}
    for entry in sorted(candidates, key=lambda entry: entry.version):
        if (found := _difference(entry, query)) is not None:
            ranked[entry.name] = found
    order = sorted(ranked, key=lambda name: (ranked[name][0], str(name)))
    return tuple(ranked[name][1] for name in order)


def relation(name: AdapterName, query: AdapterQuery) -> float | None:
    """How far the languages of a name are from those of a query, lower is nearer; None: too far to suggest it."""
    if (name.task, name.setup) != (query.task, query.setup_in_name):
        return None
    found = _relation(name.mixture, query.mixture_in_name)
    return found[0] if found else None


def training_call(query: AdapterQuery) -> TrainingCall:
    """How to train what a query asks for, or to merge it."""
    if query.task is None and query.mixture.kind == "bilingual" and is_merged_label(query.label):
        return _merging_call(query)
    has_ratio = not query.mixture.is_balanced and query.mixture_in_name == query.mixture
    # A seed other than the default makes the label, but a label does not make the seed.
    label = plain_label(query.label)
    seed = _SEED_LABEL.fullmatch(label or "")
    return TrainingCall(
        mixture=str(query.mixture.balanced),
        ratio=query.mixture.ratio if has_ratio else None,
        task=query.task,
        setup=query.setup if query.setup != DEFAULT else None,
        base=query.base or (query.on.name if query.on else None),
        seed=int(seed["seed"]) if seed else None,
        label=None if seed else label,
        sentences=tuple(sentences_in(query.label, query.mixture).items()) if query.task else (),
    )


def _merging_call(query: AdapterQuery) -> TrainingCall:
    base, label = spec_slug(query.base or DEFAULT_BASE), (query.label or "").partition("-")[2] or None
    return TrainingCall(
        mixture=str(query.mixture.balanced),
        label=query.label,
        parents=tuple(str(AdapterName(base, Mixture.of(one), label=label)) for one in query.mixture.languages),
        name=str(AdapterName(base, query.mixture, label=query.label)),
    )


def training_calls(candidates: Sequence[Entry], query: AdapterQuery) -> tuple[TrainingCall, ...]:
    """What to train, in order, to get what a query asks for: first the language adapters that are still missing.

    A pair does not say all languages of an MA: "LANG" stands for the others. Where no base is asked for, it is the one
    that all candidates of these languages have.
    """
    query = replace(query, base=query.base or _only_base(candidates, query))
    needs_more_languages = query.setup_definition.coverage is TargetCoverage.WIDER
    if query.task is not None and needs_more_languages and query.mixture.kind != "multilingual":
        wider = f"{'+'.join(query.mixture.languages)}+LANG"
        return tuple(replace(training_call(one), mixture=wider) for one in (_language_adapter_of(query), query))
    return tuple(training_call(one) for one in missing_adapters(candidates, query))


def missing_adapters(candidates: Sequence[Entry], query: AdapterQuery) -> list[AdapterQuery]:
    """Those of the adapter asked for and its language adapters that are not there, in the order of training."""
    needed: list[AdapterQuery] = []
    plain = plain_label(query.label)
    for one in () if query.task is None else _language_adapters_of(query):
        if is_merged_label(one.label) and not _is_present(candidates, one):
            needed += [
                AdapterQuery(Mixture.of(tag), base=one.base, label=plain, on=one.on) for tag in one.mixture.languages
            ]
        needed.append(one)
    return [one for one in dict.fromkeys((*needed, query)) if not _is_present(candidates, one)]


def _language_adapters_of(query: AdapterQuery) -> Iterator[AdapterQuery]:
    """Those that its setup uses in training, then the one that it swaps in."""
    setup = query.setup_definition
    label = label_for(setup.training, plain_label(query.label))
    for mixture in dict.fromkeys(setup.language_adapters(query.mixture)):
        yield AdapterQuery(mixture, base=query.base, label=label, on=query.on)
    if setup.swaps:
        yield swapped_in(query)


def _language_adapter_of(query: AdapterQuery) -> AdapterQuery:
    return AdapterQuery(query.mixture, base=query.base, label=plain_label(query.label), on=query.on)


def _is_present(candidates: Sequence[Entry], query: AdapterQuery) -> bool:
    return any(is_exactly(entry.name, query) and entry.is_on_base(query) for entry in candidates)


def _difference(entry: Entry, query: AdapterQuery) -> tuple[float, Suggestion] | None:
    """How far an entry is from a query, lower is nearer, and the suggestion; None: the same, or too far."""
    name, mixture = entry.name, query.mixture_in_name
    if (name.task, name.setup) != (query.task, query.setup_in_name):
        return None
    options: list[tuple[str, OptionValue]] = []
    differences: list[str] = []
    rank = 0.0
    if name.mixture.languages != mixture.languages:
        if not (found := _relation(name.mixture, mixture)):
            return None
        rank += 8 * found[0]
        differences.append(found[1])
    elif name.mixture != mixture:
        rank += 1
        differences.append("another ratio")
        options.append(("ratio", name.mixture.ratio))
    if name.label != query.label:
        rank += 2
        differences.append(_other_label(name, query))
        options += [("label", name.label)] if name.label else []
    if not entry.is_on_base(query):
        rank += 4
        differences.append("another base")
        options.append(("base", entry.manifest.base.name))
    if not differences:
        return None
    return rank, Suggestion(entry, ", ".join(differences), tuple(options))


def _other_label(name: AdapterName, query: AdapterQuery) -> str:
    """How the label of a name differs from that of a query, in words."""
    asked = sentences_in(query.label, query.mixture)
    if name.sentences and name.sentences != asked:
        return f"not zero-shot: it learned from {counted_sentences(sentences_in(name.label, query.mixture))}"
    if asked and not name.sentences:
        return "zero-shot: it learned from the source alone"
    return "another label" if name.label else "no label"


def counted_sentences(sentences: Mapping[str, int]) -> str:
    """ "100 annotated sentences of wo"."""
    return " and ".join(f"{count:,} annotated sentences of {language}" for language, count in sentences.items())


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

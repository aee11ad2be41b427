"""Fallbacks: which queries have one, and which LA stands in for the one that a target lacks. Pure.

That is the nearest language's, or a mean of the nearest ones'. How near languages are is told by `badx_hub.typology`.
Means weighted by typology: TIPA (Findings of EACL 2026). `badx_hub.registry.resolve` says when a fallback is tried.
"""

from __future__ import annotations

from collections.abc import Sequence

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.languages import Mixture
from badx_hub.names import AdapterName, plain_label
from badx_hub.registry.protocol import Entry, newest
from badx_hub.registry.query import AdapterQuery
from badx_hub.registry.suggest import training_call
from badx_hub.remedies import Advice, TrainAdapters, TrainingCall
from badx_hub.setups import DEFAULT, FALLBACKS, NEAREST_LA
from badx_hub.typology import has_lineages, nearest_first, source_of_knowledge

PROXY_LABEL = "proxy"
"""The label of a mean that stands in for an LA, before that of a seed: "proxy", "proxy-seed2"."""

_LINEAGES = Advice("Install `urielplus` for the lineages of 8,000 languages.")
_MOST = 3
_HUNDRED = 100


def check_fallback(fallback: str | None, query: AdapterQuery) -> None:
    """Raises UsageError for a fallback that is not known, and for one that `query` cannot have."""
    if fallback is None:
        return
    if fallback not in FALLBACKS:
        raise UsageError(f"There is no fallback {fallback!r}. Known: {', '.join(FALLBACKS)}.")
    if query.task is None or query.setup != DEFAULT or query.mixture.kind != "bilingual":
        raise UsageError(f"The fallback {fallback} is for the task adapter of a pair, such as en-wo with task pos.")


def substitute(entries: Sequence[Entry], task_adapter: Entry, query: AdapterQuery, fallback: str) -> Entry:
    """The language adapter that `fallback` takes for the target of `query`, from `entries`.

    Raises NotFoundError: no language that has an LA on the same base is known to be related; or, for a mean, it has to
    be made first, and the error says how.
    """
    target, label = query.mixture.targets[0], plain_label(query.label)
    base = task_adapter.manifest.base
    there = [one for one in entries if one.name.kind == "language" and one.manifest.base.has_weights_of(base)]
    own = AdapterQuery(Mixture.of(target), label=label, on=base)
    if fallback == NEAREST_LA:
        return _related(there, own)[0][0]
    proxy = f"{PROXY_LABEL}-{label}" if label else PROXY_LABEL
    name = AdapterName(task_adapter.name.base, Mixture.of(target), label=proxy)
    if made := [one for one in there if one.name == name]:
        return newest(made)
    raise _to_be_made(name, _related(there, own))


def _related(there: Sequence[Entry], own: AdapterQuery) -> list[tuple[Entry, float]]:
    """The newest LA of each language related to that of `own`, the nearest first. Raises NotFoundError without any."""
    target = own.mixture.source
    by_language: dict[str, list[Entry]] = {}
    for one in there:
        if one.name.label == own.label and one.name.mixture.source != target:
            by_language.setdefault(one.name.mixture.source, []).append(one)
    found = [(newest(by_language[tag]), value) for tag, value in nearest_first(target, by_language).items()]
    if not found:
        known = ", ".join(sorted(by_language)) or "none"
        raise NotFoundError(
            f"No language that has an adapter here ({known}) is known to be related to {target} "
            f"({source_of_knowledge()}).",
            remedies=(*(() if has_lineages() else (_LINEAGES,)), TrainAdapters((training_call(own),))),
        )
    return found


def _to_be_made(name: AdapterName, related: Sequence[tuple[Entry, float]]) -> NotFoundError:
    """The error that says how to make the mean of the nearest, with whole weights by relatedness."""
    chosen = related[:_MOST]
    if len(chosen) < 2:
        return NotFoundError(
            f"{name} is not here, and a mean takes two related languages: only {chosen[0][0].name} is.",
            remedies=(Advice("Take that one: {}.", (("fallback", NEAREST_LA),)),),
        )
    call = TrainingCall(
        mixture=str(name.mixture),
        label=name.label,
        parents=tuple(str(entry.name) for entry, _ in chosen),
        name=str(name),
        weights=",".join(str(max(1, round(_HUNDRED * value))) for _, value in chosen),
    )
    return NotFoundError(f"{name} is not here.", remedies=(TrainAdapters((call,), goal="make it of related ones"),))

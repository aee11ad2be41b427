"""The versions of a registry: what is damaged, what misses its language adapter, and what a removal takes away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from badx_hub.doctor.caches import hub_caches
from badx_hub.doctor.finding import Finding, FindingKind
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.registry import Entry, LocalRegistry, Problem, copy
from badx_hub.registry.protocol import same_weights
from badx_hub.remedies import PullAdapter, RemoveAdapter


@dataclass(frozen=True)
class Support:
    """An adapter that `task_adapters` were trained on, `alone` if no other version has its weights."""

    entry: Entry
    task_adapters: tuple[Entry, ...]
    alone: bool


def wrong(registry: LocalRegistry, entries: Sequence[Entry], problems: Sequence[Problem]) -> Iterator[Finding]:
    """Versions that cannot be read or were changed, and language adapters that are missing. Every file is hashed."""
    for problem in problems:
        place = f"{problem.name or problem.location} {problem.version}".strip()
        yield Finding(FindingKind.VERSION, place, problem.error.fact, remedies=problem.error.remedies)
    for entry in entries:
        report, place = registry.verify(entry), f"{entry.name} {entry.version}"
        if report.faults:
            what = ", ".join(f"{fault.name} is {fault.state}" for fault in report.faults)
            again = RemoveAdapter(str(entry.name), renew=True, registry=registry.location)
            yield Finding(FindingKind.VERSION, place, what, remedies=(again,))
        for ref in report.missing:
            yield _missing(registry, place, ref)


def supports(entries: Sequence[Entry]) -> tuple[Support, ...]:
    """The adapters that others were trained on."""
    found = []
    for entry in entries:
        digest = entry.manifest.digest
        trained = tuple(one for one in entries if any(ref.digest == digest for ref in one.manifest.language_adapters))
        same = [one for one in entries if one.manifest.digest == digest]
        if trained and entry.name.task is None:
            found.append(Support(entry, trained, alone=len(same) == 1))
    return tuple(found)


def _missing(registry: LocalRegistry, place: str, ref: LanguageAdapterRef) -> Finding:
    what = f"was trained on {ref.name} ({ref.digest[:12]}), which is not here"
    for cache in hub_caches():
        for entry in same_weights(cache.by_digest(ref.digest, ref.name), ref):
            if cache.verify(entry).ok:
                mend = partial(_fetch, entry, cache, registry)
                return Finding(FindingKind.PARENT, place, f"{what} but was downloaded before", mend=mend)
    return Finding(FindingKind.PARENT, place, what, remedies=(PullAdapter(ref.name),))


def _fetch(entry: Entry, cache: LocalRegistry, registry: LocalRegistry) -> bool:
    copy(entry, cache, registry)
    return True

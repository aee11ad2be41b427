"""Learning curves by annotated sentences of the target, among the systems of a comparison. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from badx_hub.evaluation.compare import SystemSummary
from badx_hub.languages import Mixture
from badx_hub.names import plain_label, sentences_in


@dataclass(frozen=True)
class SentenceCurve:
    """Systems that differ in nothing but how many annotated sentences of the target they learned from.

    `system` is the name of the one that learned from none, "bad-x@5:1+average", whether it is there or not. `points`
    are the systems by number of sentences, ascending; 0 is zero-shot. There are two or more.
    """

    system: str
    target: str
    points: Mapping[int, SystemSummary]

    @property
    def task(self) -> str:
        return self._first.results[0].task

    @property
    def metric(self) -> str:
        """The main one."""
        return self._first.results[0].metric

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of all points, the main one first."""
        everywhere = set.intersection(*(set(one.averages) for one in self.points.values()))
        return (self.metric, *sorted(everywhere - {self.metric}))

    @property
    def _first(self) -> SystemSummary:
        return next(iter(self.points.values()))


def sentence_curves(compared: Iterable[SystemSummary]) -> tuple[SentenceCurve, ...]:
    """The curves among systems of one task, by system and target, in the order of first occurrence.

    Systems that learned from sentences of another language than the target are on none.
    """
    found: dict[tuple[str, str], dict[int, SystemSummary]] = {}
    for one in compared:
        first = one.results[0]
        system, _, label = one.name.partition("+")
        sentences = sentences_in(label, Mixture.parse(first.mixture))
        if set(sentences) <= {first.target}:
            plain = plain_label(label or None)
            known = found.setdefault((f"{system}+{plain}" if plain else system, first.target), {})
            known[sentences.get(first.target, 0)] = one
    return tuple(
        SentenceCurve(system, target, dict(sorted(points.items())))
        for (system, target), points in found.items()
        if len(points) > 1
    )


def is_zero_shot(name: str) -> bool:
    """Whether a system of this name learned from no sentences of a target."""
    return not sentences_in(name.partition("+")[2])

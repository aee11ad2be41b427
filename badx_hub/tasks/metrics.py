"""Scores of predicted labels against gold ones. Fractions, 0 to 1; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelScore:
    """One row of the table: `support` is how often the label is gold; a ratio without cases is 0."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """`counts[i][j]`: how often `labels[i]` is gold where `labels[j]` was predicted."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Scores:
    """`metrics` by name and the table they come from, one row a label that is gold or was predicted."""

    metrics: Mapping[str, float]
    table: tuple[LabelScore, ...]
    confusion: Confusion | None = None


def label_table(
    gold: Sequence[str], predicted: Sequence[str], labels: Iterable[str], found: Sequence[bool] | None = None
) -> tuple[LabelScore, ...]:
    """A row for each of `labels`, in that order, that is gold or predicted at least once.

    `found` says which predictions are right, if the right label is not enough.
    """
    right = [label == guess for label, guess in zip(gold, predicted, strict=True)]
    hits = Counter(label for label, hit in zip(gold, found or right, strict=True) if hit)
    support, guesses = Counter(gold), Counter(predicted)
    return tuple(
        label_score(label, hits[label], guesses[label], support[label])
        for label in labels
        if support[label] or guesses[label]
    )


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of right labels. Raises ValueError without any label."""
    if not gold:
        raise ValueError("no gold label, no accuracy")
    return sum(label == guess for label, guess in zip(gold, predicted, strict=True)) / len(gold)


def macro_f1(table: Sequence[LabelScore]) -> float:
    """The unweighted mean F1 of the labels that occur in the gold data.

    A label that is only predicted adds no zero: its errors already lower the recall of the gold labels.
    """
    rows = [row.f1 for row in table if row.support]
    return sum(rows) / len(rows)


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Confusion:
    """Counts of each pair of labels, only for `labels`. Raises ValueError for sequences of different lengths."""
    pairs = Counter(zip(gold, predicted, strict=True))
    return Confusion(tuple(labels), tuple(tuple(pairs[label, guess] for guess in labels) for label in labels))


def label_score(label: str, hits: int, guesses: int, support: int) -> LabelScore:
    """The row of a label: `hits` of `guesses` predictions are right, `support` are gold; not both 0."""
    # F1 = 2PR / (P + R), written on counts: no rounding, no 0/0.
    return LabelScore(
        label,
        precision=hits / guesses if guesses else 0.0,
        recall=hits / support if support else 0.0,
        f1=2 * hits / (guesses + support),
        support=support,
    )

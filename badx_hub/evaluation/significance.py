"""Whether one system is better than another on the same examples, or only luckier in them. Pure.

A system is its tallies: the (gains, stakes) of each example (`Task.counts`), and its metric the sum of gains over the
sum of stakes. Both are kept because the stakes of two systems may differ (in F1 they count what was predicted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap, permutation_test

from badx_hub.errors import UsageError

RESAMPLES = 2000
CONFIDENCE = 0.95

Counts: TypeAlias = Sequence[tuple[int, int]]

_Counts: TypeAlias = npt.NDArray[np.int64]
_Metrics: TypeAlias = npt.NDArray[np.float64]

_CELLS = 2_000_000
"""Examples times resamples at once: few enough for the memory, enough for numpy to be quick."""


@dataclass(frozen=True)
class Difference:
    """One system's metric less another's, as a fraction, from the same examples.

    `low` and `high` bound the 95 % percentile interval of a paired bootstrap over examples. `p` is that of a
    two-sided permutation test: how often a difference at least this large comes up if, in every example, either
    system's output may as well be the other's. Neither says anything about other runs of the same training.
    """

    delta: float
    low: float
    high: float
    p: float
    resamples: int


def compare_counts(ours: Counts, theirs: Counts, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """The difference of two systems' metrics. The same arguments give the same figures.

    Args:
        ours, theirs: (gains, stakes) of the same examples in the same order.
        resamples: of the bootstrap, and of the permutation test, which is exact where fewer can tell all.
        seed: of both.

    Raises:
        UsageError: tallies of different lengths, or of fewer than two examples.
    """
    if len(ours) != len(theirs):
        raise UsageError(f"Two systems are compared on the same examples; got {len(ours)} and {len(theirs)}.")
    if len(ours) < 2:
        raise UsageError(f"Nothing can be said about {len(ours)} example(s). Give data with two or more.")
    columns = (*_columns(ours), *_columns(theirs))
    low, high = _interval(columns, resamples, seed)
    p = _p_value(columns, resamples, seed)
    return Difference(delta=float(_delta(*columns)), low=low, high=high, p=p, resamples=resamples)


def pooled(runs: Sequence[Counts], *, times: int = 1) -> Counts:
    """One system out of several runs (seeds) of it: the tallies of each example, summed over the runs, `times` over.

    Where stakes are the same in every run, its metric is the mean of theirs; else it is close to that. Two systems
    with different numbers of runs are put on one scale by `times`, the number of the other's.
    Raises UsageError for runs of different lengths.
    """
    if len({len(run) for run in runs}) > 1:
        raise UsageError(f"Runs are pooled on the same examples; got {', '.join(str(len(run)) for run in runs)}.")
    return [
        (times * sum(numerator for numerator, _ in example), times * sum(denominator for _, denominator in example))
        for example in zip(*runs, strict=True)
    ]


def _columns(tallies: Counts) -> tuple[_Counts, _Counts]:
    table = np.asarray(tallies, dtype=np.int64)
    return table[:, 0], table[:, 1]


def _metric(numerator: Any, denominator: Any) -> _Metrics:
    """Gains over stakes; as in every score, a ratio without cases is 0."""
    metric: _Metrics = np.divide(
        numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0
    )
    return metric


def _delta(
    ours: _Counts, our_denominator: _Counts, theirs: _Counts, their_denominator: _Counts, axis: int = -1
) -> _Metrics:
    return _metric(ours.sum(axis), our_denominator.sum(axis)) - _metric(theirs.sum(axis), their_denominator.sum(axis))


def _interval(columns: Sequence[_Counts], resamples: int, seed: int) -> tuple[float, float]:
    # Percentile, not BCa: that one is undefined where no resample differs, and jackknifes every example.
    found = bootstrap(
        columns,
        _delta,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(len(columns[0])),
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _p_value(columns: Sequence[_Counts], resamples: int, seed: int) -> float:
    """Two-sided p of swapping the systems' tallies example by example."""
    numerator, denominator = np.stack(columns[0::2]), np.stack(columns[1::2])
    differs = np.flatnonzero((numerator[0] != numerator[1]) | (denominator[0] != denominator[1]))
    if differs.size < 2:  # to swap a single one turns the difference around and leaves it as large
        return 1.0
    # To swap what is equal changes nothing: those examples are summed once.
    rest_gains, rest_stakes = (np.delete(part, differs, axis=1).sum(axis=1) for part in (numerator, denominator))
    some_gains, some_stakes = numerator[:, differs].ravel(), denominator[:, differs].ravel()

    def delta(ours: _Counts, theirs: _Counts, axis: int = -1) -> _Metrics:
        chosen = [
            (rest_gains[side] + some_gains[index].sum(axis), rest_stakes[side] + some_stakes[index].sum(axis))
            for side, index in enumerate((ours, theirs))
        ]
        return _metric(*chosen[0]) - _metric(*chosen[1])

    # The test permutes the places of tallies in the table, so that gains and stakes go together.
    places = np.arange(2 * differs.size).reshape(2, -1)
    found = permutation_test(
        tuple(places),
        delta,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(differs.size),
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _batch(examples: int) -> int:
    return max(1, _CELLS // examples)

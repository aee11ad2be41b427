"""Significance: is one system better than another on the same examples, or is it chance? Pure.

An interval over examples says what other sentences would change, and nothing about other runs of the same training.
`interval_with_seeds` draws the runs again as well (hierarchical bootstrap), so it is about both. `sign_test` is over
languages.

A system is given by its tallies: (numerator, denominator) of each example (`Task.counts`). Its metric is the sum of the
numerators over the sum of the denominators. Both are kept because the denominators of two systems may differ: in F1
they count what was predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, bootstrap, permutation_test

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
    """One system's metric minus another's on the same examples, as a fraction.

    Neither `low` and `high` nor `p` says anything about other runs of the same training.

    Attributes:
        delta: the difference.
        low, high: the 95 % interval of a paired bootstrap over examples (percentiles).
        p: of a two-sided permutation test: how often a difference at least this large occurs when, in each example,
            the outputs of the two systems are swapped at random.
        resamples: of both.
        seeds_low, seeds_high: the 95 % interval over examples and runs together (`interval_with_seeds`); None
            where each system has a single run.
    """

    delta: float
    low: float
    high: float
    p: float
    resamples: int
    seeds_low: float | None = None
    seeds_high: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The widest that is known: over examples and runs, else over examples alone."""
        if self.seeds_low is None or self.seeds_high is None:
            return self.low, self.high
        return self.seeds_low, self.seeds_high


@dataclass(frozen=True)
class Signs:
    """Over languages: how many a system is better, worse and equal in, and p of a two-sided sign test.

    Languages in which both are equal do not count in the test. Of n languages, p is at least 2 / 2**n.
    """

    better: int
    worse: int
    equal: int
    p: float


def compare_counts(ours: Counts, theirs: Counts, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """The difference of two systems' metrics. The same arguments give the same figures.

    Args:
        ours, theirs: (numerator, denominator) of the same examples in the same order.
        resamples: of the bootstrap and of the permutation test; where there are fewer permutations, all are taken.
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


def interval_with_seeds(
    ours: Sequence[Counts], theirs: Sequence[Counts], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the difference of two systems' mean metrics, over other seeds and other examples.

    In each resample the examples are drawn with replacement, the same ones for every run, and so are the runs of each
    system. The metric of a system is the mean over the runs drawn. The same arguments give the same figures.

    Args:
        ours, theirs: the runs of each system: (numerator, denominator) of the same examples in the same order.

    Raises:
        UsageError: no runs, or runs of different lengths.
    """
    if not ours or not theirs or len({len(run) for run in (*ours, *theirs)}) > 1:
        raise UsageError("Runs are compared on the same examples, one run of each system at least.")
    generator = np.random.default_rng(seed)
    examples = len(ours[0])
    deltas = []
    for size in _sizes(resamples, _batch(examples)):
        # How often each example is drawn: [resamples, examples].
        drawn = generator.multinomial(examples, np.full(examples, 1 / examples), size=size).astype(np.float64)
        one, other = (_means(np.asarray(runs, dtype=np.float64), drawn, generator) for runs in (ours, theirs))
        deltas.append(one - other)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(np.concatenate(deltas), [tail, 100 - tail])
    return float(low), float(high)


def sign_test(deltas: Sequence[float]) -> Signs:
    """Over the differences to a baseline, one a language."""
    better, worse = sum(delta > 0 for delta in deltas), sum(delta < 0 for delta in deltas)
    differing = better + worse
    p = float(binomtest(better, differing, 0.5).pvalue) if differing else 1.0
    return Signs(better, worse, len(deltas) - differing, p)


def pooled(runs: Sequence[Counts], *, times: int = 1) -> Counts:
    """Several runs (seeds) of a system as one: the tallies of each example, summed over the runs and times `times`.

    Where denominators are the same in every run, its metric is the mean of the runs'; otherwise it is close to the
    mean. `times` puts two systems with different numbers of runs on one scale: it is the other system's number.
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
    """Numerator over denominator; as in every score, a ratio without cases is 0."""
    metric: _Metrics = np.divide(
        numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0
    )
    return metric


def _delta(
    ours: _Counts, our_denominator: _Counts, theirs: _Counts, their_denominator: _Counts, axis: int = -1
) -> _Metrics:
    return _metric(ours.sum(axis), our_denominator.sum(axis)) - _metric(theirs.sum(axis), their_denominator.sum(axis))


def _interval(columns: Sequence[_Counts], resamples: int, seed: int) -> tuple[float, float]:
    # Percentiles, not BCa: BCa is undefined where no resample differs, and it jackknifes every example.
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
    """Two-sided p of swapping the tallies of the systems, example by example."""
    numerator, denominator = np.stack(columns[0::2]), np.stack(columns[1::2])
    differs = np.flatnonzero((numerator[0] != numerator[1]) | (denominator[0] != denominator[1]))
    if differs.size < 2:  # swapping a single example only changes the sign of the difference
        return 1.0
    # Swapping equal examples changes nothing, so they are summed once.
    equal_numerator, equal_denominator = (
        np.delete(part, differs, axis=1).sum(axis=1) for part in (numerator, denominator)
    )
    swapped_numerator, swapped_denominator = numerator[:, differs].ravel(), denominator[:, differs].ravel()

    def delta(ours: _Counts, theirs: _Counts, axis: int = -1) -> _Metrics:
        chosen = [
            (
                equal_numerator[side] + swapped_numerator[index].sum(axis),
                equal_denominator[side] + swapped_denominator[index].sum(axis),
            )
            for side, index in enumerate((ours, theirs))
        ]
        return _metric(*chosen[0]) - _metric(*chosen[1])

    # The test permutes indices of the tallies, so that a numerator keeps its denominator.
    indices = np.arange(2 * differs.size).reshape(2, -1)
    found = permutation_test(
        tuple(indices),
        delta,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(differs.size),
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _batch(examples: int) -> int:
    return max(1, _CELLS // max(1, examples))


def _means(table: _Metrics, drawn: _Metrics, generator: np.random.Generator) -> _Metrics:
    """The mean metric of runs drawn with replacement, for each row of `drawn`; `table` is [runs, examples, 2]."""
    sums = np.einsum("re,nec->nrc", drawn, table)  # [runs, resamples, 2]
    metrics = _metric(sums[..., 0], sums[..., 1])
    chosen = generator.integers(len(table), size=metrics.shape)
    means: _Metrics = np.take_along_axis(metrics, chosen, axis=0).mean(axis=0)
    return means


def _sizes(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`."""
    return [min(most, total - start) for start in range(0, total, most)]

"""Intervals over seeds and examples together, and a sign test over languages. Pure.

An interval over examples says what other sentences would change, and nothing about other runs of the same training.
Here the runs are drawn anew as well (hierarchical bootstrap), so it is about both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from badx_hub.errors import UsageError
from badx_hub.evaluation.significance import CONFIDENCE, RESAMPLES, Counts

_Array: TypeAlias = npt.NDArray[np.float64]
_CELLS = 2_000_000
"""Examples times resamples at once."""


@dataclass(frozen=True)
class Signs:
    """Over languages: how many a system is better, worse and equal in, and p of a two-sided sign test.

    Languages in which both are equal do not count in the test. Of n languages, p is at least 2 / 2**n.
    """

    better: int
    worse: int
    equal: int
    p: float


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
    for size in _sizes(resamples, max(1, _CELLS // max(1, examples))):
        # How often each example is drawn: [resamples, examples].
        drawn = generator.multinomial(examples, np.full(examples, 1 / examples), size=size).astype(np.float64)
        one, other = (_means(_table(runs), drawn, generator) for runs in (ours, theirs))
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


def _table(runs: Sequence[Counts]) -> _Array:
    """[runs, examples, 2]"""
    return np.asarray(runs, dtype=np.float64)


def _means(table: _Array, drawn: _Array, generator: np.random.Generator) -> _Array:
    """The mean metric of runs drawn with replacement, for each row of `drawn`."""
    sums = np.einsum("re,nec->nrc", drawn, table)  # [runs, resamples, 2]
    metrics = np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:2]), where=sums[..., 1] > 0)
    chosen = generator.integers(len(table), size=metrics.shape)
    means: _Array = np.take_along_axis(metrics, chosen, axis=0).mean(axis=0)
    return means


def _sizes(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`."""
    return [min(most, total - start) for start in range(0, total, most)]

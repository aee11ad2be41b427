"""Intervals over seeds and sentences, and the sign test over languages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from badx_hub.errors import UsageError
from badx_hub.evaluation.significance import Counts, compare_counts, interval_with_seeds, sign_test

FEW = 500


def run(accuracy: float, seed: int, size: int = 200) -> Counts:
    """Sentences of ten words, each right with this probability."""
    right = np.random.default_rng(seed).binomial(10, accuracy, size)
    return [(int(one), 10) for one in right]


def test_a_single_run_has_the_interval_over_sentences() -> None:
    ours, theirs = run(0.6, 1), run(0.5, 2)
    alone = compare_counts(ours, theirs, resamples=2000)
    low, high = interval_with_seeds([ours], [theirs], resamples=2000)
    assert (low, high) == pytest.approx((alone.low, alone.high), abs=0.005)


def test_seeds_that_differ_widen_it() -> None:
    theirs = [run(0.5, seed) for seed in (1, 2, 3)]
    alike = [run(0.6, seed) for seed in (4, 5, 6)]
    apart = [run(accuracy, seed) for accuracy, seed in ((0.5, 4), (0.6, 5), (0.7, 6))]
    one, other = (interval_with_seeds(ours, theirs, resamples=FEW) for ours in (alike, apart))
    assert other[1] - other[0] > 2 * (one[1] - one[0])
    assert one[0] > other[0]


def test_its_width_is_that_of_the_two_sources_of_chance() -> None:
    """The variance of a mean over drawn seeds, with sentences that do not vary: that of the seeds over their number."""
    ours = [[(hits, 10)] * 50 for hits in (2, 4, 6, 8)]
    low, high = interval_with_seeds(ours, [[(5, 10)] * 50], resamples=20_000)
    expected = norm.ppf(0.975) * np.std([0.2, 0.4, 0.6, 0.8]) / 2
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)


def test_the_other_way_round_it_is_mirrored_about_and_repeats() -> None:
    ours, theirs = [run(0.6, 1), run(0.55, 2)], [run(0.5, 3)]
    first = interval_with_seeds(ours, theirs, resamples=FEW)
    assert first == interval_with_seeds(ours, theirs, resamples=FEW)
    low, high = interval_with_seeds(theirs, ours, resamples=FEW)
    assert (-high, -low) == pytest.approx(first, abs=0.01)


def test_runs_on_other_sentences_are_refused() -> None:
    with pytest.raises(UsageError, match="same examples"):
        interval_with_seeds([run(0.5, 1)], [run(0.5, 1, size=20)])
    with pytest.raises(UsageError, match="one run"):
        interval_with_seeds([], [run(0.5, 1)])


def test_the_sign_test_counts_languages() -> None:
    found = sign_test([0.1, 0.2, 0.05, -0.01, 0.0])
    assert (found.better, found.worse, found.equal) == (3, 1, 1)
    assert found.p == pytest.approx(2 * (1 + 4) / 16)  # by hand: at least three of four, either way
    assert sign_test([0.1, 0.1, 0.1]).p == 0.25
    assert sign_test([0.0]).p == 1.0

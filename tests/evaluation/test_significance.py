"""The difference of two systems: its laws, and its figures against computations of another kind."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.evaluation.significance import Counts, compare_counts, pooled

FEW = 200

denominator = st.integers(0, 30)
counts = denominator.flatmap(lambda most: st.tuples(st.integers(0, most), st.just(most)))
pairs = st.lists(st.tuples(counts, counts), min_size=2, max_size=40)


def metric(tallies: Counts) -> float:
    staked = sum(denominator for _, denominator in tallies)
    return sum(numerator for numerator, _ in tallies) / staked if staked else 0.0


def drawn(size: int, accuracy: float, seed: int) -> list[tuple[int, int]]:
    """Sentences of 5 to 30 words, the same ones for every accuracy."""
    words = np.random.default_rng(0).integers(5, 30, size)
    right = np.random.default_rng(seed).binomial(words, accuracy)
    return list(zip(right.tolist(), words.tolist(), strict=True))


@given(pairs)
@settings(max_examples=50, deadline=None)
def test_delta_is_the_difference_of_the_metrics(examples: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    ours, theirs = ([pair[side] for pair in examples] for side in (0, 1))
    found = compare_counts(ours, theirs, resamples=FEW)
    assert found.delta == pytest.approx(metric(ours) - metric(theirs), abs=1e-12)
    assert found.low <= found.high
    assert 0 < found.p <= 1
    assert found.resamples == FEW


@given(pairs)
@settings(max_examples=50, deadline=None)
def test_the_other_way_round_everything_is_mirrored(examples: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    ours, theirs = ([pair[side] for pair in examples] for side in (0, 1))
    one, other = compare_counts(ours, theirs, resamples=FEW), compare_counts(theirs, ours, resamples=FEW)
    assert (one.delta, one.low, one.high) == pytest.approx((-other.delta, -other.high, -other.low), abs=1e-12)
    assert one.p == other.p


@given(st.lists(counts, min_size=2, max_size=40))
@settings(max_examples=30, deadline=None)
def test_a_system_does_not_differ_from_itself(tallies: list[tuple[int, int]]) -> None:
    found = compare_counts(tallies, tallies, resamples=FEW)
    assert (found.delta, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_nothing_at_stake_is_no_difference() -> None:
    found = compare_counts([(0, 0), (0, 0)], [(0, 0), (0, 0)])
    assert (found.delta, found.p) == (0, 1)


def test_one_sentence_tells_nothing() -> None:
    same = drawn(20, 0.5, 1)
    assert compare_counts([*same, (9, 9)], [*same, (1, 9)]).p == 1


def test_the_same_figures_every_time_and_others_for_another_seed() -> None:
    ours, theirs = drawn(60, 0.62, 1), drawn(60, 0.6, 2)
    assert compare_counts(ours, theirs) == compare_counts(ours, theirs)
    assert compare_counts(ours, theirs, seed=1).low != compare_counts(ours, theirs).low


def test_better_in_every_sentence() -> None:
    theirs = drawn(100, 0.5, 1)
    ours = [(min(numerator + 2, words), words) for numerator, words in theirs]
    found = compare_counts(ours, theirs)
    assert 0 < found.low < found.delta < found.high
    assert found.p == pytest.approx(2 / 2001)


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_all_swaps(seed: int) -> None:
    """Ten sentences, accuracy: every one of the 1,024 ways to flip the signs of the differences."""
    ours, theirs = drawn(10, 0.7, seed), drawn(10, 0.6, seed + 50)
    differences = [a - b for (a, _), (b, _) in zip(ours, theirs, strict=True)]
    sums = [sum(map(int.__mul__, signs, differences)) for signs in product((1, -1), repeat=10)]
    as_large = sum(abs(one) >= abs(sum(differences)) for one in sums)
    assert compare_counts(ours, theirs).p == pytest.approx(as_large / 1024)


@pytest.mark.parametrize("seed", range(4))
def test_p_of_a_ratio_is_that_of_all_swaps_too(seed: int) -> None:
    """As in F1, the denominators of the systems differ; a numerator is swapped with its denominator."""
    rng = np.random.default_rng(seed)
    ours, theirs = ([(int(2 * min(a, b)), int(a + b)) for a, b in rng.integers(0, 6, (8, 2))] for _ in "ab")
    deltas = []
    for swaps in product((False, True), repeat=8):
        rows = [(b, a) if swap else (a, b) for swap, a, b in zip(swaps, ours, theirs, strict=True)]
        deltas.append(metric([a for a, _ in rows]) - metric([b for _, b in rows]))
    observed = metric(ours) - metric(theirs)
    as_large = sum(abs(delta) >= abs(observed) - 1e-12 for delta in deltas)
    assert compare_counts(ours, theirs).p == pytest.approx(as_large / len(deltas))


def test_sampled_swaps_come_close_to_the_normal_law() -> None:
    """300 sentences: the swapped sum has mean 0 and the variance of the summed squares."""
    from scipy.stats import norm

    ours, theirs = drawn(300, 0.61, 5), drawn(300, 0.6, 6)
    differences = np.array([a - b for (a, _), (b, _) in zip(ours, theirs, strict=True)])
    expected = 2 * norm.sf(abs(differences.sum()) / np.sqrt((differences**2).sum()))
    assert 0.02 < expected < 0.8
    assert compare_counts(ours, theirs).p == pytest.approx(expected, abs=0.05)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """True difference 0.05, 60 data sets of 200 sentences: 95 % of 60 is 57."""
    covered = 0
    for seed in range(60):
        found = compare_counts(drawn(200, 0.65, seed), drawn(200, 0.6, 1000 + seed), resamples=FEW)
        covered += found.low <= 0.05 <= found.high
    assert 51 <= covered < 60


def test_p_is_seldom_small_where_nothing_differs() -> None:
    """60 pairs of equal systems: 5 % of 60 is 3."""
    small = sum(
        compare_counts(drawn(100, 0.6, seed), drawn(100, 0.6, 1000 + seed), resamples=FEW).p < 0.05
        for seed in range(60)
    )
    assert 0 < small <= 9


def test_the_interval_is_paired() -> None:
    """Two systems that fail in the same sentences: what both do alike does not widen the interval."""
    theirs = [(0, 20) if index % 2 else (20, 20) for index in range(200)]
    ours = [(numerator + 1 if numerator == 0 else numerator, words) for numerator, words in theirs]
    found = compare_counts(ours, theirs)
    assert found.delta == pytest.approx(0.025)
    assert 0.02 < found.low < found.delta < found.high < 0.03


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=2)))
def test_pooled_runs_have_the_mean_of_their_metrics(numerators: list[list[int]]) -> None:
    """numerators: a list per sentence, one number per run; a sentence has the same denominator in every run."""
    runs = [[(one, 9 + index) for index, one in enumerate(column)] for column in zip(*numerators, strict=True)]
    expected = sum(map(metric, runs)) / len(runs)
    for times in (1, 3):
        assert metric(pooled(runs, times=times)) == pytest.approx(expected)


def test_more_runs_on_one_side_do_not_shift_the_scale() -> None:
    """Three runs that are all alike against one: as one against one."""
    ours, theirs = drawn(80, 0.7, 1), drawn(80, 0.6, 2)
    assert compare_counts(pooled([ours] * 3), pooled([theirs], times=3)) == compare_counts(ours, theirs)


def test_other_examples_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="2 and 3"):
        compare_counts([(1, 2)] * 2, [(1, 2)] * 3)
    with pytest.raises(UsageError, match="2, 3"):
        pooled([[(1, 2)] * 2, [(1, 2)] * 3])
    for count in (0, 1):
        with pytest.raises(UsageError, match=f"{count} example"):
            compare_counts([(1, 2)] * count, [(1, 2)] * count)

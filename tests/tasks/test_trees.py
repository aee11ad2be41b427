from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from badx_hub.tasks.trees import best_heads, best_tree

MISSING = -np.inf


@cache
def every_tree(words: int) -> NDArray[np.int64]:
    """All single-root trees over so many words, a row of heads each."""
    found = [heads for heads in product(range(words + 1), repeat=words) if is_tree(heads)]
    return np.array(found)


def is_tree(heads: tuple[int, ...]) -> bool:
    """One root word, and every word reaches it."""
    if heads.count(0) != 1:
        return False
    for word in range(1, len(heads) + 1):
        at, steps = word, 0
        while at and steps <= len(heads):
            at, steps = heads[at - 1], steps + 1
        if at:
            return False
    return True


def rank(scores: NDArray[np.float64], heads: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(arcs without a score, sum of the scored ones) of each row of heads."""
    taken = scores[np.arange(scores.shape[0]), heads]
    scored = np.isfinite(taken)
    return (~scored).sum(-1), np.where(scored, taken, 0.0).sum(-1)


@st.composite
def matrices(draw: st.DrawFn, cells: st.SearchStrategy[float]) -> NDArray[np.float64]:
    words = draw(st.integers(1, 5))
    size = words * (words + 1)
    return np.array(draw(st.lists(cells, min_size=size, max_size=size)), dtype=np.float64).reshape(words, words + 1)


small = st.integers(-3, 3).map(float)  # Many ties.
wide = st.floats(-1e4, 1e4, width=32)


def test_there_are_as_many_trees_as_cayley_says() -> None:
    assert [len(every_tree(words)) for words in range(1, 6)] == [1, 2, 9, 64, 625]


@settings(deadline=None, max_examples=300)
@given(matrices(small) | matrices(wide) | matrices(small | st.just(MISSING)) | matrices(wide | st.just(MISSING)))
def test_no_tree_is_better(scores: NDArray[np.float64]) -> None:
    found = best_tree(scores)
    assert is_tree(tuple(found.tolist()))
    gaps, sums = rank(scores, every_tree(len(scores)))
    own_gaps, own_sum = rank(scores, found[None])
    assert own_gaps[0] == gaps.min()
    assert own_sum[0] == pytest.approx(sums[gaps == gaps.min()].max(), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_a_long_sentence_gets_a_single_root_tree_however_few_arcs_have_a_score(
    words: int, missing: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=20, size=(words, words + 1)).astype(np.float32)
    scores[generator.random(scores.shape) < missing] = MISSING
    assert is_tree(tuple(best_tree(scores).tolist()))


def test_gold_arcs_come_back() -> None:
    gold = every_tree(4)[17]
    scores = np.zeros((4, 5), dtype=np.float32)
    scores[np.arange(4), gold] = 1.0
    assert best_heads(scores, "tree").tolist() == best_heads(scores, "greedy").tolist() == gold.tolist()


def test_greedy_takes_what_a_tree_may_not() -> None:
    """Both words like the root best; only one of them may have it in a tree."""
    scores = np.array([[5.0, MISSING, 1.0], [4.0, 2.0, MISSING]])
    assert best_heads(scores, "greedy").tolist() == [0, 0]
    assert best_heads(scores, "tree").tolist() == [0, 1]  # 5 + 2, against 4 + 1.


@pytest.mark.parametrize("first", [3.0, 5.0])
def test_the_best_of_all_trees_is_kept_only_where_it_has_one_root_word(first: float) -> None:
    """Two words on the root are worth 6 + 4; the best trees with one are 6 + 2 and `first` + 4."""
    scores = np.array([[6.0, MISSING, first], [4.0, 2.0, MISSING]])
    assert best_tree(scores).tolist() == ([0, 1] if first == 3.0 else [2, 0])
    scores[0, 0] = -9.0
    assert best_tree(scores).tolist() == [2, 0]


def test_no_words_no_heads() -> None:
    assert best_heads(np.empty((0, 1)), "tree").tolist() == best_heads(np.empty((0, 1)), "greedy").tolist() == []

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.tasks.windows import word_ranges

rooms = st.integers(1, 12)
cases = rooms.flatmap(lambda room: st.tuples(st.lists(st.integers(1, room), max_size=60), st.just(room)))


@given(cases, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_each_word_is_owned_once_by_a_span_that_holds_it_and_fits(case: tuple[list[int], int], overlap: float) -> None:
    lengths, room = case
    cut = word_ranges(lengths, room, overlap)
    assert sorted(word for span in cut for word in span.owned) == list(range(len(lengths)))
    for span in cut:
        assert span.owned
        assert all(span.start <= word < span.stop for word in span.owned)
        assert sum(lengths[span.start : span.stop]) <= room


@given(cases)
def test_a_sentence_that_fits_is_one_span(case: tuple[list[int], int]) -> None:
    lengths, room = case
    assert (len(word_ranges(lengths, room)) <= 1) == (sum(lengths) <= room)


@given(cases)
def test_owners_have_the_most_context(case: tuple[list[int], int]) -> None:
    """Against brute force over the spans found: no other span that holds a word cuts farther away from it."""
    lengths, room = case
    cut = word_ranges(lengths, room, 1.0)

    def context(word: int, start: int, stop: int) -> float:
        left = sum(lengths[start:word]) if start > 0 else float("inf")
        right = sum(lengths[word + 1 : stop]) if stop < len(lengths) else float("inf")
        return min(left, right)

    for span in cut:
        for word in span.owned:
            others = [context(word, other.start, other.stop) for other in cut if other.start <= word < other.stop]
            assert context(word, span.start, span.stop) == max(others)


def test_neighbours_share_a_quarter_and_the_last_span_is_full() -> None:
    first, second, third = word_ranges([1] * 20, room=8)
    assert [(span.start, span.stop) for span in (first, second, third)] == [(0, 8), (6, 14), (12, 20)]
    assert (first.owned, second.owned, third.owned) == (tuple(range(7)), tuple(range(7, 13)), tuple(range(13, 20)))
    assert [(span.start, span.stop) for span in word_ranges([1] * 15, room=8)] == [(0, 8), (6, 14), (7, 15)]


@pytest.mark.parametrize("lengths", [[9], [1, 0]])
def test_impossible_words_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="1 to 8"):
        word_ranges(lengths, room=8)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.tasks.metrics import accuracy, label_table, macro_f1

GOLD = ["N", "N", "N", "V", "V", "P"]
GUESS = ["N", "N", "V", "V", "X", "P"]


def test_table_and_macro_f1_computed_by_hand() -> None:
    """N: 2 of 2 guesses right, 2 of 3 found. V: 1 of 2 and 1 of 2. P: all. X: guessed once, never gold."""
    table = label_table(GOLD, GUESS, ["P", "N", "X", "V", "Z"])
    assert [row.label for row in table] == ["P", "N", "X", "V"]
    assert [row.support for row in table] == [1, 3, 0, 2]
    assert [row.precision for row in table] == pytest.approx([1, 1, 0, 1 / 2])
    assert [row.recall for row in table] == pytest.approx([1, 2 / 3, 0, 1 / 2])
    assert [row.f1 for row in table] == pytest.approx([1, 4 / 5, 0, 1 / 2])
    assert macro_f1(table) == pytest.approx((1 + 4 / 5 + 1 / 2) / 3)
    assert accuracy(GOLD, GUESS) == pytest.approx(4 / 6)


labels = st.sampled_from("abc")


@given(st.lists(st.tuples(labels, labels), min_size=1))
def test_laws(pairs: list[tuple[str, str]]) -> None:
    gold, guess = [one for one, _ in pairs], [two for _, two in pairs]
    table = label_table(gold, guess, "abc")
    assert sum(row.support for row in table) == len(gold)
    assert sum(row.recall * row.support for row in table) / len(gold) == pytest.approx(accuracy(gold, guess))
    for row in table:
        total = row.precision + row.recall
        assert row.f1 == pytest.approx(2 * row.precision * row.recall / total if total else 0)
    assert macro_f1(label_table(gold, gold, "abc")) == accuracy(gold, gold) == 1.0


def test_lengths_that_differ_are_no_score() -> None:
    with pytest.raises(ValueError, match="zip"):
        accuracy(["N"], ["N", "V"])
    with pytest.raises(ValueError, match="no gold"):
        accuracy([], [])

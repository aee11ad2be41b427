from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.corpora.cleaning import SeenLines, clean


def test_each_loss_is_counted() -> None:
    counts: Counter[str] = Counter()
    lines = ["one\r\n", "  ", "one", "t\0w\0o", "\0", " two\t"]
    assert clean(lines, counts, SeenLines()) == ["one", "two"]
    assert counts == {"lines": 6, "nul": 3, "empty": 2, "duplicates": 2, "kept": 2}


@given(st.lists(st.text(st.sampled_from("ab \0é"), max_size=4)), st.integers(1, 5))
def test_batches_make_no_difference(lines: list[str], size: int) -> None:
    whole: Counter[str] = Counter()
    pieces: Counter[str] = Counter(whole)
    expected = clean(lines, whole, SeenLines())
    seen = SeenLines()
    found = [line for start in range(0, len(lines), size) for line in clean(lines[start : start + size], pieces, seen)]
    assert found == expected == list(dict.fromkeys(expected))
    assert +pieces == +whole


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=20))
def test_seen_is_a_set(batches: list[list[int]]) -> None:
    seen = SeenLines()
    known: set[int] = set()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key not in known)
            known.add(key)
        assert seen.add(np.array(batch, np.uint64)).tolist() == expected

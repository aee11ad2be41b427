from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.tasks.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Xanaa leeral ne lëlu bi.", "Xanaa leeral ne lëlu bi ."),
        ("I can't -- (well-known), 3.14 or 1,000...", "I can't -- ( well-known ) , 3.14 or 1,000 ..."),
        ("l\u2019homme dit: 'oui'!", "l\u2019homme dit : ' oui ' !"),
        ("\u0626\u06c7\u064a\u063a\u06c7\u0631\u060c \u061f", "\u0626\u06c7\u064a\u063a\u06c7\u0631 \u060c \u061f"),
        ("x\u0302y na\u00efve", "x\u0302y na\u00efve"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("$5 a@b \U0001f469\u200d\U0001f467!", "$ 5 a @ b \U0001f469\u200d\U0001f467 !"),
        ("\ufeffone\u200btwo\u00a0three\n", "one two three"),
        (" \t\n", ""),
    ],
)
def test_splits_off_punctuation_in_any_script(text: str, words: str) -> None:
    assert words_of(text) == tuple(words.split(" ") if words else ())


@given(st.text())
def test_only_separators_are_lost(text: str) -> None:
    words = words_of(text)
    assert all(word and not regex.search(r"\s", word) for word in words)
    invisible = regex.compile(r"[\s\p{C}]")
    assert invisible.sub("", "".join(words)) == invisible.sub("", text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_words_are_words(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words

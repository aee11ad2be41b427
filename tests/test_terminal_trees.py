"""Trees as text: drawn as they are, of a bounded width, whatever is in the words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from badx_hub.control_characters import steering
from badx_hub.data.conllu import RawSentence, Sentence
from badx_hub.terminal_trees import text_tree


def drawn(*heads: int | None, words: tuple[str, ...] = (), width: int = 80) -> list[str]:
    words = words or tuple("abcdefghij"[: len(heads)])
    relations = tuple("_" if head is None else "dep" for head in heads)
    raw = RawSentence.of(Sentence(words, ("X",) * len(words), heads, relations))
    return text_tree(raw, width).split("\n")[:-1]


@pytest.mark.parametrize(
    ("heads", "lines"),
    [
        ((2, 0, 2), [" ╭── a  X  dep", "─┼─ b   X  dep", " ╰── c  X  dep"]),
        ((0, 1, 2, 1), ["─┬─ a     X  dep", " ├─┬─ b   X  dep", " │ ╰── c  X  dep", " ╰── d    X  dep"]),
        # The arc from 1 to 3 crosses the one from 2 to 4.
        ((0, 1, 1, 2), ["─┬─ a     X  dep", " ├─┬─ b   X  dep", " ╰─┼── c  X  dep", "   ╰── d  X  dep"]),
        ((2, 1, 0), [" ╭─ a   X  dep (head 2)", " ╰── b  X  dep", "── c    X  dep"]),
        ((0, 0), ["── a  X  dep", "── b  X  dep"]),
        ((None, None), ["a  X", "b  X"]),
    ],
    ids=["projective", "deep", "crossing", "cycle", "two roots", "no tree"],
)
def test_the_lines_are_those_of_the_tree(heads: tuple[int | None, ...], lines: list[str]) -> None:
    assert drawn(*heads) == lines


def test_lines_of_the_same_column_never_touch() -> None:
    """3 hangs on 1 and 4 on 2: their upright lines run side by side."""
    assert drawn(0, 0, 1, 2) == ["─┬─ a     X  dep", "─┼─┬─ b   X  dep", " ╰─┼── c  X  dep", "   ╰── d  X  dep"]


def test_wide_and_combining_characters_and_those_that_steer() -> None:
    rows = drawn(0, 1, 1, 1, words=("日本", "e\u0301", "שלום", "x\u202e\x1b[2J"))
    assert len({cell_len(row[: row.index("X ")]) for row in rows}) == 1
    assert "x\\u202e\\u001b[2J" in rows[3]
    assert not any(steering(row) for row in rows)


def test_what_stands_behind_a_word() -> None:
    raw = RawSentence.of(
        Sentence(("Dakar", "la"), ("PROPN", "_"), (0, 1), ("root", "cop"), sent_id="s1", text="Dakar la")
    )
    full = raw.replaced({"MISC": ("UposProb=0.720|HeadProb=0.981|name=B-LOC", "_")})
    assert text_tree(full).splitlines() == [
        *(
            "# sent_id = s1",
            "# text = Dakar la",
            "─┬─ Dakar  PROPN 0.720  root 0.981  B-LOC",
            " ╰── la                 cop",
        ),
    ]
    assert text_tree(RawSentence(("# a comment\n",))) == ""


@settings(max_examples=60)
@given(st.data(), st.integers(20, 80))
def test_any_heads_fit_into_a_terminal(data: st.DataObject, width: int) -> None:
    length = data.draw(st.integers(1, 10))
    choice = [
        st.none() | st.integers(0, length).filter(lambda head, word=word: head != word) for word in range(1, length + 1)
    ]
    heads = data.draw(st.tuples(*choice))
    words = data.draw(
        st.tuples(*[st.text(st.characters(exclude_characters="\t\r\n"), min_size=1, max_size=9)] * length)
    )
    rows = drawn(*heads, words=words, width=width)
    assert len(rows) == length and all(cell_len(row) <= width for row in rows)

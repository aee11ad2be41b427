from __future__ import annotations

import json
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from badx_hub.cli import _output
from badx_hub.cli._layout import Layout, laid_out
from badx_hub.table import Table


@pytest.mark.parametrize("records", [[], [{"words": ["Nanga", "d\u00e9f"]}], [{"a": 1}, {"b": [1, 2]}]])
def test_records_are_one_document_with_a_line_each(records: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    _output.write_records(iter(records))
    written = capsys.readouterr().out
    assert json.loads(written) == records
    assert len(written.splitlines()) == (len(records) + 2 if records else 1)


def test_printable_escapes_what_steers_a_terminal() -> None:
    assert _output.printable("\x1b[2J w\u00f6rd \u202e\n") == "\\x1b[2J w\u00f6rd \\u202e\n"


def test_a_message_is_one_line_whatever_a_file_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    _output.error("new\nline.txt and caf\udce9.txt are not there.")
    assert capsys.readouterr().err == "error: new\\nline.txt and caf\\xe9.txt are not there.\n"


# What steers a terminal is escaped before a table is laid out, and what has no width of its own is not measured here.
_LETTERS = st.characters(categories=("L", "N", "P", "S"), include_characters=" \n")
_CELLS = st.text(_LETTERS, max_size=12) | st.lists(
    st.sampled_from(("a", "w\u00f6rd", "\u6f22\u5b57", "12.5")), max_size=9
).map(" ".join)


@st.composite
def _tables(draw: st.DrawFn) -> Table:
    columns = tuple(f"{draw(_CELLS)}{number}" for number in range(draw(st.integers(1, 4))))
    rows = draw(st.lists(st.tuples(*(_CELLS for _ in columns)), min_size=1, max_size=4))
    numbers, folding = (tuple(draw(st.sets(st.sampled_from(columns)))) for _ in range(2))
    return Table.of(columns, rows, numbers=numbers, folding=folding)


@given(_tables(), st.integers(1, 90))
def test_no_word_is_broken_and_none_is_left_out(table: Table, width: int) -> None:
    """In any width; only what is wider in one word makes a line wider than that."""
    layout = laid_out(table, width)
    words = " ".join((*layout.head, *layout.body)).replace(":", " ").split()
    texts = [cell.text for row in table.rows for cell in row]
    assert not [word for text in texts for word in text.replace(":", " ").split() if word not in words]
    parts = [*texts, *table.header]
    if set(table.folding) == set(table.header) and all(not text or text.split(" ") == text.split() for text in parts):
        longest = max(cell_len(word) for text in parts for word in text.split(" "))
        assert max(map(cell_len, layout.body)) <= max(width, longest + len("  : "))


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            34,
            """
            step              done   remark
            ──────────────────────────────────
            mbert/en-wo          1
            └─ pos/wo/bad-x   12.5   accuracy
                                     80.7 %
            """,
        ),
        (
            30,
            """
            step          done   remark
            ──────────────────────────────
            mbert/en-wo      1
            └─ pos/wo/bad-x
                          12.5   accuracy
                                 80.7 %
            """,
        ),
        (
            19,
            """
            mbert/en-wo
              done: 1
            └─ pos/wo/bad-x
                 done: 12.5
                 remark:
                 accuracy
                 80.7 %
            """,
        ),
    ],
)
def test_where_it_is_too_narrow_other_cells_fold_then_headings_stand_alone_then_rows_are_blocks(
    width: int, lines: str
) -> None:
    rows = [("mbert/en-wo", "1", "", ""), ("└─ pos/wo/bad-x", "12.5", "", "accuracy 80.7 %")]
    table = Table.of(("step", "done", "time left", "remark"), rows, numbers=("done",), folding=("remark",))
    layout = laid_out(table, width)
    expected = dedent(lines).strip("\n").splitlines()
    assert [line.rstrip() for line in (*layout.head, *layout.body)] == expected
    assert len(laid_out(table, 80).head[0]) == 52


def test_a_table_of_one_column_is_a_list_of_whole_words() -> None:
    table = Table.of(("name",), (("mbert/en-wo",), ("漢字",)), folding=("name",))
    assert laid_out(table, 10) == Layout(("name       ", "─" * 10), ("mbert/en-wo", "漢字       "))

from __future__ import annotations

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from badx_hub.cli import _output
from badx_hub.table import Cell, Table


@pytest.mark.parametrize("records", [[], [{"words": ["Nanga", "d\u00e9f"]}], [{"a": 1}, {"b": [1, 2]}]])
def test_records_are_one_document_with_a_line_each(records: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    _output.write_records(iter(records))
    written = capsys.readouterr().out
    assert json.loads(written) == records
    assert len(written.splitlines()) == (len(records) + 2 if records else 1)


def test_printable_escapes_what_steers_a_terminal() -> None:
    assert _output.printable("\x1b[2J w\u00f6rd \u202e\n") == "\\x1b[2J w\u00f6rd \\u202e\n"


_CELLS = st.text(max_size=12) | st.lists(st.sampled_from(("a", "w\u00f6rd", "\u6f22\u5b57", "12.5")), max_size=9).map(
    " ".join
)


@st.composite
def _tables(draw: st.DrawFn) -> Table:
    columns = tuple(f"{draw(_CELLS)}{number}" for number in range(draw(st.integers(1, 4))))
    rows = draw(st.lists(st.tuples(*(_CELLS for _ in columns)), min_size=1, max_size=4))
    numbers, folding = (tuple(draw(st.sets(st.sampled_from(columns)))) for _ in range(2))
    return Table.of(columns, rows, numbers=numbers, folding=folding)


@given(_tables(), st.integers(20, 90))
def test_a_table_that_fits_looks_as_rich_draws_it(table: Table, width: int) -> None:
    drawn = StringIO()
    Console(file=drawn, width=width, highlight=False, markup=False, emoji=False).print(_output._rich(table))
    lines = _output._fitting(table, width)
    assert lines is None or drawn.getvalue() == "".join(f"{line}\n" for line in lines)


def test_what_does_not_fit_is_left_to_rich() -> None:
    table = Table.of(("name",), (("mbert/en-wo",),), folding=("name",))
    assert _output._fitting(table, 11) is not None
    assert _output._fitting(table, 10) is None
    wide = Table.of(("name", "metric"), (("mbert/en-wo", "zero-shot wo accuracy 47.5 %"),), folding=("metric",))
    assert _output._fitting(wide, 38) == [
        "name          metric" + 18 * " ",
        38 * "\N{BOX DRAWINGS LIGHT HORIZONTAL}",
        "mbert/en-wo   zero-shot wo accuracy   ",
        14 * " " + "47.5 %" + 18 * " ",
    ]
    assert _output._fitting(wide, 22) is None


def test_a_name_is_not_cut_where_other_columns_can_give_way() -> None:
    name = "mbert/en-wo/pos#merged-seed2"
    row = (Cell.of_text(name), Cell.of_text("accuracy 47.5 %"))
    table = Table(("name", "metric"), (row,), folding=("name", "metric"))
    assert _output._fitting(table, 40) is None
    assert name in "".join(_output._fitting(_output._folding_by_words(table), 40) or ())
    assert _output._fitting(Table.of(("name",), (("two\nlines",),)), 80) is None

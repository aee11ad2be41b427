from __future__ import annotations

import json

import pytest

from badx_hub.cli import _output


@pytest.mark.parametrize("records", [[], [{"words": ["Nanga", "d\u00e9f"]}], [{"a": 1}, {"b": [1, 2]}]])
def test_records_are_one_document_with_a_line_each(records: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    _output.write_records(iter(records))
    written = capsys.readouterr().out
    assert json.loads(written) == records
    assert len(written.splitlines()) == (len(records) + 2 if records else 1)


def test_printable_escapes_what_steers_a_terminal() -> None:
    assert _output.printable("\x1b[2J w\u00f6rd \u202e\n") == "\\x1b[2J w\u00f6rd \\u202e\n"

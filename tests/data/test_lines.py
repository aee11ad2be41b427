from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from badx_hub.data.lines import numbered_lines
from badx_hub.errors import DataError, NotFoundError, StorageError


def test_lines_with_any_end_and_mark(tmp_path: Path) -> None:
    content = "\ufeffone\r\n\ntwo\rtwo\nthree".encode()
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    for name in ("a", "a.gz"):
        assert list(numbered_lines(tmp_path / name)) == [(1, "one"), (2, ""), (3, "two\rtwo"), (4, "three")]


def test_lines_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\xff\n")
    with pytest.raises(DataError, match=r"a:2: not UTF-8"):
        list(numbered_lines(tmp_path / "a"))
    (tmp_path / "a.gz").write_bytes(b"one\n")
    with pytest.raises(DataError, match=r"a\.gz:1: damaged gzip"):
        list(numbered_lines(tmp_path / "a.gz"))
    with pytest.raises(NotFoundError, match="is not there"):
        list(numbered_lines(tmp_path / "b"))
    with pytest.raises(StorageError, match="cannot be read"):
        list(numbered_lines(tmp_path))

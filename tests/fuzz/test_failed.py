"""What once failed when it was fuzzed (`make fuzz`) is refused or read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from badx_hub.errors import BadxError
from tests.foreign_text import PARSERS
from tests.fuzz.run import FAILED, attack, guided


@pytest.mark.parametrize("path", sorted(FAILED.iterdir()), ids=lambda path: path.name)
def test_it_fails_no_more(path: Path, tmp_path: Path) -> None:
    with suppress(BadxError):
        PARSERS[path.name.rpartition("-")[0]](path.read_bytes().decode("utf-8", "surrogatepass"), tmp_path)


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def faulty(text: str, _: Path) -> None:
        if "[" in text:
            raise KeyError(text)

    monkeypatch.setitem(PARSERS, "faulty", faulty)
    assert "[" in (attack("faulty", 60, tmp_path)[1] or "")


def test_what_is_guided_by_coverage_runs(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no build for this platform")
    tried, failed = guided("ratio", 1, tmp_path)
    assert tried > 0 and failed is None

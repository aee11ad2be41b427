"""The runner of the benchmarks: what it makes of rows, of failures and of earlier results. Nothing is measured."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

GOOD = """
import os, sys
sys.path.insert(0, {benchmarks!r})
from measuring import report, say, times_faster
say("half way")
assert not os.listdir(os.environ["BADX_HUB_HOME"])
report(times_faster("a step", "theirs", 1.0, {peer}, 2.0))
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The runner, which looks for its scripts and writes its results in `tmp_path`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("bench")
    page, front = tmp_path / "README.md", tmp_path / "front.md"
    for empty in (page, front):
        empty.write_text(f"above\n{module.BEGIN}\nold\n{module.END}\nbelow\n", encoding="utf-8")
    changes = {
        "HERE": tmp_path,
        "RESULTS": tmp_path / "results.json",
        "PAGE": page,
        "FRONT_PAGE": front,
        "SCRIPTS": ("one", "two"),
    }
    for name, value in changes.items():
        monkeypatch.setattr(module, name, value)
    yield module
    for name in ("bench", "measuring"):
        sys.modules.pop(name, None)


def write(folder: Path, name: str, peer: float) -> None:
    (folder / f"{name}.py").write_text(GOOD.format(benchmarks=str(BENCHMARKS), peer=peer), encoding="utf-8")


def main(bench: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["bench.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        bench.main()
    return caught.value.code


def ratios(bench: ModuleType) -> dict[str, float]:
    return {name: measured.rows[0].ratio for name, measured in bench.load(bench.RESULTS).items()}


def test_the_rows_of_all_scripts_are_written_and_shown(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "one", peer=3.0)
    write(tmp_path, "two", peer=1.5)
    assert main(bench, monkeypatch) == 0
    assert ratios(bench) == {"one": 3.0, "two": 1.5}
    page = bench.PAGE.read_text(encoding="utf-8")
    assert page.startswith("above\n") and page.endswith("\nbelow\n") and "old" not in page
    assert "| a step | theirs | 1 s | 3 s | 3.00 | at least 2 |" in page
    assert "| a step | theirs | 1 s | 1.5 s | 1.50 | at least 2, **missed** |" in page
    front = bench.FRONT_PAGE.read_text(encoding="utf-8")
    assert "| a step | theirs | 3.00 | at least 2 |\n| a step | theirs | 1.50 | at least 2, **missed** |" in front
    assert "1 of 2 targets are met." in page
    assert "half way" in capfd.readouterr().err
    found = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    assert found["one"]["seconds"] >= 0  # rounded to tenths: a script this short may show 0.0
    assert found["one"]["machine"]["cores"]


def test_only_some_scripts_keep_the_others_rows(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("two", "one"):
        write(tmp_path, name, peer=3.0)
        assert main(bench, monkeypatch, "--only", name) == 0
    assert list(ratios(bench)) == ["one", "two"]
    write(tmp_path, "two", peer=4.0)
    assert main(bench, monkeypatch, "--only", "two") == 0
    assert ratios(bench) == {"one": 3.0, "two": 4.0}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise RuntimeError('no such base')", "no such base"),
        ("print('done')", "expected the rows"),
        ("print('[]')", "it printed no row"),
        ("print('[{\"what\": 1}]')", "expected the rows"),
    ],
)
def test_a_script_that_fails_is_named_and_loses_nobody_elses_rows(
    bench: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    script: str,
    said: str,
) -> None:
    (tmp_path / "one.py").write_text(script, encoding="utf-8")
    write(tmp_path, "two", peer=3.0)
    assert main(bench, monkeypatch) == 1
    assert ratios(bench) == {"two": 3.0}
    last = capfd.readouterr().err.rsplit("one failed:", 1)[1]
    assert said in last


def test_a_whole_run_drops_what_an_earlier_one_found(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        write(tmp_path, name, peer=3.0)
    main(bench, monkeypatch)
    (tmp_path / "one.py").unlink()
    assert main(bench, monkeypatch) == 1
    assert list(ratios(bench)) == ["two"]


def test_a_bar_in_a_note_does_not_break_the_table(bench: ModuleType) -> None:
    row = replace(bench.rows_in(json.dumps([ROW]))[0], note="a|b")
    (line,) = [line for line in bench.table({"one": bench.Measured({}, 1.0, (row,))}).splitlines() if "step" in line]
    assert line.count("|") == 8


ROW = {
    "what": "a step",
    "against": "theirs",
    "unit": "bytes",
    "ours": 1.0,
    "peer": 2.0,
    "ratio": 0.5,
    "at": "most",
    "target": 0.5,
}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (318.4, "tokens/s", "318 tokens/s"),
        (2.51e9, "bytes", "2.51 GB"),
        (39e6, "bytes", "39 MB"),
        (0.0391, "s", "39.1 ms"),
        (12.04, "s", "12 s"),
        (1234.5, "tokens/s", "1,234 tokens/s"),
    ],
)
def test_amounts_have_three_digits(bench: ModuleType, value: float, unit: str, shown: str) -> None:
    assert bench.amount(value, unit) == shown


def test_a_page_without_markers_is_an_error(bench: ModuleType) -> None:
    with pytest.raises(ValueError, match="bench: begin"):
        bench.with_table("no markers", "table")


def test_the_pages_show_what_the_results_hold() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        bench = importlib.import_module("bench")
    results = bench.load(bench.RESULTS)
    assert results
    for page, text in ((bench.PAGE, bench.table(results)), (bench.FRONT_PAGE, bench.short_table(results))):
        assert text in page.read_text(encoding="utf-8")

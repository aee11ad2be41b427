"""view through the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

ROW = "1\tNanga\t_\tVERB\t_\t_\t0\troot\t_\t_\n"


def test_it_says_where_the_page_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "wo.conllu"
    path.write_text(f"{ROW}\n", encoding="utf-8")
    done = run("view", path, "--gold", path)
    assert (done.code, done.out, done.err) == (0, "", f"wrote {tmp_path / 'wo.html'}\n")
    assert "UPOS 100.0, UAS 100.0, LAS 100.0" in (tmp_path / "wo.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "gold", "code", "said"),
    [
        ("there.conllu", "missing.conllu", 1, "missing.conllu is not there"),
        ("missing.conllu", None, 1, "missing.conllu is not there"),
        (".", None, 1, "cannot be read: Is a directory"),
        ("text.txt", None, 1, "text.txt:1: 1 tab-separated columns"),
        ("there.conllu", "other.conllu", 1, "Sentence 1 has other words"),
        ("empty.conllu", None, 1, "has no sentence"),
    ],
)
def test_what_it_refuses(run: Run, tmp_path: Path, file: str, gold: str | None, code: int, said: str) -> None:
    texts = {"there.conllu": f"{ROW}\n", "other.conllu": f"{ROW.replace('Nanga', 'Na')}\n", "empty.conllu": ""}
    for name, text in {**texts, "text.txt": "Nanga def?\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = run("view", tmp_path / file, *(("--gold", tmp_path / gold) if gold else ()))
    assert done.code == code and done.err.startswith("error: ") and said in done.err, done.err
    assert not list(tmp_path.glob("*.html"))


def test_a_folder_without_a_name_is_no_file(run: Run) -> None:
    done = run("view", ".")
    assert done.code == 1 and "cannot be read: Is a directory" in done.err

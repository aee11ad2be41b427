"""Small files that were once read wrongly, each in a folder beside this module, through the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from udtools.udeval import evaluate, load_conllu_file

from badx_hub.corpora.sources import open_source
from badx_hub.data.conllu import read_raw_conllu
from badx_hub.tasks.pos import UPOS
from tests.cli.conftest import Run, run

__all__ = ["run"]

CASES = Path(__file__).parent
TAGGING = ("predict", "en-wo", "--task", "pos", "--registry", "demo")
IN = CASES / "predict-conllu-loses-mwt" / "in.conllu"


def test_predicting_keeps_range_lines_heads_and_comments(run: Run, tmp_path: Path) -> None:
    done = run(*TAGGING, "--file", IN, "--output", "conllu")
    path = tmp_path / "out.conllu"
    path.write_text(done.out, encoding="utf-8")
    (given,), (found,) = read_raw_conllu(IN), read_raw_conllu(path)
    assert set(found.cells("UPOS")) <= set(UPOS)
    assert found.replaced({"UPOS": given.cells("UPOS")}) == given
    assert evaluate(load_conllu_file(str(IN)), load_conllu_file(str(path)))["UAS"].f1 == 1


@pytest.mark.parametrize("name", ["x.conll", "x.CONLLU", "x.txt", "noending"])
def test_conllu_under_another_name_is_no_text(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((CASES / "predict-conll-as-text" / "x.conll").read_bytes())
    done = run(*TAGGING, "--file", path)
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["Ndox", "sedd", ""]


def test_what_is_no_conllu_under_such_a_name_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "entities.conll"
    path.write_text("Dakar B-LOC\n", encoding="utf-8")
    refused = run(*TAGGING, "--file", path)
    assert (refused.code, refused.out) == (1, "")
    assert f"{path}:1: 1 tab-separated columns, expected 10" in refused.err


def test_text_from_a_treebank_is_written_as_its_tokens_are() -> None:
    assert list(open_source("fr", str(CASES / "conllu-surface-text" / "fr.conllu")).lines()) == ["du chat."]

"""Gold that the official evaluator refuses, and treebanks whose words are withheld."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from badx_hub.annotation import CHUNK, read_sentences, sentences_in
from badx_hub.corpora.sources import open_source
from badx_hub.errors import DataError
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.pos import PosTask
from badx_hub.tasks.trees import why_no_tree


def sentence(heads: Sequence[object], word: str = "a") -> str:
    rows = [
        f"{number}\t{word}\t_\tNOUN\t_\t_\t{head}\t{'_' if head == '_' else 'root' if head == 0 else 'dep'}\t_\t_\n"
        for number, head in enumerate(heads, start=1)
    ]
    return "".join([*rows, "\n"])


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "wo_x-ud-test.conllu"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ([2, 1, 0], "the heads of words 1, 2 make a circle"),
        ([2, 3, 1], "no word is the root"),
        ([0, 0, 1], "words 1, 2 are all roots"),
        ([2, 1, "_"], "the heads of words 1, 2 make a circle"),
        ([0, "_", 0], "words 1, 3 are all roots"),
    ],
)
def test_gold_that_is_no_tree_is_reported_with_its_line(tmp_path: Path, heads: list[object], says: str) -> None:
    data = write(tmp_path, sentence([0, 1]) + sentence(heads) + sentence(heads))
    with pytest.raises(DataError, match=rf"conllu:4: .* no tree: {says}\. There are 2 such sentences of 3"):
        DpTask().read(data, "test")
    assert len(PosTask().read(data, "test")) == 3


def test_roots_that_no_prediction_can_have_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = write(tmp_path, sentence([0, 1]) + sentence([0, 1]).replace("root", "nsubj").replace("dep", "root"))
    assert len(DpTask().read(data, "test")) == 2
    assert "conllu:4: 2 words have head 0 without the relation root" in caplog.text


@pytest.mark.parametrize(("heads", "says"), [([1], "none heads itself"), ([3, 0], "HEAD of word 1 is 3")])
def test_heads_out_of_the_sentence(tmp_path: Path, heads: list[object], says: str) -> None:
    with pytest.raises(DataError, match=rf"conllu:1: .*{says}"):
        DpTask().read(write(tmp_path, sentence(heads)), "test")


def test_words_without_heads_are_no_fault(tmp_path: Path) -> None:
    assert len(DpTask().read(write(tmp_path, sentence([0, "_", 1]) + sentence(["_", 1, "_"])), "test")) == 2
    assert [why_no_tree(heads) for heads in ((), (None,), (2, None), (2, 0, 2))] == [None] * 4


def test_a_treebank_without_its_words_is_refused_by_all_that_read_words(tmp_path: Path) -> None:
    data = write(tmp_path, (sentence([0, 1, 1], "_") * 3) + sentence([0, 1]))
    for task in (PosTask(), DpTask()):
        with pytest.raises(DataError, match=r"withheld \(FORM is _ in 9 of 11 words\)"):
            task.read(data, "test")
    with pytest.raises(DataError, match="withheld"):
        open_source("wo", data)
    with pytest.raises(DataError, match=r"withheld \(FORM is _ in 9 of 11 words\)"):
        list(read_sentences(Path(data)))


def test_a_stream_without_any_word_is_refused_before_the_first_sentence() -> None:
    def lines() -> Iterator[tuple[int, str]]:
        yield from enumerate((sentence([0, 1], "_") * CHUNK).splitlines(keepends=True), start=1)
        pytest.fail("read on")

    with pytest.raises(DataError, match="stdin: the words are withheld"):
        next(sentences_in(lines(), "stdin"))


def test_some_withheld_sentences_are_told_and_an_underscore_is_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write(tmp_path, sentence([0], "_") + sentence([0, 1]))
    assert len(PosTask().read(data, "test")) == 2 and not caplog.records
    data = write(tmp_path, sentence([0, 1], "_") + sentence([0, 1, 1]))
    assert len(PosTask().read(data, "test")) == 2
    assert "2 of 5 words are withheld" in caplog.text

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.data.conllu import Sentence, read_conllu, to_conllu
from badx_hub.errors import DataError, NotFoundError, StorageError

WOLOF = """\
# sent_id = w1
# text = Xanaa leeral ne.
1\tXanaa\txanaa\tADV\tADV\t_\t2\tadvmod\t_\t_
2-3\tleeral\t_\t_\t_\t_\t_\t_\t_\t_
2\tleer\tleer\tVERB\tVERB\t_\t0\troot\t_\t_
2.1\tdina\tdi\tAUX\t_\t_\t_\t_\t2:aux\t_
3\tal\tal\tPART\tPART\t_\t2\tcompound:prt\t_\t_
4\tne\tne\tSCONJ\tSCONJ\t_\t2\tmark\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\tPUNCT\t_\t2\tpunct\t_\t_

"""
EXPECTED = Sentence(
    words=("Xanaa", "leer", "al", "ne", "."),
    upos=("ADV", "VERB", "PART", "SCONJ", "PUNCT"),
    heads=(2, 0, 2, 2, 2),
    deprels=("advmod", "root", "compound:prt", "mark", "punct"),
    text="Xanaa leeral ne.",
    sent_id="w1",
)


def row(number: str | int, head: str = "_", form: str = "w") -> str:
    return f"{number}\t{form}\t_\tNOUN\t_\t_\t{head}\t_\t_\t_\n"


def written(folder: Path, content: str | bytes, name: str = "x.conllu") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_ranges_and_empty_nodes_are_no_words_and_the_text_is_kept(tmp_path: Path) -> None:
    (sentence,) = read_conllu(written(tmp_path, WOLOF))
    assert sentence == EXPECTED
    assert sentence.line == 1


@pytest.mark.parametrize(
    "content",
    [
        WOLOF.rstrip("\n"),
        WOLOF.replace("\n", "\r\n"),
        "\ufeff" + WOLOF,
        "\n \n" + WOLOF + "\n\n",
        "# a licence\n\n" + WOLOF + "# the end\n",
    ],
    ids=["no last blank line", "CRLF", "BOM", "more blank lines", "comments that stand alone"],
)
def test_harmless_variants_read_the_same(tmp_path: Path, content: str) -> None:
    assert list(read_conllu(written(tmp_path, content))) == [EXPECTED]


def test_gzip_reads_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress((WOLOF * 3).encode()), "x.conllu.gz")
    assert list(read_conllu(path)) == [EXPECTED] * 3


def test_reads_one_sentence_at_a_time(tmp_path: Path) -> None:
    sentences = read_conllu(written(tmp_path, WOLOF + "broken\n"))
    assert next(sentences) == EXPECTED
    with pytest.raises(DataError, match=r":11: 1 tab-separated columns"):
        next(sentences)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (row(1) + row(2).replace("\t_\n", "\n"), 2, "9 tab-separated columns, expected 10"),
        (row(1).replace("\n", "\t_\n"), 1, "11 tab-separated columns"),
        (row(1).replace("\t", " "), 1, "1 tab-separated columns"),
        (row(1, form=""), 1, "column FORM is empty"),
        (row(1) + row(3), 2, "word 3 where word 2 is due"),
        (row(1) + row(1), 2, "is a blank line missing"),
        (row("0"), 1, "ID is '0'"),
        (row("x"), 1, "ID is 'x'"),
        (row("1" * 5000), 1, "ID is"),
        (row("2-3") + row(1), 1, "range 2-3 is out of place"),
        (row("1-1") + row(1), 1, "range 1-1 is out of place"),
        (row("1-3") + row(1) + row("2-3") + row(2) + row(3), 3, "range 2-3 is out of place"),
        (row("1-3") + row(1) + row(2), 3, "ends after word 2"),
        (row("0.1"), 1, "ends after word 0"),
        (row(1) + "# sent_id = 2\n" + row(2), 2, "a comment inside a sentence"),
        (row(1, "x"), 1, "HEAD is 'x'"),
        (row(1, "-1"), 1, "HEAD is '-1'"),
        (row(1, "0") + row(2, "3"), 2, "HEAD of word 2 is 3"),
        (row(1, "1"), 1, "none heads itself"),
        (row(1).encode() + b"2\tp\xeache\n", 2, "not UTF-8"),
        (row(1).encode("utf-16"), 1, "not UTF-8"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as raised:
        list(read_conllu(path))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", [b"no gzip at all", gzip.compress(WOLOF.encode())[:-9]])
def test_damaged_gzip(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(DataError, match="damaged gzip file"):
        list(read_conllu(written(tmp_path, damage, "x.conllu.gz")))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.conllu is not there"):
        list(read_conllu(tmp_path / "missing.conllu"))
    with pytest.raises(StorageError, match="cannot be read"):
        list(read_conllu(tmp_path))


def test_the_writer_keeps_the_tree_where_there_is_one(tmp_path: Path) -> None:
    assert list(read_conllu(written(tmp_path, to_conllu(EXPECTED)))) == [EXPECTED]


@pytest.mark.parametrize("word", ["", "a\tb", "a\nb"])
def test_what_cannot_be_written_is_no_sentence(word: str) -> None:
    with pytest.raises(DataError, match="is no word"):
        Sentence.of(["a", word])


def test_columns_of_different_lengths_are_no_sentence() -> None:
    with pytest.raises(DataError, match="one tag"):
        Sentence.of(["a", "b"], ["NOUN"])


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1, max_size=8)
tags = st.sampled_from(["NOUN", "PUNCT", "_", "X"])


@given(st.lists(st.lists(st.tuples(words, tags), min_size=1, max_size=8), max_size=4))
def test_words_and_tags_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[list[tuple[str, str]]]
) -> None:
    sentences = [Sentence.of([word for word, _ in pairs], [tag for _, tag in pairs]) for pairs in drawn]
    path = written(tmp_path_factory.mktemp("round"), "".join(map(to_conllu, sentences)))
    assert list(read_conllu(path)) == sentences


def test_shared_treebanks_hold_the_words_an_independent_count_finds(shared: Path) -> None:
    files = sorted(shared.glob("data/ud/*/*.conllu"))
    assert len(files) == 12
    for path in files:
        content = path.read_text(encoding="utf-8")
        sentences = list(read_conllu(path))
        assert sum(len(sentence.words) for sentence in sentences) == len(re.findall(r"(?m)^\d+\t", content))
        assert len(sentences) == len(re.findall(r"(?m)^1\t", content))
        assert all(sentence.text for sentence in sentences)
        assert all(sentence.heads.count(0) == 1 for sentence in sentences)

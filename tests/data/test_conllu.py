from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.data.conllu import (
    COLUMNS,
    NO_SPACE,
    RawSentence,
    Sentence,
    read_conllu,
    read_raw_conllu,
    to_conllu,
)
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
        (row(1).encode("utf-16"), 1, "UTF-16, not UTF-8. Convert it with: iconv -f utf-16 -t"),
        (row(1).encode("utf-16-be"), 1, "UTF-16BE, not UTF-8"),
        (lzma.compress(row(1).encode()), 1, "compressed, .* Unpack it first: xz -d "),
        (gzip.compress(row(1).encode(), mtime=0), 1, "compressed, .* Unpack it first: gzip -d "),
        (b"PK\3\4\0\0", 1, "Unpack it first: unzip "),
        (bytes(range(256)), 2, "a binary file"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as raised:
        list(read_conllu(path))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", [b"no gzip at all", gzip.compress(WOLOF.encode(), mtime=0)[:-9]])
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


NASTY = {
    "CRLF": WOLOF.replace("\n", "\r\n"),
    "BOM": "\ufeff" + WOLOF,
    "BOM before a row": "\ufeff" + row(1),
    "no last blank line": WOLOF.rstrip("\n") + "\n",
    "no last line end": WOLOF.rstrip("\n"),
    "blank lines with spaces": WOLOF + "  \n" + WOLOF.rstrip("\n") + "\n \r\n\n",
    "comments that stand alone": "# a licence\n\n" + WOLOF + "# the end\n",
    "comments in no order, twice and empty": "#\n# text=a\n# sent_id = 2\n#text = b\n# newdoc\n" + row(1) + "\n",
    "mixed line ends": row(1) + row(2).replace("\n", "\r\n") + "\n",
    "empty nodes around": row("0.1") + row("0.2") + row("1-2") + row(1) + row("1.1") + row(2) + row("2.1") + "\n",
    "strange space": row(1, form="a b\u2028c\x85d\u00a0") + "\n",
    "nothing": "",
    "only blank lines": "\n\n \n",
}


@pytest.mark.parametrize("content", NASTY.values(), ids=NASTY)
def test_the_pieces_of_a_file_are_the_file(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)
    pieces = list(read_raw_conllu(path))
    assert "".join(map(str, pieces)) == content
    same = [piece.replaced({column: piece.cells(column) for column in COLUMNS}) for piece in pieces]
    assert same == pieces
    words = [piece.sentence for piece in pieces if piece.sentence is not None]
    assert words == list(read_conllu(path))


def test_other_cells_change_nothing_else(tmp_path: Path) -> None:
    content = "\ufeff" + WOLOF.replace("\n", "\r\n") * 2
    pieces = list(read_raw_conllu(written(tmp_path, content)))
    tags, heads, names = ["X"] * 5, ["0", "1", "1", "1", "_"], ["O", "B-PER", "I-PER", "O", "O"]
    changed = [one.replaced({"UPOS": tags, "HEAD": heads, "MISC.name": names}) for one in pieces]
    assert changed[0].cells("UPOS") == tuple(tags)
    assert changed[0].cells("MISC")[2:4] == ("name=I-PER", "SpaceAfter=No|name=O")
    assert changed[0].sentence is not None
    assert (changed[0].sentence.upos, changed[0].sentence.heads) == (tuple(tags), (0, 1, 1, 1, None))
    again = written(tmp_path, "".join(map(str, changed)), "y.conllu")
    assert list(read_raw_conllu(again)) == changed
    given = pieces[0]
    back = [one.replaced({name: given.cells(name) for name in ("UPOS", "HEAD", "MISC")}) for one in changed]
    assert "".join(map(str, back)) == content


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"UPOS": ["X"]}, "1 cells for UPOS"), ({"UPOS": ["X", "", "X", "X", "X"]}, "''"), ({"MISC.a": ["\t"] * 5}, "t'")],
)
def test_cells_that_would_break_a_line_are_refused(tmp_path: Path, columns: dict[str, list[str]], said: str) -> None:
    (piece,) = read_raw_conllu(written(tmp_path, WOLOF))
    with pytest.raises(DataError, match=said):
        piece.replaced(columns)


def test_a_key_in_misc_is_replaced_where_it_stands(tmp_path: Path) -> None:
    (piece,) = read_raw_conllu(written(tmp_path, row(1).replace("_\n", "a=1|name=B-LOC|nickname=x\n")))
    assert piece.cells("MISC.name") == ("B-LOC",)
    assert piece.replaced({"MISC.name": ["O"]}).cells("MISC") == ("a=1|name=O|nickname=x",)
    (piece,) = read_raw_conllu(written(tmp_path, row(1).replace("_\n", "name=B-LOC||a=1|name=I-LOC\n")))
    assert piece.replaced({"MISC.name": ["O"]}).cells("MISC") == ("name=O||a=1",)


def test_surface_text_is_made_of_tokens(tmp_path: Path) -> None:
    (piece,) = read_raw_conllu(written(tmp_path, WOLOF))
    assert piece.surface() == "Xanaa leeral ne."
    joined = WOLOF.replace("leeral\t_\t_\t_\t_\t_\t_\t_\t_", "leeral\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No")
    (piece,) = read_raw_conllu(written(tmp_path, joined, "y.conllu"))
    assert piece.surface() == "Xanaa leeralne."


def test_a_sentence_from_text_says_where_no_space_is() -> None:
    raw = RawSentence.of(Sentence.of(["l'", "eau", "est", "là", "."], text="l'eau est là."))
    assert raw.cells("MISC") == (NO_SPACE, "_", "_", NO_SPACE, "_")
    assert raw.surface() == "l'eau est là."
    assert RawSentence.of(Sentence.of(["a", "b"], text="other")).cells("MISC") == ("_", "_")
    assert str(RawSentence.of(Sentence.of([]))) == ""


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1, max_size=6)
comments = st.builds("# {}\n".format, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")))
endings = st.sampled_from(["\n", "\r\n"])


@st.composite
def sentence_texts(draw: st.DrawFn) -> str:
    """A sentence of CoNLL-U with anything in its other columns, ranges and empty nodes, and any line ends."""
    lines = [line[:-1] for line in draw(st.lists(comments, max_size=2))]
    count = draw(st.integers(1, 4))
    end_of_range = 0
    for number in range(1, count + 1):
        if number > end_of_range and number < count and draw(st.booleans()):
            end_of_range = draw(st.integers(number + 1, count))
            lines.append("\t".join([f"{number}-{end_of_range}", *draw(st.tuples(*[cells] * 9))]))
        head = draw(st.sampled_from(["_", *(str(one) for one in range(count + 1) if one != number)]))
        before, after = draw(st.tuples(*[cells] * 5)), draw(st.tuples(*[cells] * 3))
        lines.append("\t".join([str(number), *before, head, *after]))
        if draw(st.booleans()):
            lines.append("\t".join([f"{number}.1", *draw(st.tuples(*[cells] * 9))]))
    return "".join(line + draw(endings) for line in lines)


@given(
    st.lists(st.tuples(sentence_texts(), st.sampled_from(["\n", "\r\n", "  \n", "\n\n"])), max_size=3), st.booleans()
)
def test_any_file_is_read_and_written_the_same(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str]], bom: bool
) -> None:
    content = "\ufeff" * bom + "".join(text + blank for text, blank in drawn)
    pieces = list(read_raw_conllu(written(tmp_path_factory.mktemp("any"), content)))
    assert "".join(map(str, pieces)) == content
    changed = [piece.replaced({"UPOS": ["X"] * len(piece.words)}) for piece in pieces]
    back = [new.replaced({"UPOS": old.cells("UPOS")}) for old, new in zip(pieces, changed, strict=True)]
    assert "".join(map(str, back)) == content


def test_shared_treebanks_are_read_and_written_the_same(shared: Path) -> None:
    files = sorted(shared.glob("data/ud/*/*.conllu"))
    assert len(files) == 12
    for path in files:
        pieces = read_raw_conllu(path)
        same = "".join(str(piece.replaced({"UPOS": piece.cells("UPOS")})) for piece in pieces)
        assert same.encode() == path.read_bytes()

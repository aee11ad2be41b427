"""Layouts in which named entities are published: the words and their tags are found, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.data.entity_columns import Tagged, read_columns
from badx_hub.errors import DataError


def read(tmp_path: Path, text: str) -> list[Tagged]:
    path = tmp_path / "wo.test.txt"
    path.write_bytes(text.encode())
    return list(read_columns(path))


def words_and_tags(tmp_path: Path, text: str) -> list[tuple[tuple[str, ...], tuple[str | None, ...]]]:
    return [(one.words, one.tags) for one in read(tmp_path, text)]


AMINA = [(("Amina", "dem", "Dakar"), ("B-PER", "O", "B-LOC")), (("Lan",), ("O",))]


@pytest.mark.parametrize(
    "text",
    [
        "1 Amina B-PER\n2 dem O\n3 Dakar B-LOC\n\n1 Lan O\n",
        "0\tAmina\tB-PER\n1\tdem\tO\n2\tDakar\tB-LOC\n\n0\tLan\tO\n",
        "1\tAmina\tB-PER\r\n2\tdem\tO\r\n3\tDakar\tB-LOC\r\n  \r\n4\tLan\tO",
        "\ufeff1 Amina NNP B-NP B-PER\n2 dem VB B-VP O\n3 Dakar NNP B-NP B-LOC\n\n\n1 Lan NN B-NP O\n",
        "# sent_id = a\n# text = Amina dem Dakar\n1\tAmina\tB-PER\t-\tA\n2\tdem\tO\t-\t-\n3\tDakar\tB-LOC\t-\tA\n\n"
        "# sent_id = b\n# text = Lan\n1\tLan\tO\t-\t-\n",
        "# id 5\tdomain=wo\nAmina _ _ B-PER\ndem _ _ O\nDakar _ _ B-LOC\n\n# id 6\tdomain=wo\nLan _ _ O\n",
        "wo:Amina\tB-PER\nwo:dem\tO\nwo:Dakar\tB-LOC\n\nwo:Lan\tO\n",
        "1-1 Amina S-PER\n1-2 dem O\n1-3 Dakar S-LOC\n\n2-1 Lan O\n",
        "w1. Amina B-PER\nw2. dem O\nw3. Dakar B-LOC\n\nw1. Lan O\n",
        "be-x-old:Amina B-PER\nbe-x-old:dem O\nbe-x-old:Dakar B-LOC\n\nbe-x-old:Lan O\n",
    ],
    ids=[
        *("from 1", "from 0", "through the file", "CoNLL-2003", "UNER", "MultiCoNER", "WikiANN"),
        *("sentence-word", "w1.", "be-x-old"),
    ],
)
def test_layouts_of_published_files(tmp_path: Path, text: str) -> None:
    assert words_and_tags(tmp_path, text) == AMINA


def test_what_looks_like_a_layout_and_is_words(tmp_path: Path) -> None:
    assert words_and_tags(tmp_path, "# O\n1 O\n2 O\n\nDakar B-LOC\n# O\n") == [
        (("#", "1", "2"), ("O", "O", "O")),
        (("Dakar", "#"), ("B-LOC", "O")),
    ]
    assert words_and_tags(tmp_path, "A1 B-LOC\nB2 M-LOC\n") == [(("A1", "B2"), ("B-LOC", "I-LOC"))]
    assert read(tmp_path, "http://x.sn B-LOC\nwo:lan O\nDakar B-LOC\n")[0].words == ("http://x.sn", "wo:lan", "Dakar")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 B-PER\n2 O\n3 B-LOC\n", "no other holds words"),
        ("1 Amina B-PER O\n2 dem O O\n3 Dakar B-LOC B-PER\n", "columns 3 and 4 both hold entities"),
        ("1 Amina B-PER O\n2 dem O O\n3 Dakar B-LOC O\n", "columns 3 and 4 both hold entities"),
        ("wo:Amina B-PER\nfr:Dakar B-LOC\n", "words of several languages"),
        ("".join(f"wo:w{n} O\n" for n in range(20)) + "Dakar B-LOC\n", r"txt:21: 'Dakar' where a word after 'wo:'"),
        ('"""" O\nDakar B-LOC\n', r"txt:1: the words are quoted"),
        ("Amina B-PER\n# a comment here\nDakar B-LOC\n", r"txt:2: 4 columns, expected 2"),
        ("1\tAmina\tPER\n2\tDakar\tLOC\n", "'PER' is no tag"),
        ("Amina B-PER\u200b\n", "is no tag"),
        ("Amina B-PER\rdem O\rDakar B-LOC\r", r"txt:1: a carriage return inside a line"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)

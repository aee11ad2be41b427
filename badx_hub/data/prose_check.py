"""Whether lines are text, a sentence or paragraph a line, or something else that would be read as if they were."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from badx_hub.data.conllu import looks_like_conllu

SNIFFED_LINES = 1000
"""The most lines that are looked at."""

_FEWEST_ROWS = 20
_FEWEST_NAMES = 3
_COLUMNS_OF_PLUS = re.compile(r"# *global\.columns *=")
_WORD_AND_TAG = re.compile(r"[^\t ]+[\t ](?:.*[\t ])?(?:O|[BIESLU]-[^\t ]+)\s*\Z|-DOCSTART-")
_NAME_TAG = re.compile(r".*[\t ][BS]-[A-Z]{2,}\s*\Z")
_WORD_AND_CAPITALS = re.compile(r"[^\t ]+\t[A-Z]{1,5}\s*\Z")
_JSON = re.compile(r'\s*(?:\{\s*(?:"|\Z)|\[\s*[\[{"]|\[\s*\Z)')
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype|<html)", re.IGNORECASE)
_OTHER_FILES = re.compile(
    r".*\.(csv|tsv|jsonl?|parquet|xml|html?|pdf|docx?|odt|rtf|xlsx?|ann|conllup|cupt|conllx|conll0\d)(?:\.gz)?",
    re.IGNORECASE | re.DOTALL,
)


def no_prose(lines: Sequence[str]) -> str | None:
    """What the first lines of something show that it is, with what to do instead: the end of an error; None for text.

    CoNLL-U with ten columns, with tabs or with spaces, other tables of words, JSON, XML and HTML are told from text.
    """
    filled = [line for line in lines[:SNIFFED_LINES] if line.strip()]
    if any(map(looks_like_conllu, filled)):
        return "CoNLL-U, not text. Give it a name that ends in .conllu."
    if any(map(_COLUMNS_OF_PLUS.match, filled)):
        return "CoNLL-U Plus, not text. Make CoNLL-U with its ten columns of it."
    if any(map(_counted_row, filled)) or _begins_with_a_counted_word(filled):
        return "a table of words like CoNLL-U, not text. Separate ten columns by tabs, in a file that ends in .conllu."
    named = any(map(_NAME_TAG.match, filled))
    if (len(filled) >= (_FEWEST_NAMES if named else _FEWEST_ROWS) and all(map(_WORD_AND_TAG.match, filled))) or (
        len(filled) > 1 and all(map(_WORD_AND_CAPITALS.match, filled))
    ):
        return "columns of words and their tags, not text. Give the text itself."
    if filled and _JSON.match(filled[0]) and (len(filled) > 1 or filled[0].lstrip().startswith("[")):
        return "JSON, not text. Write its sentences to a text file, one a line."
    if filled and _MARKUP.match(filled[0]):
        return "XML or HTML, not text. Write its sentences to a text file, one a line."
    return None


def no_text_by_name(path: Path) -> str | None:
    """What the ending of a file's name says that it is, ".csv", if that is no text; None if it may be."""
    match = _OTHER_FILES.fullmatch(path.name)
    return f".{match[1].lower()}" if match else None


def _counted_row(line: str) -> bool:
    """Whether it is the first word of a sentence in some format of CoNLL: "1 Amina _ PROPN _ _ 0 root"."""
    cells = line.split("\t") if "\t" in line else line.split()
    return len(cells) >= 8 and cells[0] == "1" and ("\t" in line or cells.count("_") >= 2)


def _begins_with_a_counted_word(lines: Sequence[str]) -> bool:
    """Whether it begins with a row like "1, Amina, PROPN", as tables of fewer columns do.

    Corpora of sentences with numbers have two columns, and blanks in the second.
    """
    first = next((line for line in lines if not line.startswith("#")), "").split("\t")
    return len(first) >= 3 and first[0] == "1" and not any(" " in cell for cell in first)

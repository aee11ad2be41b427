"""CoNLL-U: a strict, streaming reader and a writer (https://universaldependencies.org/format.html).

We do not use the `conllu` package: errors in other people's treebanks have to name the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from badx_hub.data.lines import numbered_lines
from badx_hub.errors import DataError

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
NOT_ANNOTATED = "_"

_WORD_ID = re.compile(r"[1-9][0-9]{0,8}")
_RANGE_ID = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_EMPTY_NODE_ID = re.compile(r"[0-9]{1,9}\.[1-9][0-9]{0,8}")
_HEAD = re.compile(r"0|[1-9][0-9]{0,8}")
_COMMENT = re.compile(r"# *(text|sent_id) *= ?(.*)")
_LINE_BREAKS = re.compile(r"[\r\n]+")


@dataclass(frozen=True)
class Sentence:
    """The syntactic words of a sentence with one tag, head and relation each.

    `upos` and `deprels` hold "_" and `heads` None where nothing is annotated; a head is the number of a
    word, counted from 1, or 0 for the root. `line` is where the sentence starts in its file, 0 without a file;
    comparisons ignore it. Raises DataError for a sentence that cannot be written as CoNLL-U.
    """

    words: tuple[str, ...]
    upos: tuple[str, ...]
    heads: tuple[int | None, ...]
    deprels: tuple[str, ...]
    text: str | None = None
    sent_id: str | None = None
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not len(self.words) == len(self.upos) == len(self.heads) == len(self.deprels):
            raise DataError("A sentence needs one tag, one head and one relation for each of its words.")
        for word in self.words:
            if not word or any(character in word for character in "\t\n\r"):
                raise DataError(f"{word!r} is no word: words are not empty and hold no tab or line break.")

    @classmethod
    def of(
        cls,
        words: Iterable[str],
        upos: Iterable[str] | None = None,
        *,
        text: str | None = None,
        sent_id: str | None = None,
    ) -> Sentence:
        """A sentence without a tree and, unless `upos` is given, without tags."""
        words = tuple(words)
        blank = (NOT_ANNOTATED,) * len(words)
        tags = blank if upos is None else tuple(upos)
        return cls(words, tags, (None,) * len(words), blank, text, sent_id)


def read_conllu(path: Path) -> Iterator[Sentence]:
    """The sentences of a `.conllu` or `.conllu.gz` file; memory holds one sentence at a time.

    Surface tokens (`1-2`) and empty nodes (`1.1`) are checked and left out: the syntactic words remain. The last blank
    line may be missing.

    Raises what `numbered_lines` does, and DataError, starting with "FILE:LINE:", for anything that is not CoNLL-U.
    """
    block: list[tuple[int, str]] = []
    for number, line in numbered_lines(path):
        if line.strip(" "):
            block.append((number, line))
        else:
            yield from _sentence(path, block)
            block = []
    yield from _sentence(path, block)


def to_conllu(sentence: Sentence) -> str:
    """The sentence as CoNLL-U, with its closing blank line; columns that a Sentence does not hold are "_"."""
    comments = [
        f"# {key} = {_LINE_BREAKS.sub(' ', value)}"
        for key, value in (("sent_id", sentence.sent_id), ("text", sentence.text))
        if value is not None
    ]
    annotation = zip(sentence.words, sentence.upos, sentence.heads, sentence.deprels, strict=True)
    rows = [
        f"{number}\t{word}\t_\t{tag}\t_\t_\t{NOT_ANNOTATED if head is None else head}\t{relation}\t_\t_"
        for number, (word, tag, head, relation) in enumerate(annotation, start=1)
    ]
    return "\n".join([*comments, *rows, "", ""])


def _sentence(path: Path, block: list[tuple[int, str]]) -> Iterator[Sentence]:
    """One sentence; none for blank lines and for comments without words."""
    comments = {match[1]: match[2] for _, line in block if (match := _COMMENT.fullmatch(line))}
    rows = _word_rows(path, block)
    if rows:
        yield Sentence(
            words=tuple(columns[1] for _, columns in rows),
            upos=tuple(columns[3] for _, columns in rows),
            heads=tuple(_head(where, columns, len(rows)) for where, columns in rows),
            deprels=tuple(columns[7] for _, columns in rows),
            text=comments.get("text"),
            sent_id=comments.get("sent_id"),
            line=block[0][0],
        )


def _word_rows(path: Path, block: list[tuple[int, str]]) -> list[tuple[str, list[str]]]:
    """(FILE:LINE, columns) of each syntactic word."""
    rows: list[tuple[str, list[str]]] = []
    end_of_range = 0
    inside, where = False, ""
    for number, line in block:
        where = f"{path}:{number}"
        if line.startswith("#"):
            if inside:
                raise DataError(f"{where}: a comment inside a sentence; is the blank line above it missing?")
            continue
        inside = True
        columns = _columns(where, line)
        identifier, due = columns[0], len(rows) + 1
        if _WORD_ID.fullmatch(identifier):
            if int(identifier) != due:
                raise DataError(f"{where}: word {identifier} where word {due} is due; is a blank line missing?")
            rows.append((where, columns))
        elif match := _RANGE_ID.fullmatch(identifier):
            start, end = int(match[1]), int(match[2])
            if not end_of_range < start == due < end:
                raise DataError(f"{where}: range {identifier} is out of place; word {due} is due.")
            end_of_range = end
        elif not _EMPTY_NODE_ID.fullmatch(identifier):
            raise DataError(f"{where}: ID is {identifier!r}, not a word (1), a range (1-2) or an empty node (1.1).")
    if end_of_range > len(rows) or (inside and not rows):
        raise DataError(f"{where}: the sentence ends after word {len(rows)}, more words were announced.")
    return rows


def _columns(where: str, line: str) -> list[str]:
    columns = line.split("\t")
    if len(columns) != len(COLUMNS):
        raise DataError(f"{where}: {len(columns)} tab-separated columns, expected {len(COLUMNS)}: {line[:60]!r}.")
    if "" in columns:
        name = COLUMNS[columns.index("")]
        raise DataError(f"{where}: column {name} is empty; CoNLL-U writes _ for a missing value.")
    return columns


def _head(where: str, columns: list[str], words: int) -> int | None:
    identifier, head = columns[0], columns[6]
    if head == NOT_ANNOTATED:
        return None
    if not _HEAD.fullmatch(head):
        raise DataError(f"{where}: HEAD is {head!r}, expected the number of a word, 0 or _.")
    if int(head) > words or head == identifier:
        raise DataError(
            f"{where}: HEAD of word {identifier} is {head}; the sentence has {words} words, none heads itself."
        )
    return int(head)

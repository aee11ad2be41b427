"""Which column of a table holds the words and which their tags: people publish named entities in several layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from badx_hub.data.lines import RETURN_HINT, numbered_lines
from badx_hub.errors import DataError

_DOCUMENT = "-DOCSTART-"
_IS_TAG = re.compile(r"O|[BIESLUM]-\S+")
_COUNT = re.compile(r"(?:.*[^0-9])?([0-9]{1,6})\W?", re.DOTALL)
"""A number of a word, also with that of its sentence: "3", "2-3", "s2w3", "3."."""
_PREFIX = re.compile(r"([a-z]{2,}(?:-[a-z]+)*:).*", re.DOTALL)
_MOSTLY = 0.9
_FEWEST = 3
"""Words from which on a column of numbers is a count, and not what a text happens to say."""


class Row(NamedTuple):
    """FILE:LINE and the cells of a word."""

    place: str
    cells: tuple[str, ...]


def blocks_of(path: Path) -> Iterator[list[Row]]:
    """The rows of each sentence, all of one width of two or more; comments before a sentence are left out.

    A line that begins with "#" is a comment unless it is as wide as the words around it and ends in a tag: "# O" is a
    word. Raises what `numbered_lines` does, and DataError, starting with "FILE:LINE:", for rows of other widths.
    """
    block: list[Row] = []
    comments: list[tuple[int, str, list[str]]] = []
    width: int | None = None
    for number, line in numbered_lines(path):
        if "\r" in line:
            raise DataError(f"{path}:{number}: {RETURN_HINT}")
        columns = _columns(line)
        if columns and line.startswith("#") and not block and (len(columns) != width or not _is_tag(columns[-1])):
            comments.append((number, line, columns))
        elif columns and columns[0] != _DOCUMENT:
            if width is None:
                width = len(columns)
                block += _words_among(path, comments, width)
            if not 2 <= len(columns) == width:
                raise DataError(
                    f"{path}:{number}: {len(columns)} columns, expected {max(2, width)}, the word first and its tag"
                    f" last: {line[:60]!r}."
                )
            block.append(Row(f"{path}:{number}", tuple(columns)))
        elif block:
            yield block
            block = []
    if block:
        yield block


def chosen_columns(path: Path, blocks: Sequence[Sequence[Row]]) -> tuple[int, int]:
    """The indices of the columns of words and of tags: the first and the last, unless the file shows another layout.

    Raises DataError for words that are missing or quoted, and for two columns of tags of the same types.
    """
    if not blocks:
        return 0, -1
    width = len(blocks[0][0].cells)
    numbered = _counts(blocks)
    if numbered and width == 2 and sum(map(len, blocks)) >= _FEWEST:
        raise DataError(f"{path}: the first column counts 1, 2, 3 ... and no other holds words; add the words.")
    word = 1 if numbered and width > 2 else 0
    tags = [index for index in range(word + 1, width) if all(_is_tag(row.cells[index]) for row in _all(blocks))]
    if quoted := next((row for row in _all(blocks) if row.cells[word] == '""""'), None):
        raise DataError(f'{quoted.place}: the words are quoted as in CSV (""""); write them without quotes.')
    # Without numbers a table says where its tags are: in the last column, and nothing else is taken for them.
    if not word or not tags:
        return word, width - 1
    types = [{row.cells[index].partition("-")[2] for row in _all(blocks)} - {""} for index in tags]
    if len(tags) > 1 and (types[-1] & types[-2] or (types[-2] and not types[-1])):
        first, second = tags[-2] + 1, tags[-1] + 1
        raise DataError(f"{path}: columns {first} and {second} both hold entities; leave the column that is meant.")
    return word, tags[-1]


def language_prefix(words: Sequence[tuple[str, str]]) -> str:
    """What WikiANN writes before each word, "wo:"; empty if there is none. `words` are (FILE:LINE, word).

    Raises DataError if only most of the words have it, or if they are of several languages.
    """
    found = [match[1] if (match := _PREFIX.fullmatch(word)) else "" for _, word in words]
    kinds = sorted({*found} - {""})
    if len(words) < 2 or not kinds or sum(map(bool, found)) < _MOSTLY * len(words):
        return ""
    if len(kinds) > 1:
        raise DataError(f"{words[0][0]}: words of several languages ({', '.join(kinds[:5])}); give one of them a file.")
    for (place, word), prefix in zip(words, found, strict=True):
        if not prefix or word == prefix:
            raise DataError(f"{place}: {word!r} where a word after {kinds[0]!r} is due, as all others have it.")
    return kinds[0]


def _all(blocks: Sequence[Sequence[Row]]) -> Iterator[Row]:
    return (row for rows in blocks for row in rows)


def _counts(blocks: Sequence[Sequence[Row]]) -> bool:
    """Whether the first column counts the words, in each sentence from 0 or 1 or on from the one before."""
    end: int | None = None
    if sum(map(len, blocks)) < _FEWEST and not all(row.cells[0].isdecimal() for row in _all(blocks)):
        return False
    for rows in blocks:
        numbers = [int(match[1]) if (match := _COUNT.fullmatch(row.cells[0])) else -1 for row in rows]
        start = numbers[0]
        if start not in (0, 1) and (end is None or start != end + 1):
            return False
        if numbers != list(range(start, start + len(numbers))):
            return False
        end = numbers[-1]
    return True


def _words_among(path: Path, comments: Sequence[tuple[int, str, list[str]]], width: int) -> list[Row]:
    """Words like "#" that begin a file: only the width of what follows shows that these are no comments."""
    rows: list[Row] = []
    for number, _, columns in reversed(comments):
        if len(columns) != width or not _is_tag(columns[-1]):
            break
        rows.insert(0, Row(f"{path}:{number}", tuple(columns)))
    return rows


def _columns(line: str) -> list[str]:
    # str.split() would also split at no-break spaces.
    return [column for column in re.split(r"\t" if "\t" in line else " ", line.strip(" \t")) if column]


def _is_tag(cell: str) -> bool:
    return _IS_TAG.fullmatch(cell) is not None

"""Named entities in columns (CoNLL, MasakhaNER): each line has a word and its BIO tag."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from badx_hub.data.lines import numbered_lines
from badx_hub.errors import DataError

OUTSIDE = "O"
_DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"([BIESLU])-(\S+)")
# BIOES and BILOU also mark the ends of entities, which adds nothing to BIO.
_BIO = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tagged:
    """Words with one BIO tag each, None where there is none; `line` is where it starts in its file, 0 without a file.

    Raises DataError for words that are empty or hold a tab or line break, and if the numbers of words and tags differ.
    """

    words: tuple[str, ...]
    tags: tuple[str | None, ...]
    text: str | None = None
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags):
            raise DataError("A sentence needs one tag for each of its words.")
        for word in self.words:
            if not word or any(character in word for character in "\t\n\r"):
                raise DataError(f"{word!r} is no word: words are not empty and hold no tab or line break.")


def read_columns(path: Path) -> tuple[Tagged, ...]:
    """The sentences of a file with the word in the first column and its tag in the last, separated by tab or space.

    Blank lines end sentences; `-DOCSTART-` lines are skipped. Tags are O, or B- or I- and a type; BIOES and BILOU
    become BIO. An I- that does not continue an entity of its type (IOB1) becomes B-; a warning says how many did.

    Raises what `numbered_lines` does, and DataError, starting with "FILE:LINE:", for bad content.
    """
    sentences, repairs = [], []
    for rows in _blocks(path):
        given = [_bio(place, tag) for place, _, tag in rows]
        tags = repaired(given)
        repairs += [place for (place, _, _), old, new in zip(rows, given, tags, strict=True) if old != new]
        line = int(rows[0][0].rpartition(":")[2])
        sentences.append(Tagged(tuple(word for _, word, _ in rows), tags, line=line))
    if repairs:
        _LOG.warning(
            "%s: %d tags I- that continue no entity of their type were read as B-, the first in line %s",
            path,
            len(repairs),
            repairs[0].rpartition(":")[2],
        )
    return tuple(sentences)


def repaired(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags, with B- in place of every I- that does not continue an entity of its type."""
    before = (OUTSIDE, *tags)
    return tuple(
        f"B-{type_of(tag)}" if tag.startswith("I-") and type_of(tag) != type_of(last) else tag
        for last, tag in zip(before, tags, strict=False)
    )


def type_of(tag: str) -> str:
    """ "PER" of B-PER and I-PER; empty for O."""
    return tag.partition("-")[2]


def _blocks(path: Path) -> Iterator[list[tuple[str, str, str]]]:
    """(FILE:LINE, word, tag) of each line of a sentence."""
    block: list[tuple[str, str, str]] = []
    width: int | None = None
    for number, line in numbered_lines(path):
        columns = _columns(line)
        if columns and columns[0] != _DOCUMENT:
            place = f"{path}:{number}"
            width = width or len(columns)
            if not 2 <= len(columns) == width:
                raise DataError(
                    f"{place}: {len(columns)} columns, expected {max(2, width)}, the word first and its tag last:"
                    f" {line[:60]!r}."
                )
            block.append((place, columns[0], columns[-1]))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _columns(line: str) -> list[str]:
    # str.split() would also split at no-break spaces.
    return [column for column in re.split(r"\t" if "\t" in line else " ", line.strip(" \t")) if column]


def _bio(place: str, tag: str) -> str:
    if tag == OUTSIDE:
        return OUTSIDE
    if not (match := _TAG.fullmatch(tag)):
        raise DataError(f"{place}: {tag!r} is no tag; expected O, or B- or I- and a type, such as B-PER.")
    return f"{_BIO[match[1]]}-{match[2]}"

"""Named entities in columns (CoNLL, MasakhaNER): each line has a word and its BIO tag."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from badx_hub.data.column_layout import blocks_of, chosen_columns, language_prefix
from badx_hub.errors import DataError

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLUM])-(\S+)")
# BIOES, BILOU and BMES also mark the ends of entities, which adds nothing to BIO.
_BIO = {"B": "B", "I": "I", "M": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
_LOG = logging.getLogger(__name__)

Entity = tuple[str, int, int]
"""Type, first word and last word, counted from 0."""


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

    Blank lines end sentences; `-DOCSTART-` lines are skipped. Tags are O, or B- or I- and a type; BIOES, BILOU and BMES
    become BIO. An I- that does not continue an entity of its type (IOB1) becomes B-; a warning says how many did.

    Other layouts are recognised: numbers of words before the words, comments before a sentence, and columns after the
    tags, such as annotators (UNER's .iob2); a language before each word (WikiANN's "wo:Amina").

    Raises what `numbered_lines` does, and DataError, starting with "FILE:LINE:", for bad content.
    """
    blocks = list(blocks_of(path))
    word, tag = chosen_columns(path, blocks)
    prefix = language_prefix([(row.place, row.cells[word]) for rows in blocks for row in rows])
    sentences, repairs = [], []
    for rows in blocks:
        given = [_bio(row.place, row.cells[tag]) for row in rows]
        tags = repaired(given)
        repairs += [row.place for row, old, new in zip(rows, given, tags, strict=True) if old != new]
        line = int(rows[0].place.rpartition(":")[2])
        sentences.append(Tagged(tuple(row.cells[word].removeprefix(prefix) for row in rows), tags, line=line))
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


def entities_of(tags: Iterable[str | None]) -> tuple[Entity, ...]:
    """The entities in the tags of a sentence, in order, as `seqeval` finds them; without a tag a word is in none.

    An I- that does not continue an entity of its type begins one.
    """
    found = list[Entity]()
    for place, tag in enumerate(repaired([tag or OUTSIDE for tag in tags])):
        mark, _, kind = tag.partition("-")
        if mark == "B":
            found.append((kind, place, place))
        elif mark == "I":
            found[-1] = (kind, found[-1][1], place)
    return tuple(found)


def type_of(tag: str) -> str:
    """ "PER" of B-PER and I-PER; empty for O."""
    return tag.partition("-")[2]


def _bio(place: str, tag: str) -> str:
    if tag == OUTSIDE:
        return OUTSIDE
    # A zero-width space in a tag would make it a type of its own.
    if not (match := _TAG.fullmatch(tag)) or not tag.isprintable():
        raise DataError(f"{place}: {tag!r} is no tag; expected O, or B- or I- and a type, such as B-PER.")
    return f"{_BIO[match[1]]}-{match[2]}"

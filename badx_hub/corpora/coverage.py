"""How well a tokenizer reads a text: whether words stay whole, fall apart into characters, or are not known at all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import regex

MOST_WORDS = 5000
"""Words that are looked at by default."""

_WORD = regex.compile(r"\S+")
# Scripts that tokenizers split into characters on purpose, as words have no spaces between them.
_BY_CHARACTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_SHORTEST = 3  # letters of a word that says something when it is cut into characters
_MOST_UNKNOWN, _MOST_CUT = 0.05, 0.3


@dataclass(frozen=True)
class Coverage:
    """Counts over a text; words are what stands between spaces.

    `cut` are those of the `long` words (three characters or more, not of a script without spaces) that have a sub-word
    or more for each character.
    """

    words: int = 0
    pieces: int = 0
    unknown: int = 0
    long: int = 0
    cut: int = 0

    @property
    def pieces_per_word(self) -> float:
        """Sub-words a word."""
        return self.pieces / max(1, self.words)

    @property
    def unknown_share(self) -> float:
        """Of the sub-words."""
        return self.unknown / max(1, self.pieces)

    @property
    def cut_share(self) -> float:
        """Of the long words."""
        return self.cut / max(1, self.long)

    @property
    def is_poor(self) -> bool:
        """Whether the text is hardly covered: 5 % unknown sub-words, or 30 % of the long words cut into characters."""
        return self.unknown_share >= _MOST_UNKNOWN or self.cut_share >= _MOST_CUT

    def __str__(self) -> str:
        return (
            f"{self.pieces_per_word:.2f} sub-words a word, {self.unknown_share:.1%} of the sub-words unknown, "
            f"{self.cut_share:.1%} of the words cut into single characters"
        )


def coverage_of(tokenizer: Any, lines: Iterable[str], most_words: int = MOST_WORDS) -> Coverage:
    """How a fast tokenizer reads the first `most_words` words of a text."""
    total = Coverage()
    for line in lines:
        if total.words >= most_words:
            break
        total = _added(total, _of_line(tokenizer, line))
    return total


def _of_line(tokenizer: Any, line: str) -> Coverage:
    words = [match.span() for match in _WORD.finditer(line)]
    if not words:
        return Coverage()
    read = tokenizer(line, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    starts, inside = [start for start, _ in words], [0] * len(words)
    for first, end in read["offset_mapping"]:
        place = max(first, end - 1)  # A sub-word may begin with the space before it.
        number = bisect_right(starts, place) - 1
        if number >= 0 and place < words[number][1]:
            inside[number] += 1
    sizes = [end - start for start, end in words]
    long = [
        number
        for number, (start, end) in enumerate(words)
        if sizes[number] >= _SHORTEST and not _BY_CHARACTER.search(line, start, end)
    ]
    unknown = read["input_ids"].count(tokenizer.unk_token_id) if tokenizer.unk_token_id is not None else 0
    cut = sum(inside[number] >= sizes[number] for number in long)
    return Coverage(len(words), len(read["input_ids"]), unknown, len(long), cut)


def _added(one: Coverage, other: Coverage) -> Coverage:
    return Coverage(
        one.words + other.words,
        one.pieces + other.pieces,
        one.unknown + other.unknown,
        one.long + other.long,
        one.cut + other.cut,
    )

"""Sentences as model inputs: sub-words between CLS and SEP, a long sentence in overlapping ones; no word is dropped."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from badx_hub.errors import UsageError
from badx_hub.tasks.words import Frame, sub_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OVERLAP = 0.25


@dataclass(frozen=True)
class WordRange:
    """The words `start` (inclusive) to `stop` (exclusive) of a sentence; predictions for the `owned` ones count."""

    start: int
    stop: int
    owned: tuple[int, ...]


@dataclass(frozen=True)
class SentenceWindow:
    """The sentence of index `example`, or the part of it with these `words`, ready for a model.

    `starts` are the positions in `input_ids` of the first sub-word of each word of the range and, at the end, of SEP.
    """

    example: int
    words: WordRange
    input_ids: tuple[int, ...]
    starts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.input_ids)


def sentence_windows(
    sentences: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Iterator[SentenceWindow]:
    """One window for each sentence, or overlapping ones if it has more than `max_length` sub-words, CLS and SEP
    included.

    Each word is owned by one window, the one that cuts its context farthest away. A word longer than a window is
    represented by its first sub-words. A sentence without words has no window.

    Raises UsageError for a `max_length` below 3 and for a tokenizer without CLS, SEP or unknown token.
    """
    frame = Frame.of(tokenizer)
    room = max_length - 2
    if room < 1:
        raise UsageError(f"A maximal length of {max_length} leaves no room for a word; expected 3 or more.")
    pieces = sub_words(chain.from_iterable(sentences), tokenizer)
    for example, words in enumerate(sentences):
        cut = [pieces[word][:room] for word in words]
        for part in word_ranges([len(piece) for piece in cut], room):
            own = cut[part.start : part.stop]
            yield SentenceWindow(
                example,
                part,
                input_ids=(frame.cls, *chain.from_iterable(own), frame.sep),
                starts=tuple(accumulate((len(piece) for piece in own), initial=1)),
            )


def word_ranges(lengths: Sequence[int], room: int, overlap: float = OVERLAP) -> tuple[WordRange, ...]:
    """Ranges of at most `room` sub-words, each word owned by exactly one; `lengths` are sub-words a word.

    Neighbouring ranges share up to `overlap` (0 to 1) of the room as context; the last one reaches back as far
    as it can. A word in several ranges is owned by the one where the nearest cut is farthest away, the earlier
    one if equal. Ranges that own nothing are left out. Without words there are no ranges. Pure.

    Raises ValueError for a word without sub-words or with more than the room.
    """
    if any(not 0 < length <= room for length in lengths):
        raise ValueError(f"words have 1 to {room} sub-words")
    ends = (0, *accumulate(lengths))
    bounds = _bounds(ends, room, int(room * overlap))
    owned: list[list[int]] = [[] for _ in bounds]
    first = 0
    for word in range(len(lengths)):
        while bounds[first][1] <= word:
            first += 1
        last = bisect_right(bounds, (word, len(lengths)), lo=first) - 1
        best = max(range(first, last + 1), key=lambda index: _distance_to_cut(ends, bounds[index], word))
        owned[best].append(word)
    return tuple(WordRange(*bound, tuple(words)) for bound, words in zip(bounds, owned, strict=True) if words)


def _bounds(ends: tuple[int, ...], room: int, shared: int) -> list[tuple[int, int]]:
    words = len(ends) - 1
    bounds: list[tuple[int, int]] = []
    start = stop = 0
    while stop < words:
        # As much shared context as still leaves room for the next word.
        context_from = max(ends[stop] - shared, ends[stop + 1] - room)
        start = bisect_left(ends, context_from)
        if ends[words] - ends[start] <= room:
            start = bisect_left(ends, ends[words] - room)
        stop = bisect_right(ends, ends[start] + room) - 1
        bounds.append((start, stop))
    return bounds


def _distance_to_cut(ends: tuple[int, ...], bound: tuple[int, int], word: int) -> float:
    """Sub-words between the word and the nearer cut; an end of the sentence is not a cut."""
    start, stop = bound
    left = ends[word] - ends[start] if start else float("inf")
    right = ends[stop] - ends[word + 1] if stop < len(ends) - 1 else float("inf")
    return min(left, right)

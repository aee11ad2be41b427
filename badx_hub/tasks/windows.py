"""Overlapping windows over a sentence longer than the model's input, so that no word is dropped. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

OVERLAP = 0.25


@dataclass(frozen=True)
class Span:
    """The words `start` (inclusive) to `stop` (exclusive) of a sentence; it answers for the `owned` ones."""

    start: int
    stop: int
    owned: tuple[int, ...]


def spans(lengths: Sequence[int], room: int, overlap: float = OVERLAP) -> tuple[Span, ...]:
    """Spans of at most `room` sub-words, each word owned by exactly one; `lengths` are sub-words a word.

    Neighbouring spans share up to `overlap` (0 to 1) of the room as context; the last one reaches back as far
    as it can. A word in several spans is owned by the one where the nearest cut is farthest away, the earlier
    one if equal. Spans that own nothing are left out. No words: no spans.

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
    return tuple(Span(*bound, tuple(words)) for bound, words in zip(bounds, owned, strict=True) if words)


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
    """Sub-words between the word and the nearer cut; an end of the sentence is no cut."""
    start, stop = bound
    left = ends[word] - ends[start] if start else float("inf")
    right = ends[stop] - ends[word + 1] if stop < len(ends) - 1 else float("inf")
    return min(left, right)

"""Trees as text for terminals, a word a line: what is deeper in the tree stands further to the right.

    ─┬─ Nanga  VERB   root
     │ ╭─ sa   DET    nmod
     ├─┴─ yaay NOUN   nsubj
     ╰─ ?      PUNCT  punct

Every cell counts as wide as terminals draw it, combining and wide characters included. Tags follow the word, so that a
word from right to left has nothing after it that it could carry along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from badx_hub.control_characters import escaped
from badx_hub.data.conllu import NOT_ANNOTATED, RawSentence
from badx_hub.tasks import TASKS

_BETWEEN = 2
_LEAST_WORD = 6
_CUT = "…"
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
"""The character of each sum of the four directions."""

_SHOWN = [(task.columns[-1], task.probability_column) for task in TASKS.values() if task.columns]
"""The columns that stand behind a word, and those of their probabilities; heads are the tree."""


def text_tree(raw: RawSentence, width: int = 80) -> str:
    """The words of a sentence with tree and tags, below its `sent_id` and text; the empty text if it has no words.

    Lines have at most `width` cells: words are shortened for that. Characters that steer a terminal are escaped. A word
    whose head leads back to it, and so not to a root, starts a tree of its own, and its head is told.
    """
    sentence = raw.sentence
    if sentence is None:
        return ""
    heads, loose = _without_cycles(sentence.heads)
    behind = [_behind(raw, index, loose.get(index)) for index in range(len(sentence.words))]
    widths = [max(map(cell_len, column)) for column in zip(*behind, strict=True)]
    room = max(width // 2, width - sum(one + _BETWEEN for one in widths if one))
    words = [escaped(word, breaks=False) for word in sentence.words]
    lines = next(
        (lines for lines in (_lines(heads, step) for step in (2, 1)) if _fits(lines, words, room)), _lines(heads, 1)
    )
    rows = [_shortened(f"{line}{word}", room) for line, word in zip(lines, words, strict=True)]
    first = max(map(cell_len, rows))
    told = [_row([row, *cells], [first, *widths]) for row, cells in zip(rows, behind, strict=True)]
    comments = [("sent_id", sentence.sent_id), ("text", sentence.text)]
    above = [f"# {key} = {escaped(value, breaks=False)}" for key, value in comments if value is not None]
    return "\n".join([*above, *(set_cell_size(row, width).rstrip() for row in told), ""])


def _behind(raw: RawSentence, index: int, head: int | None) -> list[str]:
    """What stands behind a word; `head` is told for a word that the tree cannot show it for."""
    cells = []
    for column, probability in _SHOWN:
        cell = raw.cells(column)[index]
        sure = raw.cells(probability)[index] if probability else NOT_ANNOTATED
        told = "" if cell == NOT_ANNOTATED else cell
        if column == "DEPREL" and head is not None:
            told = f"{told} (head {head})".lstrip()
        cells.append(escaped(told if sure == NOT_ANNOTATED else f"{told} {sure}".lstrip(), breaks=False))
    return cells


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    filled = (set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True) if width)
    return (" " * _BETWEEN).join(filled).rstrip()


def _fits(lines: Sequence[str], words: Sequence[str], room: int) -> bool:
    return all(
        cell_len(line) + min(cell_len(word), _LEAST_WORD) <= room for line, word in zip(lines, words, strict=True)
    )


def _shortened(text: str, room: int) -> str:
    return text if cell_len(text) <= room else f"{set_cell_size(text, room - 1)}{_CUT}"


def _without_cycles(heads: Sequence[int | None]) -> tuple[list[int | None], dict[int, int]]:
    """Heads as indices, -1 for the root, without the arcs that close a cycle; the heads that these arcs had."""
    found: list[int | None] = [None if head is None else head - 1 for head in heads]
    loose: dict[int, int] = {}
    sound: set[int] = set()
    for start in range(len(found)):
        path: list[int] = []
        word: int | None = start
        while word is not None and word >= 0 and word not in sound:
            if word in path:
                loose[word] = heads[word] or 0
                found[word] = None
                break
            path.append(word)
            word = found[word]
        sound.update(path)
    return found, loose


class _Span(NamedTuple):
    """The rows of a word and its dependents."""

    first: int
    last: int


def _lines(heads: Sequence[int | None], step: int) -> list[str]:
    """What stands before each word; a level of the tree takes `step` cells. Nothing, if no word has a head."""
    if all(head is None for head in heads):
        return [""] * len(heads)
    spans = _spans(heads)
    columns = _columns(heads, spans)
    grid: list[defaultdict[int, int]] = [defaultdict(int) for _ in heads]
    for word, span in enumerate(spans):
        place = 1 + step * columns[word]
        for row in range(span.first, span.last + 1):
            grid[row][place] |= (_UP if row > span.first else 0) | (_DOWN if row < span.last else 0)
        head = heads[word]
        start = 0 if head is None or head < 0 else 1 + step * columns[head]
        if head is not None:
            grid[word][start] |= _RIGHT | (_LEFT if head < 0 else 0)
            for cell in range(start + 1, place):
                grid[word][cell] |= _LEFT | _RIGHT
            grid[word][place] |= _LEFT
        _lead_on(grid[word], place)
    return [f"{''.join(_LINES[row.get(cell, 0)] for cell in range(max(row) + 1))} " for row in grid]


def _lead_on(row: defaultdict[int, int], place: int) -> None:
    """Lead the line of a word from its place past all upright lines, those of other words too, to the word."""
    last = max(*row, place)
    end = last + 1 if row[last] & (_UP | _DOWN) else last
    for cell in range(place, end + 1):
        row[cell] |= _RIGHT | (_LEFT if cell > place else 0)


def _spans(heads: Sequence[int | None]) -> list[_Span]:
    spans = [_Span(word, word) for word in range(len(heads))]
    for word, head in enumerate(heads):
        if head is not None and head >= 0:
            spans[head] = _Span(min(spans[head].first, word), max(spans[head].last, word))
    return spans


def _columns(heads: Sequence[int | None], spans: Sequence[_Span]) -> list[int]:
    """The level of each word: right of its head, and where the line of no other word is in the way."""
    columns = [0] * len(heads)
    taken: defaultdict[int, list[_Span]] = defaultdict(list)
    waiting = [(word, 0) for word, head in enumerate(heads) if head is None or head < 0]
    for word, column in waiting:
        span = spans[word]
        while any(other.first <= span.last and span.first <= other.last for other in taken[column]):
            column += 1
        columns[word] = column
        taken[column].append(span)
        waiting += [(other, column + 1) for other, head in enumerate(heads) if head == word]
    return columns

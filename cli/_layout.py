"""How a table stands in a width: in columns; with long headings of rows on lines of their own; or a row a block.

Words are never broken and no cell is left out, so that names can be copied. A word that is longer than the width stays
whole, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from badx_hub.table import Table

_BETWEEN = "   "
_RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
_INDENT = "  "
_AND = " \N{MIDDLE DOT} "
_BRANCHES = str.maketrans("├└─│ ", "│  │ ")
"""What stands before a name in a tree, and below it."""
_SHARES = (1.0, 0.9, 0.75, 0.5)
"""How many of the rows' headings fit into the first column, in the layouts that are tried."""


@dataclass(frozen=True)
class Layout:
    """Lines to print; `head` names the columns, and is empty where rows are blocks."""

    head: tuple[str, ...]
    body: tuple[str, ...]


def laid_out(table: Table, width: int, shown: Callable[[str], str] = str) -> Layout:
    """The table in this width, every text as `shown` makes it. Where it is too narrow, empty columns are left out."""
    texts = (table.header, *([cell.text for cell in row] for row in table.rows))
    folding = tuple(column in table.folding for column in table.header)
    grid = _Grid(tuple(tuple(map(shown, row)) for row in texts), table.numbers, folding)
    if grid.width <= width:
        return grid.drawn(grid.natural, width)
    grid = grid.without_empty_columns()
    if len(grid.numbers) == 1:
        return grid.drawn((max(width, _least(grid.columns[0], grid.folding[0])),), width)
    found = [grid.drawn(widths, width) for widths in grid.within(width)]
    return min(found, key=lambda one: len(one.body), default=None) or Layout((), tuple(grid.blocks(width)))


@dataclass(frozen=True)
class _Grid:
    """Rows of text, the first of which has the names of the columns."""

    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[bool, ...]
    folding: tuple[bool, ...]

    @property
    def columns(self) -> list[tuple[str, ...]]:
        return list(zip(*self.rows, strict=True))

    @property
    def natural(self) -> tuple[int, ...]:
        return tuple(max(map(_wide, column)) for column in self.columns)

    @property
    def width(self) -> int:
        return sum(self.natural) + self.gaps

    @property
    def gaps(self) -> int:
        return len(_BETWEEN) * (len(self.folding) - 1)

    def without_empty_columns(self) -> _Grid:
        filled = [at for at, column in enumerate(self.columns) if not at or any(cell.strip() for cell in column[1:])]
        rows = tuple(tuple(row[at] for at in filled) for row in self.rows)
        return _Grid(rows, tuple(self.numbers[at] for at in filled), tuple(self.folding[at] for at in filled))

    def within(self, width: int) -> Iterator[tuple[int, ...]]:
        """Widths of the columns, for several widths of the first one; none if the others are too wide for all."""
        natural, least = self.natural, tuple(map(_least, self.columns, self.folding))
        name, *headings = map(_wide, self.columns[0])
        headings.sort()
        tried = {max(name, headings[round(share * (len(headings) - 1))]) for share in _SHARES}
        for first in sorted({least[0], *tried}, reverse=True):
            rest = _narrowed(natural[1:], least[1:], width - self.gaps - first)
            if rest is not None:
                yield min(natural[0], width - self.gaps - sum(rest)), *rest

    def drawn(self, widths: Sequence[int], width: int) -> Layout:
        """In columns. A heading that is wider than the first one, and cannot be folded, has a line of its own."""
        head, *body = (tuple(self._lines(row, widths)) for row in self.rows)
        rule = _RULE * min(width, sum(widths) + self.gaps)
        return Layout((*head, rule), tuple(line for row in body for line in row))

    def _lines(self, row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
        cells = [
            _folded(cell, wide) if folds else cell.split("\n")
            for cell, wide, folds in zip(row, widths, self.folding, strict=True)
        ]
        if max(map(_wide, cells[0])) > widths[0]:
            yield from cells[0]
            cells[0] = []
            if not any(cell.strip() for cell in row[1:]):
                return
        for line in zip_longest(*cells, fillvalue=""):
            yield _BETWEEN.join(map(_aligned, line, widths, self.numbers))

    def blocks(self, width: int) -> Iterator[str]:
        """A line with the heading of each row, and below it the other cells, with the names of their columns."""
        (_, *names), *rows = self.rows
        for heading, *cells in rows:
            yield from _folded(heading, width) if self.folding[0] else [heading]
            indent = _below(heading)
            labels = [""] if len(names) == 1 else [f"{name}: " for name in names]
            filled = [f"{label}{cell}" for label, cell in zip(labels, cells, strict=True) if cell.strip()]
            yield from (f"{indent}{line}" for line in _paragraph(filled, width - len(indent)))


def _below(heading: str) -> str:
    """What begins the lines below a heading: the branches of a tree go on."""
    name = heading.lstrip("".join(map(chr, _BRANCHES)))
    return heading.removesuffix(name).translate(_BRANCHES) + _INDENT


def _folded(cell: str, width: int) -> list[str]:
    """The lines of a cell in a column of this width. A wider word has a line of its own."""
    lines: list[str] = []
    for part in cell.split("\n"):
        if _wide(part) <= width or not _can_fold(part):
            lines.append(part)
            continue
        first, *more = _words(part)
        lines.append(first)
        for word in more:
            if _wide(lines[-1]) + 1 + _wide(word) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return lines


def _paragraph(parts: Sequence[str], width: int) -> Iterator[str]:
    """The parts with dots between them; a part is folded only if a line is too short for it."""
    line = ""
    for part in parts:
        if line and _wide(line) + len(_AND) + _wide(part) <= width:
            line += f"{_AND}{part}"
            continue
        if line:
            yield line
        *full, line = _folded(part, width)
        yield from full
    if line:
        yield line


def _narrowed(natural: Sequence[int], least: Sequence[int], room: int) -> tuple[int, ...] | None:
    """Widths that are `room` together: the widest that can gives way. None if that is not enough."""
    widths = list(natural)
    while (excess := sum(widths) - room) > 0:
        giving = sorted((wide, at) for at, wide in enumerate(widths) if wide > least[at])
        if not giving:
            return None
        wide, at = giving.pop()
        next_ = giving[-1][0] if giving else 0
        widths[at] -= max(1, min(excess, wide - max(least[at], next_)))
    return tuple(widths)


def _least(column: Sequence[str], folds: bool) -> int:
    """The width of a column that can fold without breaking a word; otherwise all of it."""
    lines = [line for cell in column for line in cell.split("\n")]
    if not folds:
        return max(map(_wide, lines))
    return max(_wide(word) for line in lines for word in (_words(line) if _can_fold(line) else [line]))


def _can_fold(line: str) -> bool:
    """Whether its words are one blank apart: others, as those of a tree, stand where they stand."""
    return line.split(" ") == line.split()


def _words(line: str) -> list[str]:
    """What is never broken: words, and numbers with their "%"."""
    return re.split(" (?!%)", line)


def _wide(text: str) -> int:
    if text.isascii() and "\n" not in text:
        return len(text)
    return max(map(_cells, text.split("\n")))


@cache
def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _aligned(cell: str, wide: int, right: bool) -> str:
    missing = max(0, wide - _wide(cell))
    if not right:
        return cell + " " * missing
    end = cell.rstrip()
    return " " * (missing + len(cell) - len(end)) + end

"""A table: cells with what each kind of reader needs of them, and the same table as Markdown, CSV and LaTeX. Pure.

The command line draws it for a terminal (`badx_hub.cli._output`), a template for a page (`report.html.j2`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
        **{"±": r"$\pm$", "†": r"\dag{}", "<": r"\textless{}", ">": r"\textgreater{}"},
    }
)


@dataclass(frozen=True)
class Cell:
    """The text for people, the value and its spread over seeds for CSV. `best`: the highest of its column."""

    text: str
    value: float | str | None = None
    spread: float | None = None
    best: bool = False

    @property
    def number(self) -> bool:
        """Whether it is a number, or the dash in place of a missing one."""
        return not isinstance(self.value, str)

    @classmethod
    def of_text(cls, text: str) -> Cell:
        """A cell whose value is its text."""
        return cls(text, text)


@dataclass(frozen=True)
class Table:
    """No title in `header` occurs twice; the first cell of a row is its heading.

    `name` is the stem of its files. Columns in `folding` give way where a terminal is too narrow.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    name: str = ""
    notes: tuple[str, ...] = ()
    folding: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        header: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        numbers: Sequence[str] = (),
        folding: Sequence[str] = (),
        title: str = "",
    ) -> Table:
        """Cells of text alone; `numbers` are the columns of numbers."""
        made = (
            tuple(
                Cell(text) if column in numbers else Cell.of_text(text)
                for column, text in zip(header, row, strict=True)
            )
            for row in rows
        )
        return cls(tuple(header), tuple(made), title, folding=tuple(folding))

    @property
    def numbers(self) -> tuple[bool, ...]:
        """Of each column, whether it has numbers. They stand to the right."""
        return tuple(cell.number for cell in self.rows[0]) if self.rows else (False,) * len(self.header)


def to_markdown(table: Table) -> str:
    """A pipe table with its notes below. The best cells are bold; all text is escaped."""
    from badx_hub.registry.cards import as_markdown

    lines = ["| " + " | ".join(as_markdown(text) for text in table.header) + " |"]
    lines.append("|" + "|".join("---:" if number else "---" for number in table.numbers) + "|")
    for row in table.rows:
        texts = (f"**{as_markdown(cell.text)}**" if cell.best else as_markdown(cell.text) for cell in row)
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join([*lines, *(f"\n{as_markdown(note)}" for note in table.notes)]) + "\n"


def to_csv(table: Table) -> str:
    """Plain numbers, empty if missing; the spread over seeds has its own column."""
    from pandas import DataFrame

    data: dict[str, Sequence[float | str | None]] = {}
    for index, title in enumerate(table.header):
        cells = [row[index] for row in table.rows]
        data[title] = [cell.value for cell in cells]
        if any(cell.spread is not None for cell in cells):
            data[f"{title} (standard deviation)"] = [cell.spread for cell in cells]
    return str(DataFrame(data, dtype=object).to_csv(index=False, lineterminator="\n"))


def to_latex(table: Table) -> str:
    r"""A `table` with `booktabs` rules, its caption and the label `tab:NAME`; the notes are comments above it."""
    from pandas import DataFrame

    rows = [
        [rf"\textbf{{{_latex(cell.text)}}}" if cell.best else _latex(cell.text) for cell in row] for row in table.rows
    ]
    frame = DataFrame(rows, columns=[_latex(title) for title in table.header], dtype=object)
    text = frame.to_latex(
        index=False,
        escape=False,
        column_format="".join("r" if number else "l" for number in table.numbers),
        caption=_latex(table.title),
        label=f"tab:{table.name}",
    )
    return "".join(f"% {' '.join(note.split())}\n" for note in table.notes) + str(text)


def _latex(text: str) -> str:
    return text.translate(_LATEX)

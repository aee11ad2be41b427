"""The bases to choose from."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _options, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.evaluation.bases import KnownBase, Reading


def bases(
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="LANG=SOURCE", help="Also tell how well the bases that are here read this."),
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option("--base", metavar="MODEL", help="With --text: another base, such as a folder (repeatable)."),
    ] = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """List bases that people use, and with a text how well those on this machine read it.

    The figures of the list are those of the publishers. The figures for a text are measured here: sub-words a word,
    sub-words that are unknown, words that fall into single characters, and seconds for a million words.
    """
    given = _options.text_option(text) if text is not None else None
    from badx_hub.evaluation.bases import bases_here, known_bases, read_text

    here = dict(bases_here(base or ()))
    document: dict[str, Any] = {"known": [_known(one, here) for one in known_bases()], "here": list(here)}
    tables = [_list(document["known"])]
    if given is not None:
        document["text"] = [_read(spec, read_text(found, *given)) for spec, found in here.items()]
        tables.append(_readings(document["text"], given[0]))
    _output.show(format, tables=tables, document=document, quiet=list(here))


def _known(one: KnownBase, here: Container[str]) -> dict[str, Any]:
    return {
        "base": one.base,
        "parameters": one.million * 1_000_000,
        "licence": one.licence,
        "languages": one.languages,
        "words": one.words,
        "needs": one.needs or None,
        "here": one.base in here,
    }


def _list(known: Sequence[Mapping[str, Any]]) -> Table:
    header = ("base", "M", "licence", "langs", "words", "state")
    rows = [
        (
            row["base"],
            f"{row['parameters'] // 1_000_000}",
            row["licence"],
            f"{row['languages']:,}",
            f"{row['words'] // 1000} k",
            "here" if row["here"] else row["needs"] or "",
        )
        for row in known
    ]
    title = "As their publishers describe them (M: million parameters)"
    return Table.of(header, rows, numbers=("M", "langs", "words"), title=title)


def _read(spec: str, reading: Reading) -> dict[str, Any]:
    return {
        "base": spec,
        "sub_words_per_word": reading.coverage.pieces_per_word,
        "unknown": reading.coverage.unknown_share,
        "cut": reading.coverage.cut_share,
        "seconds_per_million_words": reading.seconds,
    }


def _readings(read: Sequence[Mapping[str, Any]], language: str) -> Table:
    header = ("base", "sub-words a word", "unknown", "cut", "s/million words")
    rows = [
        (
            row["base"],
            f"{row['sub_words_per_word']:.2f}",
            f"{row['unknown']:.1%}",
            f"{row['cut']:.1%}",
            f"{row['seconds_per_million_words']:,.0f}",
        )
        for row in read
    ]
    return Table.of(header, rows, numbers=header[1:], title=f"How those that are here read the text of {language}")

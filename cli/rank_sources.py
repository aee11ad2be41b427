"""`badx-hub rank-sources`: which source language promises most for a target, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _options, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.evaluation.source_ranking import RankedSource


def rank_sources(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The language to transfer to, such as wo.")],
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", metavar="LANG=SOURCE", help="Text of the target and of each candidate. [default: typology alone]"
        ),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", metavar="LIST", help="Such as en,fr,fi. [default: the others with a --text]"),
    ] = None,
    base: _options.BaseOption = None,
    sentences: Annotated[
        int, typer.Option("--sentences", metavar="N", min=10, max=10_000, help="The most to read of each --text.")
    ] = 200,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Rank source languages for a target by typology and by a few unlabelled sentences; nothing is trained.

    By text, the nearest sentences of the candidates vote for each sentence of the target, by what the base makes of
    them. Neither ranking knows the task: take it as a first guess.
    """
    given = _options.text_options(text)
    asked = [one for one in (candidates or "").split(",") if one.strip()]
    from badx_hub.evaluation.source_ranking import rank_sources as rank

    ranked = rank(target, given, candidates=asked, base=base, sentences=sentences)
    from badx_hub.languages import normalise
    from badx_hub.typology import source_of_knowledge

    if len({row.relatedness for row in ranked}) == 1 and len(ranked) > 1:
        _output.note(f"typology tells no candidate from another here ({source_of_knowledge()})")
    _output.show(
        format,
        tables=[_table(normalise(target), ranked)],
        document={
            "target": normalise(target),
            "typology": source_of_knowledge(),
            "candidates": [{**vars(row), "rank": row.rank} for row in ranked],
        },
        quiet=[row.language for row in ranked],
    )


def _table(target: str, ranked: Sequence[RankedSource]) -> Table:
    from badx_hub.languages import name_of

    header = ("source", "name", "relatedness", "votes", "by typology", "by text", "rank")
    rows = [
        (
            row.language,
            name_of(row.language),
            f"{row.relatedness:.2f}",
            "-" if row.votes is None else f"{100 * row.votes:.0f} %",
            f"{row.by_typology:g}",
            "-" if row.by_text is None else f"{row.by_text:g}",
            f"{row.rank:g}",
        )
        for row in ranked
    ]
    return Table.of(header, rows, numbers=header[2:], folding=("name",), title=f"Sources for {name_of(target)}")

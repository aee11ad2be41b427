"""`badx-hub view`: look at a CoNLL-U file in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from badx_hub.cli import _output
from badx_hub.user_paths import user_path


def view(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CoNLL-U, with or without trees; also gzipped.")],
    gold: Annotated[
        Path | None, typer.Option("--gold", metavar="GOLD", help="The same sentences, annotated by people.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="A page or a folder. [default: FILE.html beside FILE]"),
    ] = None,
) -> None:
    """Make one page, for any browser and without a network, that shows the trees of a file.

    It searches, orders and filters by what `annotate --confidence` wrote. With --gold, what differs is marked, and a
    table shows which tags and relations are taken for which.
    """
    from badx_hub.pages.view import write_view

    page = write_view(user_path(file), user_path(gold) if gold else None, user_path(output) if output else None)
    _output.note(f"wrote {page}")

"""Shell completion of what is registered: folder names alone are read, so that a key press stays quick."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from badx_hub.errors import BadxError


def complete_pair(context: typer.Context, incomplete: str) -> list[str]:
    """The registered mixtures that begin so."""
    return _beginning(incomplete, (pair for pair, _ in _registered(context)))


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """The registered names and mixtures that begin so."""
    found = list(_registered(context))
    return _beginning(incomplete, (text for both in found for text in both))


def _beginning(incomplete: str, texts: Iterator[str]) -> list[str]:
    return sorted({text for text in texts if text.startswith(incomplete)})


def _registered(context: typer.Context) -> Iterator[tuple[str, str]]:
    """(mixture, name) of each adapter. A registry that cannot be read completes nothing."""
    try:
        yield from _names_in(context.params.get("registry"))
    except (BadxError, OSError):
        return


def _names_in(where: str | None) -> Iterator[tuple[str, str]]:
    from badx_hub.errors import UsageError
    from badx_hub.names import AdapterName
    from badx_hub.registry.chain import open_registry

    for folder in Path(open_registry(where).location).iterdir():
        try:
            name = AdapterName.from_repo_name(folder.name)
        except UsageError:  # something else that lies there
            continue
        yield str(name.mixture), str(name)

"""Copying adapters from one registry to another, for `push` and `pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.cli import _entries, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.registry import Entry, Registry, Transferred


def transfer(
    entry: Entry, source: Registry, destination: Registry, format: Format, sign: Path | None = None
) -> Transferred:
    """Copy an entry and what it was trained on, and show what was copied."""
    from badx_hub.registry import copy

    done = copy(entry, source, destination, sign_with=sign and sign.expanduser())
    states = [("already there", one) for one in done.already] + [("copied", one) for one in done.copied]
    if not done.copied:
        _output.note(f"Nothing to do: {entry.name} is in {destination.location} already.")
    _output.show(
        format,
        tables=[
            Table.of(
                ("name", "version", "state"),
                ((str(one.name), _entries.short(one.version), state) for state, one in states),
                folding=("name",),
                title=f"{source.location}\n-> {destination.location}",
            )
        ],
        document=[{**_entries.document(one), "copied": state == "copied"} for state, one in states],
        quiet=[str(one.name) for _, one in states],
    )
    return done

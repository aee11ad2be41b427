"""`badx-hub list`: what is registered. Loads no tensors."""

from __future__ import annotations

from typing import Annotated

import typer

from badx_hub.cli import _entries, _errors, _options, _output, _registries
from badx_hub.cli._completion import complete_name
from badx_hub.cli._output import Format


def list_adapters(
    pair: Annotated[
        str | None, typer.Argument(metavar="PAIR", help="Only adapters of this pair.", autocompletion=complete_name)
    ] = None,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """List the registered adapters.

    What cannot be read is left out and reported on stderr.
    """
    found = _registries.open_there(registry)
    everything, problems = found.contents()
    entries = tuple(entry for entry in everything if pair is None or _entries.is_of(entry.name, pair))
    for problem in problems[: _entries.FAULTS_SHOWN]:
        _output.warning(_errors.message(problem.error))
    if more := problems[_entries.FAULTS_SHOWN :]:
        _output.warning(f"{len(more):,} more versions cannot be read.")
    if not entries:
        of_pair = f" for {pair}" if pair else ""
        advice = (
            f"Train one: badx-hub train {pair or 'en-wo'}"
            if registry is None
            else "Check the place given to --registry."
        )
        _output.note(f"No adapters{of_pair} in {found.location}. {advice}")
    _output.show(
        format,
        tables=[_entries.table(entries)],
        document=[_entries.document(entry) for entry in entries],
        quiet=dict.fromkeys(entry.manifest.name for entry in entries),
    )

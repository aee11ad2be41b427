"""A table of what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from badx_hub.cli import _errors, _options, _output, _registries
from badx_hub.errors import UsageError


def zoo(
    org: Annotated[
        str | None, typer.Option("--org", metavar="ORG", help="Of this user or organisation on the Hub.")
    ] = None,
    registry: _options.RegistryOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="*.md, *.html or *.csv. [default: Markdown on stdout]"),
    ] = None,
    offline: _options.OfflineOption = False,
) -> None:
    """Make a table of adapters: base, languages and task with scores, sizes and licences.

    Zero-shot scores come first. Everything is read from the manifests, of your registry unless one is named.
    """
    from badx_hub.evaluation.zoo import rendered, weight_bytes, zoo_table
    from badx_hub.hub.client import HubClient
    from badx_hub.storage import atomic_write_bytes

    if org and registry:
        raise UsageError("--org and --registry both say where to look. Leave one of them out.")
    ending = ".md" if output is None else output.suffix.lower()
    hub = _registries.open_hub(org, offline=offline) if org else None
    found = hub or _registries.open_there(registry)
    entries, problems = found.contents()
    for problem in problems:
        _output.warning(_errors.message(problem.error))
    asked = None if offline or (hub is not None and hub.offline) else HubClient()
    table = zoo_table(entries, lambda entry: weight_bytes(entry, asked))
    text = rendered(table, ending)
    if not table.rows:
        cached = " You are offline, so only the cache was looked into." if hub is not None and hub.offline else ""
        _output.note(f"No adapters in {found.location}.{cached}")
    if output is None:
        _output.write_exactly(text)
        return
    atomic_write_bytes(output, text.encode())
    _output.note(f"{output} has {len(table.rows)} adapters of {found.location}.")

"""`badx-hub remove`: an adapter leaves a registry. Loads no tensors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from badx_hub.cli import _entries, _options, _output, _registries
from badx_hub.errors import UsageError


def remove(
    name: _options.NameArgument,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    version: _options.VersionOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it even if a task adapter was trained on it.")] = False,
    registry: _options.RegistryOption = None,
) -> None:
    """Remove an adapter: all its versions, or the one of --version."""
    from badx_hub.registry import LocalRegistry

    found = _registries.open_there(registry)
    named = _entries.name_of(found, name, **_entries.options(task, base, ratio, setup, label))
    chosen = _entries.versions(found, named)
    if not chosen:
        found.get(named)  # raises with the nearest names
    if version is not None:
        only = _entries.version_named(tuple(one.version for one in chosen), named, version)
        chosen = [one for one in chosen if one.version == only]
    what = f"{named} ({', '.join(one.version for one in chosen)})"
    if not yes:
        _confirm(f"Remove {what} from {found.location}?")
    if isinstance(found, LocalRegistry) and not force:
        found.refuse_removal(chosen)  # before the first is gone: all of them or none
    for one in chosen:
        found.remove(one, force=force)
    _output.note(f"Removed {what}.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to ask: add --yes.")
    if not typer.confirm(_output.printable(question), err=True):
        _output.note("Nothing was removed.")
        raise typer.Exit(1)

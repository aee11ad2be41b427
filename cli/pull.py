"""`badx-hub pull`: copy adapters from the Hub or another registry into yours."""

from __future__ import annotations

from typing import Annotated

import typer

from badx_hub.cli import _entries, _options, _registries
from badx_hub.cli._output import Format
from badx_hub.cli._transfer import transfer
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.remedies import ListAdapters, TakeNearest


def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name or a pair (with --from), or ORG/mbert.en-wo on the Hub.")
    ],
    origin: Annotated[
        str | None, typer.Option("--from", metavar="ORG|DIR", help="ORG on the Hub, the folder ./DIR, or demo.")
    ] = None,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    revision: _options.RevisionOption = None,
    offline: _options.OfflineOption = False,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Copy an adapter from the Hub or another registry into yours.

    A task adapter brings the adapters it was trained on along. What is here already stays as it is.
    """
    from badx_hub.hub.ref import HubRef
    from badx_hub.registry import open_registry

    destination = open_registry(registry)
    where = None if origin is None else str(_registries.place_in(origin, "--from"))
    if where is not None and (repository := HubRef.parse(where)) is not None and repository.name is not None:
        raise UsageError(f"--from {origin} is one repository. Pull it without --from: badx-hub pull {repository.repo}")
    if where is None and _registries.split_name(name) is None:
        raise UsageError(f"Say where {name} is: --from ORG (on the Hub) or --from ./DIR, or name it ORG/mbert.en-wo.")
    _registries.require_there(where, "--from")
    source, named = _registries.named(name, where, revision=revision, offline=offline)
    if named is None:
        try:
            named = _entries.name_of(source, name, **_entries.options(task, base, ratio, setup, label))
        except NotFoundError as error:
            raise _not_in(str(origin), error) from error
    transfer(source.get(named), source, destination, format)


def _not_in(origin: str, error: NotFoundError) -> NotFoundError:
    """What somebody who wants to copy an adapter does next, which is not to train one."""
    if not error.fact.endswith(" is not here."):
        return error
    near = tuple(remedy for remedy in error.remedies if isinstance(remedy, TakeNearest))
    fact = f"{error.fact.removesuffix(' is not here.')} is not in {origin}."
    return NotFoundError(fact, remedies=near or (ListAdapters(origin),))

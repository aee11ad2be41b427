"""Finding adapters on the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _errors, _options, _output, _registries
from badx_hub.cli._output import Format
from badx_hub.errors import NotFoundError
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.registry import Entry, Registry


def search(
    source: Annotated[str | None, typer.Option("--source", metavar="LANG", help="Trained from this language.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="LANG", help="For this language.")] = None,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Of this user or organisation.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Results a page.")] = 20,
    page: Annotated[int, typer.Option("--page", min=1, metavar="N", help="Which page.")] = 1,
    offline: _options.OfflineOption = False,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Find adapters on the Hub; "here" marks what is in your registry already.

    --offline looks in the cache of what was read before.
    """
    from badx_hub.languages import normalise
    from badx_hub.registry import open_registry
    from badx_hub.registry.hub import RepoFilter

    query = RepoFilter(normalise(source) if source else None, normalise(target) if target else None, task, base)
    hub = _registries.open_hub(org, offline=offline)
    own = open_registry(registry)
    first = (page - 1) * limit
    if hub.offline:
        everything = hub.search(query)
        entries, more = everything[first : first + limit], max(0, len(everything) - first - limit)
    else:
        entries, more = hub.page(query, first, limit)
    for problem in hub.problems():
        _output.warning(_errors.message(problem.error))
    if not entries and hub.offline:
        _output.note("Nothing that was loaded from the Hub before fits, and offline the Hub itself is not asked.")
    elif not entries and page > 1:
        _output.note(f"There is no page {page}.")
    elif not entries:
        _output.note("Nothing on the Hub fits. Look for less (leave out an option), or train it: badx-hub train --help")
    elif more:
        _output.note(f"{first + 1} to {first + len(entries)}, and at most {more} more; go on with --page {page + 1}.")
    _show(entries, own, format)


def _show(entries: tuple[Entry, ...], own: Registry, format: Format) -> None:
    here = [_here(entry, own) for entry in entries]
    rows = tuple(
        (_repo(entry), _entries.headline(entry), entry.manifest.created[:10], mark or "")
        for entry, mark in zip(entries, here, strict=True)
    )
    _output.show(
        format,
        tables=[Table.of(("repository", "metric", "created", "here"), rows, folding=("repository", "metric"))],
        document=[_document(entry, mark) for entry, mark in zip(entries, here, strict=True)],
        quiet=[_repo(entry) for entry in entries],
    )


def _here(entry: Entry, own: Registry) -> str | None:
    """Whether the user's registry has this version, or another one."""
    for version, mark in ((entry.version, "yes"), (None, "other version")):
        try:
            own.get(entry.name, version)
        except NotFoundError:
            continue
        return mark
    return None


def _repo(entry: Entry) -> str:
    return entry.place.repo if entry.place else entry.location


def _document(entry: Entry, here: str | None) -> dict[str, Any]:
    return {**_entries.document(entry), "repo": _repo(entry), "here": here}

"""`badx-hub merge`: the weighted mean of adapters, as an adapter of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _entries, _options, _output, _registries
from badx_hub.cli._completion import complete_name
from badx_hub.cli._output import Format
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.remedies import ListAdapters

if TYPE_CHECKING:
    from badx_hub.registry import Entry, Registry


def merge(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Two or more names or pairs.", autocompletion=complete_name)
    ],
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="LIST", help="One a NAME, such as 3,7. [default: those in --name, or equal]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the mean. [default: of LAs, their pair, as en-wo@3:7#merged]"),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="NAME", help="What merged task adapters are used on. [default: as their parents]"),
    ] = None,
    base: _options.BaseOption = None,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="ID", help="Of the mean. [default: that of all of them]")
    ] = None,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Register the weighted mean of adapters of one kind, base and shape; nothing is trained.

    The mean of the LAs of a pair is used by the setups bad-x-merged and mad-x-merged, the latter of which needs no
    adapter of the pair to be trained at all. The manifest names the parents with their weights.
    """
    found = _registries.open_own(registry)
    if _registries.is_hub(found):
        raise UsageError("Adapters are merged in a folder. Pull them, merge them there, and push the mean.")
    shares = None if weights is None else _numbers(weights)
    parents = [_parent(found, one, base) for one in names]
    beneath = None if on is None else found.get(_entries.name_of(found, on))
    from badx_hub.cli._load_stack import folder_of
    from badx_hub.registry.merging import merge as run

    done = run(parents, found, weights=shares, name=name, on=beneath, base=folder_of(base), licence=licence)
    if done.already:
        _output.note(f"{done.entry.name} is the same mean of the same adapters, and is registered already.")
    merged = [ref.model_dump() for ref in done.entry.manifest.merged]
    _entries.show(done.entry, format, merged=merged, already=done.already)


def _parent(registry: Registry, text: str, base: str | None) -> Entry:
    """The adapter to merge that `text` means. Raises NotFoundError, which tells a pair or a language from a name."""
    if "/" in text:
        return registry.get(_entries.name_of(registry, text))
    from badx_hub.languages import Mixture, name_of

    mixture = Mixture.parse(text)
    try:
        return registry.get(_entries.name_of(registry, text, base=base))
    except NotFoundError as error:
        read = " and ".join(map(name_of, mixture.languages))
        raise NotFoundError(
            f"{text!r} was read as {read} ({mixture}), and no adapter of that is here. Give a name, such as "
            "mbert/en-wo#seed2, or a pair or language that has an adapter.",
            remedies=(ListAdapters(registry.location),),
        ) from error


def _numbers(text: str) -> list[float]:
    """ "3,7" (or "3:7") as numbers. Raises UsageError."""
    try:
        return [float(part) for part in text.replace(":", ",").split(",")]
    except ValueError:
        raise UsageError(f"--weights expects numbers such as 3,7 or 0.3,0.7; got {text[:40]!r}.") from None

"""`badx-hub import`: register an adapter that others made."""

from __future__ import annotations

from typing import Annotated

import typer

from badx_hub.cli import _entries, _options, _output, _registries
from badx_hub.cli._output import Format


def import_adapter(
    place: Annotated[str, typer.Argument(metavar="REPO|DIR", help="org/name[@revision] on the Hub, or a folder.")],
    language: Annotated[str, typer.Option("--language", metavar="LANG", help="The language it was trained on.")],
    base: Annotated[str | None, _options.base_option("The base it was trained in. [default: the one it names]")] = None,
    label: _options.LabelOption = None,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="ID", help="Its licence, such as apache-2.0.")
    ] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Take the tensors of a pickle where there are no safetensors.")
    ] = False,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Register a language adapter that others trained with plain adapters.

    Its manifest says that it was imported, and from where. Only safetensors are taken, or with --convert the tensors
    of a pickle, in which nothing is run.
    """
    found = _registries.open_own(registry)
    from badx_hub.registry.foreign import import_adapter as run

    done = run(place, language, found, base=base, label=label, licence=licence, pickles=convert)
    if done.already:
        _output.note(f"{done.entry.name} with these very weights is registered already.")
    _entries.show(done.entry, format, already=done.already)

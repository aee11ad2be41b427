"""`badx-hub convert`: make safetensors of the pickles of a base or an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from badx_hub.cli import _options, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table


def convert(
    place: Annotated[
        str,
        typer.Argument(metavar="BASE|DIR", help="A base (org/name[@revision] or a folder), or an adapter's folder."),
    ],
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Make safetensors of a base's or an adapter's pickles, and a fast tokenizer.

    Nothing in a pickle is run: one that holds more than tensors is refused. What is made of a base is kept in the
    cache, and --base then takes the name that you gave here. An adapter's safetensors (of pytorch_adapter.bin) are
    written beside its pickles.
    """
    from badx_hub.user_paths import user_path

    folder = user_path(place)
    if folder.is_dir() and not (folder / "config.json").exists():
        _convert_adapter(folder, format)
        return
    from badx_hub.modeling.convert_base import convert_base

    done = convert_base(place)
    state = "already there" if done.already else "written"
    if not done.written:
        _output.note(f"{place} needs no conversion.")
    _output.show(
        format,
        tables=[Table.of(("file", "state"), [(name, state) for name in done.written], title=place)],
        document={
            "base": place,
            "digest": done.base.ref.digest,
            "revision": done.base.ref.revision,
            "folder": str(done.base.folder),
            "files": [{"file": name, "written": not done.already} for name in done.written],
        },
        quiet=[str(done.base.folder)],
    )


def _convert_adapter(folder: Path, format: Format) -> None:
    from badx_hub.registry.foreign import convert as run

    done = run(folder)
    states = [*((name, "written") for name in done.written), *((name, "already there") for name in done.already)]
    _output.show(
        format,
        tables=[Table.of(("file", "state"), states, title=str(folder))],
        document=[{"file": name, "written": state == "written"} for name, state in states],
        quiet=[str(folder / name) for name, _ in states],
    )

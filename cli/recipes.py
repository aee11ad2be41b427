"""`badx-hub recipes`: the presets and their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _options, _output
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.recipes import Recipe

_COLUMNS = ("recipe", "trains", "steps", "batch", "learning rate", "length", "eval every")


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this preset as YAML.")] = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """List the recipes, or print one as YAML to start your own from."""
    from badx_hub.recipes import load_recipe, preset_names

    presets = preset_names()
    if name is not None and name not in presets:
        raise UsageError(f"There is no preset {name!r}. Choose one of: {', '.join(presets)}.")
    if name is not None and format is Format.TABLE:
        _output.write(_text_of(name))
        return
    loaded = [load_recipe(preset) for preset in presets if name in (None, preset)]
    documents = [recipe.model_dump(mode="json") for recipe in loaded]
    _output.show(
        format,
        tables=[Table.of(_COLUMNS, (row for recipe in loaded for row in _rows(recipe)), numbers=_COLUMNS[2:])],
        document=documents if name is None else documents[0],
        quiet=[recipe.name for recipe in loaded],
    )


def _text_of(preset: str) -> str:
    from importlib.resources import files

    return files("badx_hub.recipes").joinpath(f"{preset}.yaml").read_text(encoding="utf-8").rstrip("\n")


def _rows(recipe: Recipe) -> list[tuple[str, ...]]:
    return [
        (
            recipe.name,
            trained,
            f"{section.steps:,}",
            str(section.batch_size),
            f"{section.learning_rate:g}",
            str(section.max_length),
            str(section.eval_every),
        )
        for trained, section in (("language", recipe.language), *recipe.tasks.items())
    ]

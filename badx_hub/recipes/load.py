"""Reading recipes: a preset or a YAML file, with flags on top. An error lists all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from badx_hub.arguments import checked
from badx_hub.errors import BadxError, DataError, IntegrityError, UsageError
from badx_hub.json_toml_yaml import read_yaml
from badx_hub.recipes.model import Recipe, TrainingRecipe
from badx_hub.remedies import CopyPreset, ListRecipes
from badx_hub.untrusted_files import read_plain
from badx_hub.user_paths import user_path

MAX_RECIPE_BYTES = 2**18
_MAX_PROBLEMS = 30
_MAX_SHOWN = 100

Section = TypeVar("Section", bound=BaseModel)


def preset_names() -> tuple[str, ...]:
    """The names of the embedded recipes, in alphabetical order."""
    found = (entry.name for entry in files("badx_hub.recipes").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


@checked()
def load_recipe(name_or_file: str, *, extending: tuple[str, ...] = ()) -> Recipe:
    """The preset of that name, or the recipe in that YAML file.

    A file may start from a preset with `extends: NAME` and state only what differs; its steps hold for every mixture.
    `extending` are the recipes that led here.

    Raises:
        UsageError: no such preset or file, not YAML, unknown keys or impossible values (all of them listed).
    """
    data = expanded(_read(name_or_file), extending=(*extending, name_or_file))
    return validated(Recipe, data, where=f"recipe {name_or_file}")


def expanded(data: Mapping[str, Any], *, extending: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of a recipe file on top of the recipe that it `extends`; not validated yet.

    `extending` are the recipes that led here, this one last. Raises UsageError as `load_recipe` does.
    """
    above = dict(data)
    if isinstance(text := above.get("text"), Mapping):
        above["text"] = _tagged(text)
    parent = above.pop("extends", None)
    if parent is None:
        return above
    if str(parent) in extending:
        raise UsageError(
            f"{' extends '.join((*extending, str(parent)))}: a recipe cannot extend itself. Name a preset."
        )
    below = load_recipe(str(parent), extending=extending).model_dump()
    if "steps" in (above.get("language") or {}):
        above = {"la_steps": None, **above}
    return combined(below, above)


def texts_for(recipe: Recipe, languages: Sequence[str]) -> dict[str, str]:
    """The recipe's text of these languages (tags). What it has from a preset may be of others.

    Raises UsageError if it gives text of another language itself: a key that matches nothing is a mistake.
    """
    inherited = {pair for name in preset_names() for pair in load_recipe(name).text.items()}
    if others := [
        one for one, source in recipe.text.items() if one not in languages and (one, source) not in inherited
    ]:
        raise UsageError(
            f"The recipe {recipe.name} has text of {others[0]}, which is not among {', '.join(languages)}. "
            "Take it out of the recipe, or name other languages."
        )
    return {language: source for language, source in recipe.text.items() if language in languages}


@checked()
def override(section: Section, flags: Mapping[str, Any]) -> Section:
    """`section` with the flags that are not None on top, validated again.

    With other `steps`, warm-up keeps its share of them unless it is given too.

    Raises:
        UsageError: a value is impossible; every such value is listed.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    if isinstance(section, TrainingRecipe) and isinstance(steps := given.get("steps"), int) and steps > 0:
        given.setdefault("warmup_steps", round(section.warmup_steps * steps / section.steps))
    return validated(type(section), combined(section.model_dump(), given), where="the recipe with your flags")


def _read(name_or_file: str) -> Mapping[str, Any]:
    if name_or_file in preset_names():
        text = files("badx_hub.recipes").joinpath(f"{name_or_file}.yaml").read_text(encoding="utf-8")
    else:
        text = _read_file(Path(name_or_file))
    data = parsed(text, name_or_file)
    if not isinstance(data, dict):
        raise UsageError(f"{name_or_file} holds no recipe.", remedies=(CopyPreset(),))
    return data


def parsed(text: str, where: str) -> Any:
    """The value of a YAML text. Raises UsageError, which names `where`, if it is not YAML."""
    try:
        return read_yaml(text, where)
    except DataError as error:
        raise UsageError(f"{error.fact} Correct that line.") from error


def _read_file(path: Path) -> str:
    try:
        return read_plain(user_path(path).resolve(), limit=MAX_RECIPE_BYTES).decode("utf-8")
    except (OSError, IntegrityError, UnicodeDecodeError) as error:
        presets = ", ".join(preset_names())
        raise UsageError(
            f"No recipe {str(path)!r}: it is neither a preset ({presets}) nor a readable YAML file.",
            remedies=(ListRecipes(),),
        ) from error


def _tagged(text: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The text by canonical tags, so that "wol" here takes the place of "wo" below; `Recipe` tells what is no tag."""
    from badx_hub.languages import normalise  # its tables are slow to load

    tagged = {}
    for language, source in text.items():
        try:
            tag = normalise(language) if isinstance(language, str) else language
        except UsageError:
            tag = language
        tagged[language if tag in tagged else tag] = source
    return tagged


def combined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's data with `above` on top of `below`, key by key."""
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = combined(below[key], value) if nested else value
    return merged


def validated(model: type[Section], data: Mapping[str, Any], *, where: str, context: Any = None) -> Section:
    """`data` as a `model`; `context` is passed to its validators. Raises UsageError that lists every problem."""
    try:
        return model.model_validate(dict(data), context=context)
    except ValidationError as error:
        found = error.errors(include_url=False)
        around = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
        problems = [_describe(one) for one in found if not _follows(one, around)]
        more = f"; and {len(problems) - _MAX_PROBLEMS:,} more" if len(problems) > _MAX_PROBLEMS else ""
        said = f"{where[:1].upper()}{where[1:]} is not valid: {'; '.join(problems[:_MAX_PROBLEMS])}{more}"
        raise UsageError(said if said.endswith("?") else f"{said}.") from error


def _follows(problem: Any, around: Set[tuple[int | str, ...]]) -> bool:
    """Whether a list is too short only because what is in it is wrong; `around` are the places with problems inside."""
    return problem["type"] == "too_short" and problem["loc"] in around


def _describe(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a known key"
    inner = problem.get("ctx", {}).get("error")
    # Advice in an error of ours is for Python, and this one may be told at a prompt.
    said = inner.fact if isinstance(inner, BadxError) else problem["msg"].removeprefix("Value error, ")
    reason = said.rstrip(".")
    value = "" if isinstance(problem["input"], dict) or problem["type"] == "missing" else f" (got {problem['input']!r})"
    if len(value) > _MAX_SHOWN:
        value = f"{value[:_MAX_SHOWN]}...)"
    return f"{place}: {reason}{value}" if place else f"{reason}{value}"

"""`badx-hub train`: a bilingual (or language, or multilingual) adapter, or a task adapter on one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _errors, _output
from badx_hub.cli._options import (
    FormatOption,
    LabelOption,
    PairArgument,
    RatioOption,
    RegistryOption,
    SetupName,
    SetupOption,
    TaskOptionsOption,
    task_options,
    text_option,
)
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.languages import Mixture
    from badx_hub.recipes import Recipe, TaskRecipe
    from badx_hub.registry import Registry
    from badx_hub.training.loop import Reporter
    from badx_hub.training.profiling import Profiling
    from badx_hub.training.runs import Trained

DEMO = "demo"


def train(
    pair: PairArgument,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="Train a task adapter, such as pos.")
    ] = None,
    setup: SetupOption = SetupName.BAD_X,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="MODEL", help="A Hub id, a folder or demo. [default: mBERT, or the pair's base]"
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="LANG=SOURCE",
            help="Text of a language (repeatable): a .txt, .conllu, .jsonl or .parquet file, a folder "
            "or hf:DATASET. [default: its Wikipedia]",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SOURCE", help="Annotated data for --task: a folder or ud:TREEBANK."),
    ] = None,
    ratio: RatioOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME|FILE", help="A preset or a YAML file. [default: paper; demo on base demo]"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Optimizer steps.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Blocks or sentences a step.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", metavar="X", help="At its highest.")] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", metavar="N", help="Tokens a block or sentence.")
    ] = None,
    eval_every: Annotated[
        int | None, typer.Option("--eval-every", metavar="N", help="Steps between evaluations.")
    ] = None,
    save_every: Annotated[
        int | None, typer.Option("--save-every", metavar="N", help="Steps between checkpoints; 0: none.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="fp32|bf16", help="Of a step's matrix products. [default: fp32]"),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of everything drawn.")] = None,
    label: LabelOption = None,
    option: TaskOptionsOption = None,
    registry: RegistryOption = None,
    force: Annotated[bool, typer.Option("--force", help="Train even if this very run is registered.")] = False,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", metavar="FOLDER", help="Write there where the time of a few steps goes."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Train an adapter and register it.

    Without --task: a bilingual adapter on alternating batches of text of both languages. With --task: a task
    adapter on top of it, from annotated data of the source language alone. A stopped run goes on with the
    same command.
    """
    from badx_hub.recipes import load_recipe
    from badx_hub.registry import open_registry

    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    mixture = asked.mixture
    texts = _texts(text or [], mixture)
    _check_flags(task, texts, data, option)
    found = open_registry(registry)
    found.require_writable()
    language_adapters = asked.setup_definition.language_adapters(mixture) if task else ()
    on_demo = base == DEMO or (base is None and language_adapters and _stands_on_demo(found, language_adapters[0]))
    chosen = load_recipe(recipe or (DEMO if on_demo else "paper"))
    flags: dict[str, Any] = {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "eval_every": eval_every,
        "save_every": save_every,
        "precision": precision,
        "seed": seed,
    }
    profiling = _profiling(profile)
    common: dict[str, Any] = {
        "registry": found,
        # A task adapter's base is that of the adapter under it, whatever the recipe would take.
        "base": base if language_adapters else base or chosen.base,
        "label": label,
        "force": force,
        "reporter": _reporter(format),
        "profiling": profiling,
    }
    if task is None:
        trained = _train_language(mixture, chosen, flags, texts, common)
    else:
        flags["options"] = task_options(option)
        trained = _train_task(mixture, task, chosen, flags, data, {**common, "setup": setup.value})
    _show(trained, format, profiling)


def _train_language(
    mixture: Mixture,
    recipe: Recipe,
    flags: Mapping[str, Any],
    texts: Mapping[str, str],
    common: Mapping[str, Any],
) -> Trained:
    from badx_hub.recipes import override

    section = override(recipe.language_side(len(mixture.languages)), flags)
    _output.note(f"recipe: {recipe.name}, {section.steps:,} steps")
    from badx_hub.training.language import train_language_adapter

    return train_language_adapter(mixture, section, text={**recipe.text, **texts}, **common)


def _train_task(
    mixture: Mixture,
    task: str,
    recipe: Recipe,
    flags: Mapping[str, Any],
    data: str | None,
    common: Mapping[str, Any],
) -> Trained:
    from badx_hub.recipes import override

    section = override(_task_section(recipe, task), flags)
    source = data or recipe.data.get(task)
    if source is None:
        raise UsageError(f"--task {task} needs annotated data: add --data FOLDER or --data ud:UD_English-EWT.")
    _output.note(f"recipe: {recipe.name}, {section.steps:,} steps on {source}")
    from badx_hub.training.task import train_task_adapter

    return train_task_adapter(mixture, task, section, data=source, **common)


def _texts(options: list[str], mixture: Mixture) -> dict[str, str]:
    found: dict[str, str] = {}
    for option in options:
        language, source = text_option(option)
        if language not in mixture.languages:
            raise UsageError(
                f"--text {option} is about {language}, which is not in {mixture}. "
                f"Give text of {' or '.join(mixture.languages)}, or name another pair."
            )
        if language in found:
            raise UsageError(f"--text is given twice for {language}. Put the files into one folder.")
        found[language] = source
    return found


def _check_flags(task: str | None, texts: Mapping[str, str], data: str | None, option: list[str] | None) -> None:
    if task is None and option:
        raise UsageError("--option is about a task: add --task dp.")
    if task is None and data is not None:
        raise UsageError("--data is for task adapters: add --task pos. Text to learn from is --text LANG=FILE.")
    if task is not None and texts:
        raise UsageError("--text is for adapters without --task. Annotated data is --data FOLDER.")


def _task_section(recipe: Recipe, task: str) -> TaskRecipe:
    if task not in recipe.tasks:
        known = ", ".join(recipe.tasks) or "none"
        raise UsageError(f"The recipe {recipe.name} has no task {task!r}. Its tasks: {known}.")
    return recipe.tasks[task]


def _stands_on_demo(registry: Registry, mixture: Mixture) -> bool:
    """Whether the embedded base is the only one that has an adapter of this mixture."""
    entries = (entry for entry in registry.list() if entry.name.task is None)
    return {entry.manifest.base.name for entry in entries if entry.name.mixture == mixture} == {DEMO}


def _reporter(format: Format) -> Reporter | None:
    if format is Format.QUIET:
        return None
    from badx_hub.cli._progress import reporter

    return reporter()


def _profiling(folder: Path | None) -> Profiling | None:
    if folder is None:
        return None
    from badx_hub.training.profiling import Profiling

    return Profiling(folder, _errors.typed())


def _show(trained: Trained, format: Format, profiling: Profiling | None) -> None:
    if int(os.environ.get("RANK", "0")):  # One of several processes speaks.
        return
    entry = trained.entry
    if trained.already:
        _output.note(f"{entry.name} was trained so already; --force trains it again.")
    _output.show(
        format,
        tables=[_entries.table((entry,))],
        document={**_entries.document(entry), "already": trained.already},
        quiet=[str(entry.name)],
    )
    _output.note(f"registered in {entry.location}")
    if profiling is not None:
        _output.note(_told(profiling))


def _told(profiling: Profiling) -> str:
    if not profiling.written:
        return "no profile: no step was trained"
    table, trace = profiling.files
    return f"profile: {table}, and {trace} for ui.perfetto.dev"

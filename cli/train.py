"""`badx-hub train`: a bilingual (or language, or multilingual) adapter, or a task adapter on one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from badx_hub.cli import _entries, _errors, _options, _output, _processes
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.languages import Mixture
    from badx_hub.recipes import Recipe, TaskRecipe, TrainingRecipe
    from badx_hub.registry import AdapterQuery, Registry
    from badx_hub.training.loop import Reporter
    from badx_hub.training.profiling import Profiling
    from badx_hub.training.runs import Trained

SectionT = TypeVar("SectionT", bound="TrainingRecipe")

DEMO = "demo"
_OF_JOB = ("registry", "label")
_TRAINING_FLAGS = "steps", "batch_size", "learning_rate", "max_length", "eval_every", "save_every", "precision", "seed"
_RECIPE_FLAGS = (*_TRAINING_FLAGS, "extend_vocabulary")


class Tracker(str, Enum):
    """Experiment trackers; the values are those of `badx_hub.training.tracking.TRACKERS`."""

    TENSORBOARD = "tensorboard"
    TRACKIO = "trackio"
    WANDB = "wandb"


_TaskOption = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Train a task adapter, such as pos.")]
_BaseOption = Annotated[
    str | None, _options.base_option("A Hub id, a folder or demo. [default: mBERT, or the pair's base]")
]
_TextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="LANG=SOURCE",
        help="Text of a language (repeatable): a .txt, .conllu, .jsonl or .parquet file, a folder "
        "or hf:DATASET. [default: its Wikipedia]",
    ),
]
_DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="[LANG=]SOURCE",
        help="Annotated data for --task: a folder or ud:TREEBANK. Of the target, too: --data wo=my.conllu.",
    ),
]
_DataRatioOption = Annotated[
    str | None, typer.Option("--data-ratio", metavar="N:M", help="Batches of each language's --data. [default: 1:1]")
]
_LimitOption = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="LANG=N", help="The first N sentences of a language's --data (repeatable)."),
]
_SelectOnOption = Annotated[
    str | None,
    typer.Option("--select-on", metavar="LANG", help="Whose dev data select. [default: the target's if it has some]"),
]
_RecipeNameOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME|FILE", help="A preset or a YAML file. [default: paper; demo on base demo]"),
]
_StepsOption = Annotated[int | None, typer.Option("--steps", metavar="N", help="Optimizer steps.")]
_BatchSizeOption = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Blocks or sentences a step.")]
_LearningRateOption = Annotated[float | None, typer.Option("--learning-rate", metavar="X", help="Peak learning rate.")]
_MaxLengthOption = Annotated[int | None, typer.Option("--max-length", metavar="N", help="Tokens a block or sentence.")]
_EvalEveryOption = Annotated[int | None, typer.Option("--eval-every", metavar="N", help="Steps between evaluations.")]
_SaveEveryOption = Annotated[
    int | None, typer.Option("--save-every", metavar="N", help="Steps between checkpoints; 0: none.")
]
_SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", help="Random seed.")]
_ProfileOption = Annotated[
    Path | None, typer.Option("--profile", metavar="FOLDER", help="Write there where the time of a few steps goes.")
]
_TrackOption = Annotated[
    Tracker | None, typer.Option("--track", help="Log to this tracker too; everything stays on this machine.")
]


def train(
    pair: _options.PairArgument,
    task: _TaskOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    base: _BaseOption = None,
    text: _TextOption = None,
    data: _DataOption = None,
    data_ratio: _DataRatioOption = None,
    limit: _LimitOption = None,
    select_on: _SelectOnOption = None,
    ratio: _options.RatioOption = None,
    recipe: _RecipeNameOption = None,
    steps: _StepsOption = None,
    batch_size: _BatchSizeOption = None,
    learning_rate: _LearningRateOption = None,
    max_length: _MaxLengthOption = None,
    eval_every: _EvalEveryOption = None,
    save_every: _SaveEveryOption = None,
    precision: _options.RecipePrecisionOption = None,
    seed: _SeedOption = None,
    extend_vocabulary: _options.ExtendVocabularyOption = None,
    label: _options.LabelOption = None,
    option: _options.TaskOptionsOption = None,
    registry: _options.RegistryOption = None,
    init: _options.InitOption = None,
    force: _options.ForceOption = False,
    restart: _options.RestartOption = False,
    time_limit: _options.TimeLimitOption = None,
    processes: _options.ProcessesOption = None,
    profile: _ProfileOption = None,
    track: _TrackOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Train an adapter and register it.

    Without --task: a bilingual adapter on alternating batches of text of both languages. With --task: a task
    adapter on top of it, from annotated data of the source language; with --data wo=FILE also of the target, and its
    label tells of how many sentences. A stopped run goes on with the same command, and not with other settings.
    """
    _processes.share(processes)
    query = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    texts = _options.text_options(text, query.mixture)
    sources: dict[str, Any] = {"data": data, "ratio": data_ratio, "limit": limit, "select_on": select_on}
    _check_flags(task, texts, option, sources, {"init": init, "extend-vocabulary": extend_vocabulary})
    flags = _flags(
        steps, batch_size, learning_rate, max_length, eval_every, save_every, precision, seed, extend_vocabulary
    )
    run: dict[str, Any] = {"registry": _opened(registry), "label": label, "force": force, "restart": restart}
    run |= {
        "reporter": _reporter(track, format),
        "profiling": _profiling(profile),
        "time_limit": None if time_limit is None else _options.duration(time_limit),
    }
    if task is None:
        trained = _train_language(query, recipe, flags, texts, {**run, "init": init})
    else:
        trained = _train_task(query, task, recipe, {**flags, "options": _options.task_options(option)}, sources, run)
    _show(trained, format, run["profiling"])


def _opened(registry: str | None) -> Registry:
    from badx_hub.registry import open_registry

    return open_registry(registry)


def _train_language(
    query: AdapterQuery, preset: str | None, flags: Mapping[str, Any], texts: Mapping[str, str], run: Mapping[str, Any]
) -> Trained:
    from badx_hub.recipes import load_recipe, override
    from badx_hub.recipes.load import texts_for

    recipe = load_recipe(preset or (DEMO if query.base == DEMO else "paper"))
    section = override(recipe.language_side(len(query.mixture.languages)), flags)
    _processes.note(f"recipe: {recipe.name}, {section.steps:,} steps")
    from badx_hub.training.language_adapter import train_language_adapter

    section = _settled(section)
    _processes.note(f"precision: {section.precision}")
    known = texts_for(recipe, query.mixture.languages)
    init = run["init"] and run["registry"].get(_entries.name_of(run["registry"], run["init"]))
    # What an adapter begins with decides the base, whatever the recipe would take.
    text, base = {**known, **texts}, query.base or (None if init else recipe.base)
    return train_language_adapter(query.mixture, section, text=text, base=base, **{**run, "init": init})


def _train_task(
    query: AdapterQuery,
    task: str,
    preset: str | None,
    flags: Mapping[str, Any],
    sources: Mapping[str, Any],
    run: Mapping[str, Any],
) -> Trained:
    from badx_hub.recipes import load_recipe, override

    below, base = query.setup_definition.language_adapters(query.mixture), query.base
    on_demo = base == DEMO or (base is None and below and _has_only_demo(run["registry"], below[0]))
    recipe = load_recipe(preset or (DEMO if on_demo else "paper"))
    section = override(_task_section(recipe, task), flags)
    from badx_hub.training.task_adapter import TaskJob, train_job

    annotated = _annotated(task, query.mixture, sources["data"], recipe)
    section = _settled(section)
    # A task adapter's base is that of the language adapter below it, whatever the recipe would take.
    job = TaskJob(
        query.mixture,
        task,
        section,
        annotated,
        base=base if below else base or recipe.base,
        setup=query.setup,
        label=query.label,
        data_ratio=sources["ratio"],
        limit=_options.limit_options(sources["limit"]),
        select_on=sources["select_on"],
    )
    _processes.note(f"recipe: {recipe.name}, {section.steps:,} steps on {job.annotated.files}")
    _processes.note(f"precision: {section.precision}")
    return train_job(job, run["registry"], **{key: value for key, value in run.items() if key not in _OF_JOB})


def _annotated(task: str, mixture: Mixture, options: list[str] | None, recipe: Recipe) -> dict[str, str]:
    """The sources of annotated data by language; the recipe's stands in for that of the source language."""
    from badx_hub.languages import normalise

    found: dict[str, str] = {}
    for key, place in _options.data_options(options).items():
        language = mixture.source if key is None else normalise(key)
        if language not in mixture.languages:
            raise UsageError(
                f"--data {key}={place} is about {language}, which is not in {mixture}. "
                f"Give data of {' or '.join(mixture.languages)}, or name another pair. A path with = in it begins "
                "with ./ here."
            )
        if language in found:
            raise UsageError(f"--data is given twice for {language}. Put the files into one folder.")
        found[language] = place
    known = recipe.data.get(task)
    if mixture.source not in found and known is None:
        more = f"{mixture.source}=" if found else ""
        raise UsageError(
            f"--task {task} needs annotated data of {mixture.source}: add --data {more}FOLDER or "
            f"--data {more}ud:UD_English-EWT."
        )
    return found if known is None else {mixture.source: known, **found}


def _settled(section: SectionT) -> SectionT:
    """The section as this machine runs it."""
    from badx_hub.modeling.precision import with_settled_precision

    return with_settled_precision(section)


def _flags(*given: Any) -> dict[str, Any]:
    """What was given of the recipe, by its names there; choices become their words."""
    return {key: getattr(value, "value", value) for key, value in zip(_RECIPE_FLAGS, given, strict=True)}


def _check_flags(
    task: str | None,
    texts: Mapping[str, str],
    option: list[str] | None,
    sources: Mapping[str, Any],
    beginning: Mapping[str, Any],
) -> None:
    if task is None and option:
        raise UsageError("--option is about a task: add --task dp.")
    if task is None and any(sources.values()):
        raise UsageError(
            "--data and its options are for task adapters: add --task pos. Text to learn from is --text LANG=FILE."
        )
    if task is not None and texts:
        raise UsageError("--text is for adapters without --task. Annotated data is --data FOLDER.")
    if task is not None and (given := [name for name, value in beginning.items() if value is not None]):
        raise UsageError(
            f"--{given[0]} is for adapters without --task: a task adapter is trained on one. Leave it out."
        )


def _task_section(recipe: Recipe, task: str) -> TaskRecipe:
    from badx_hub.recipes import load_recipe, preset_names

    if task not in recipe.tasks:
        known = ", ".join(recipe.tasks) or "none"
        others = [name for name in preset_names() if task in load_recipe(name).tasks]
        other = f" Take another recipe: --recipe {others[-1]}." if others else ""
        raise UsageError(f"The recipe {recipe.name} has no task {task!r}. Its tasks: {known}.{other}")
    return recipe.tasks[task]


def _has_only_demo(registry: Registry, mixture: Mixture) -> bool:
    """Whether the embedded base is the only one that has an adapter of this mixture."""
    entries = (entry for entry in registry.list() if entry.name.task is None)
    return {entry.manifest.base.name for entry in entries if entry.name.mixture == mixture} == {DEMO}


def _profiling(folder: Path | None) -> Profiling | None:
    if folder is None:
        return None
    from badx_hub.training.profiling import Profiling

    return Profiling(folder, _errors.typed())


def _reporter(track: Tracker | None, format: Format) -> Reporter | None:
    from badx_hub.cli._progress import reporter_for

    drawn = reporter_for(format)
    if track is None:
        return drawn
    from badx_hub.training.loop import Silent
    from badx_hub.training.tracking import Tracked, track_folder

    made = Tracked(track.value, drawn or Silent())
    _processes.note(f"tracked with {track.value} in {track_folder(track.value)}")
    return made


def _show(trained: Trained, format: Format, profiling: Profiling | None) -> None:
    if not _processes.is_first():
        return
    entry = trained.entry
    if trained.already:
        _output.note(f"{entry.name} was trained with the same run and data before; --force trains it again.")
    _entries.show(entry, format, already=trained.already)
    _output.note(f"registered in {entry.location}")
    if profiling is not None and profiling.written:
        table, trace = profiling.files
        _output.note(f"profile: {table}, and {trace} for ui.perfetto.dev")
    elif profiling is not None:
        _output.note("no profile: no step was trained")

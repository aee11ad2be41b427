"""`badx-hub tune-ratio`: the ratio of source to target batches for a task, under a budget of steps."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _options, _output, _tune_means
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.languages import Mixture
    from badx_hub.recipes import Recipe
    from badx_hub.studies.mean_tuning import MeansJob
    from badx_hub.studies.ratio_tuning import Trial, Tuning, TuningJob

_AGREEMENT = (
    "judged by the target's perplexity and the source's dev data. In our own runs their ranks had a correlation of "
    "-0.3 to 0.3 with those of the target's score, so 1:1 is as good a choice (docs/method.md). Some annotated "
    "sentences of the target decide better: --dev"
)

_BudgetOption = Annotated[
    int | None, typer.Option("--budget", metavar="STEPS", min=1, help="For bad-x: steps of all trials' BAs together.")
]
_SetupOption = Annotated[
    _options.SetupName,
    typer.Option("--setup", metavar="SETUP", help="bad-x trains BAs; mad-x-merged scores means of LAs."),
]
_RatiosOption = Annotated[
    str | None,
    typer.Option(
        "--ratios",
        metavar="LIST",
        help="Source to target: batches, or weights in a mean. [default: five, from 5:1 to 1:5]",
    ),
]
_DevOption = Annotated[
    str | None,
    typer.Option("--dev", metavar="[LANG=]SOURCE", help="Annotated dev data of the target. It decides if given."),
]
_WithinOption = Annotated[
    float | None,
    typer.Option(
        "--within",
        metavar="POINTS",
        min=0,
        max=100,
        help="For mad-x-merged without --dev: what more of the target's LA may cost the source. [default: 1]",
    ),
]
_TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="LANG=SOURCE", help="As for train. [default: the recipe's, or Wikipedia]"),
]
_DataOption = Annotated[
    str | None, typer.Option("--data", metavar="SOURCE", help="Annotated data of the source. [default: the recipe's]")
]
_RecipeOption = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME|FILE", help="As for train. [default: quick; demo on base demo]")
]


def tune_ratio(
    pair: _options.PairArgument,
    task: _options.RequiredTaskOption,
    budget: _BudgetOption = None,
    setup: _SetupOption = _options.SetupName.BAD_X,
    ratios: _RatiosOption = None,
    dev: _DevOption = None,
    within: _WithinOption = None,
    text: _TextOption = None,
    data: _DataOption = None,
    recipe: _RecipeOption = None,
    base: _options.BaseOption = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Random seed.")] = None,
    label: _options.LabelOption = None,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Find the ratio for a task by successive halving: all ratios train a little, the better half goes on.

    Without --dev the target's perplexity and the score on the source's dev data decide. A stopped run goes on with the
    same command. The adapters stay in a registry of their own.

    With --setup mad-x-merged nothing is trained: the means of the LAs of the registry are scored in each ratio, with
    the task adapter of the source's LA. --dev decides; without it, of the means that cost the source's dev data at most
    --within points, the one with most of the target.
    """
    from badx_hub.languages import Mixture

    languages = Mixture.parse(pair)
    training = {"budget": budget, "text": text, "recipe": recipe, "seed": seed}
    _check_flags(setup, training, {"label": label, "registry": registry, "within": within})
    if within is not None and dev is not None:
        raise UsageError("With --dev the target's score decides: leave --within out.")
    flags = {"ratios": ratios, "dev": dev, "data": data, "recipe": recipe, "base": base, "seed": seed, "budget": budget}
    if setup is _options.SetupName.MAD_X_MERGED:
        _tune_means.tune(_means_job(languages, task, label, {**flags, "within": within}), registry, format)
        return
    _train(_job(languages, task, text or [], flags), base, format)


def _train(job: TuningJob, base: str | None, format: Format) -> None:
    """Tune the ratio of BAs, show the trials, and say how to get the best one."""
    from badx_hub.cli._progress import reporter_for
    from badx_hub.studies.ratio_tuning import tune_ratio as run
    from badx_hub.studies.ratio_tuning import tuning_folder

    found = run(job, reporter=reporter_for(format))
    _output.show(
        format,
        tables=[_table(found, job)],
        document={
            "best": found.best.ratio,
            "metric": found.metric,
            "judged_by": "perplexity and source dev" if job.dev is None else "target dev",
            "agreement": dict(found.agreement()),
            "trials": [vars(trial) for trial in found.trials],
        },
        quiet=[found.best.ratio],
    )
    if job.dev is None:
        _output.note(_AGREEMENT)
    for sign, value in found.agreement().items():
        _output.note(f"{sign} orders the {len(job.ratios)} ratios of rung 1 as the target's dev data: rho {value:+.2f}")
    on = f" --base {shlex.quote(base)}" if base else ""
    _output.note(f"train it: badx-hub train {job.languages.balanced} --ratio {found.best.ratio}{on}")
    _output.note(f"the trials are in {tuning_folder()}")


def _job(languages: Mixture, task: str, text: Sequence[str], flags: dict[str, Any]) -> TuningJob:
    from badx_hub.recipes import load_recipe, override
    from badx_hub.recipes.load import texts_for
    from badx_hub.tasks import task_named

    task_named(task)
    recipe = load_recipe(flags["recipe"] or ("demo" if flags["base"] == "demo" else "quick"))
    if task not in recipe.tasks:
        raise UsageError(f"The recipe {recipe.name} has no task {task!r}. Its tasks: {', '.join(recipe.tasks)}.")
    data = _data(flags["data"], recipe, languages, task)
    given = _options.text_options(list(text), languages)
    from badx_hub.studies.ratio_tuning import TuningJob

    seed = {"seed": flags["seed"]}
    return TuningJob(
        languages,
        task,
        flags["budget"],
        override(recipe.language, seed),
        override(recipe.tasks[task], seed),
        {**texts_for(recipe, languages.languages), **given},
        data,
        ratios=_ratios(flags["ratios"]),
        dev=_dev(flags["dev"], languages, task),
        base=flags["base"] or recipe.base,
    )


def _means_job(languages: Mixture, task: str, label: str | None, flags: dict[str, Any]) -> MeansJob:
    from badx_hub.recipes import load_recipe
    from badx_hub.studies.mean_tuning import MeansJob
    from badx_hub.tasks import task_named

    task_named(task)
    return MeansJob(
        languages,
        task,
        _data(flags["data"], load_recipe("demo" if flags["base"] == "demo" else "quick"), languages, task),
        dev=_dev(flags["dev"], languages, task),
        ratios=_ratios(flags["ratios"]),
        base=flags["base"],
        label=label,
        **({} if flags["within"] is None else {"slack": flags["within"] / 100}),
    )


def _check_flags(setup: _options.SetupName, training: dict[str, Any], adapters: dict[str, Any]) -> None:
    """Raises UsageError for another setup, and for options that are about training or about adapters that are there."""
    of_means = setup is _options.SetupName.MAD_X_MERGED
    if not of_means and setup is not _options.SetupName.BAD_X:
        raise UsageError(f"The ratio of {setup.value} is not tuned. Expected --setup bad-x or mad-x-merged.")
    if given := [f"--{name}" for name, value in (training if of_means else adapters).items() if value is not None]:
        why = "trains nothing" if of_means else "trains adapters of its own"
        raise UsageError(f"tune-ratio with --setup {setup.value} {why}: leave {', '.join(given)} out.")
    if not of_means and training["budget"] is None:
        raise UsageError(
            "tune-ratio with --setup bad-x trains a BA a ratio: add --budget STEPS, such as --budget 3000."
        )


def _ratios(given: str | None) -> tuple[str, ...]:
    from badx_hub.studies.ratio_tuning import RATIOS

    if given is None:
        return RATIOS
    return tuple(one.strip() for one in given.split(",") if one.strip())


def _data(given: str | None, recipe: Recipe, languages: Mixture, task: str) -> str:
    """The annotated data of the source. Raises UsageError."""
    if (data := given or recipe.data.get(task)) is None:
        raise UsageError(f"tune-ratio needs annotated data of {languages.source}: add --data FOLDER.")
    return data


def _dev(given: str | None, languages: Mixture, task: str) -> str | None:
    """The source of dev data, looked into before anything is trained. Raises UsageError for another language's."""
    if given is None:
        return None
    ((language, source),) = _options.data_options([given]).items()
    from badx_hub.languages import normalise
    from badx_hub.tasks import task_named

    if language is not None and normalise(language) not in languages.targets:
        raise UsageError(f"--dev is about the target, {languages.targets[0]}; got {given!r}.")
    task_named(task).references(source, "dev")
    return source


def _table(found: Tuning, job: TuningJob) -> Table:
    perplexity, score = MetricKey.perplexity(job.target), MetricKey(found.metric)
    header = ("rung", "ratio", "steps", "perplexity", f"{job.languages.source} dev", f"{job.target} dev", "then")
    rows = [_row(trial, perplexity, score) for trial in found.trials]
    title = f"{job.languages.balanced}, {job.task}: perplexity of {job.target}, {score.title}; the best first"
    return Table.of(header, rows, numbers=header[:6], title=title)


def _row(trial: Trial, perplexity: MetricKey, score: MetricKey) -> tuple[str, ...]:
    return (
        str(trial.rung),
        trial.ratio,
        f"{trial.steps:,}",
        perplexity.shown(trial.perplexity),
        score.shown(trial.source_score),
        "-" if trial.target_score is None else score.shown(trial.target_score),
        "stays" if trial.stays else "leaves",
    )

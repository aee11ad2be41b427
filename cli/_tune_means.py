"""`badx-hub tune-ratio --setup mad-x-merged`: the ratio of the mean of two LAs. Nothing is trained."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from badx_hub.cli import _output
from badx_hub.cli._errors import PROGRAM
from badx_hub.cli._output import Format
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.studies.mean_tuning import MeansJob, MeansTrial, MeansTuning


def tune(job: MeansJob, registry: str | None, format: Format) -> None:
    """Score the means of a job and both ends, show them, and say how to get the best one."""
    from badx_hub.studies.mean_tuning import tune_means

    found = tune_means(job, registry, before=lambda what: _output.note(f"scoring {what}"))
    agreement = found.agreement()
    _output.show(
        format,
        tables=[_table(found, job)],
        document={
            "best": found.best.ratio,
            "metric": found.metric,
            "judged_by": "source dev" if job.dev is None else "target dev",
            "agreement": {} if agreement is None else {"source dev": agreement},
            "trials": [
                {
                    "setup": one.setup,
                    "ratio": one.ratio,
                    "lambda": one.share,
                    "source_score": one.source_score,
                    "target_score": one.target_score,
                }
                for one in found.trials
            ],
        },
        quiet=[str(found.best.ratio)],
    )
    for line in _remarks(found, job, registry):
        _output.note(line)


def _table(found: MeansTuning, job: MeansJob) -> Table:
    score = MetricKey(found.metric)
    header = ("setup", "ratio", "lambda", f"{job.languages.source} dev", f"{job.target} dev", "")
    rows = [_row(trial, score, found.best) for trial in found.trials]
    title = f"{job.languages.balanced}, {job.task}: {score.title} by the weight of {found.parents[1].name} (lambda)"
    return Table.of(header, rows, numbers=header[1:5], title=title)


def _row(trial: MeansTrial, score: MetricKey, best: MeansTrial) -> tuple[str, ...]:
    return (
        trial.setup,
        trial.ratio or "-",
        f"{trial.share:.2f}",
        score.shown(trial.source_score),
        "-" if trial.target_score is None else score.shown(trial.target_score),
        "best mean" if trial == best else "",
    )


def _remarks(found: MeansTuning, job: MeansJob, registry: str | None) -> Iterator[str]:
    """What the figures are worth, and what to type for the mean that was chosen."""
    source, target = job.languages.source, job.target
    if not found.by_target:
        points = f"{100 * found.slack:g} point{'' if found.slack == 0.01 else 's'}"
        yield (
            f"judged by {source} dev alone: the largest lambda that costs it at most {points}. "
            f"Some annotated sentences of {target} decide better: --dev"
        )
        if found.within_slack(found.ends[1]):
            yield f"{found.ends[1].setup}, the LA of {target} alone, costs no more than that: it needs no mean"
    if (rho := found.agreement()) is not None:
        yield f"{source} dev orders these {len(found.trials)} as {target} dev does: rho {rho:+.2f}"
    if found.by_target and (better := [one.setup for one in found.ends if _of(one) > _of(found.best)]):
        yield f"no mean is as good as {' or '.join(better)} by these data"
    where = f" --registry {shlex.quote(registry)}" if registry else ""
    one, other = (shlex.quote(str(parent.name)) for parent in found.parents)
    yield f"make it: {PROGRAM} merge {one} {other} --name {shlex.quote(str(found.best.mean))}{where}"
    label = f" --label {job.label}" if job.label else ""
    yield f"use it, as in predict and evaluate: --setup {found.best.setup} --ratio {found.best.ratio}{label}{where}"


def _of(trial: MeansTrial) -> float:
    return -1.0 if trial.target_score is None else trial.target_score

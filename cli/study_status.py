"""`badx-hub study status`: how far a study is, on a terminal or as a page, once or as it goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _options, _output, _study_tables
from badx_hub.cli._output import Format
from badx_hub.cli._study import FileArgument, ResultsOption, runner_of
from badx_hub.table import Table
from badx_hub.user_paths import user_path

if TYPE_CHECKING:
    from badx_hub.studies.progress import StepProgress, StudyProgress

_SHOWN = 12
_BAR = 10


def status(
    file: FileArgument,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until nothing is left to do.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=1.0, help="How often --watch looks.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write all steps as one HTML page.")
    ] = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show how far a study is: steps done and at work, how fast, and how long the rest may take.

    Who works on what is known on this machine, and on others that share BADX_HUB_HOME and the results. Of a training
    the process at work tells its steps every few seconds. Time left is at that speed or that of earlier trainings, with
    as many steps at a time as now. --format quiet prints the names of the steps at work.
    """
    from badx_hub.studies.progress import study_progress
    from badx_hub.studies.status_page import write_page

    runner = runner_of(file, registry, results)
    while True:
        progress = study_progress(runner)
        if out is not None:
            write_page(progress, user_path(out), refresh=every if watch and not progress.finished() else None)
        _show(progress, format, clear=watch)
        if not watch or progress.finished():
            break
        time.sleep(every)
    if out is not None:
        _output.note(f"wrote {out}")


def _show(progress: StudyProgress, format: Format, *, clear: bool) -> None:
    if clear and format is Format.TABLE:
        _output.clear()
    _output.show(
        format,
        tables=[_kinds(progress), _steps(progress)],
        document=_document(progress),
        quiet=[one.status.step.name for one in progress.at_work],
    )
    if format is Format.TABLE:
        _output.write(f"\n{progress.summary}")


def _kinds(progress: StudyProgress) -> Table:
    """A row for each kind of steps."""
    rows = []
    for kind in dict.fromkeys(one.status.step.kind for one in progress.steps):
        ours = [one for one in progress.steps if one.status.step.kind is kind]
        counts = [sum(one.state == state for one in ours) for state in ("done", "at work")]
        blocked = sum(one.state == "blocked" for one in ours)
        others = len(ours) - sum(counts) - blocked
        rows.append((kind.value, str(len(ours)), *map(str, counts), str(others), str(blocked)))
    columns = ("in all", "steps", "done", "at work", "to do", "blocked")
    return Table.of(columns, rows, numbers=columns[1:], title=f"study {progress.name} on {progress.base}")


def _steps(progress: StudyProgress) -> Table:
    """The steps at work, the stopped ones, and the first of those that can begin."""
    from badx_hub.studies.progress import shown_first

    rows = [
        (one.status.step.name, one.state, _bar(one), one.speed, _left(one))
        for one in shown_first(progress.steps)[:_SHOWN]
    ]
    columns = ("step", "state", "progress", "speed", "left")
    return Table.of(columns, rows, numbers=("speed", "left"), folding=("step",))


def _bar(one: StepProgress) -> str:
    """ "####------ 1,200/3,000"; empty for a step that is no training."""
    if one.estimate is None or not one.step:
        return ""
    full = int(one.share * _BAR)
    return f"{'#' * full}{'-' * (_BAR - full)} {one.step:,}/{one.estimate.steps:,}"


def _left(one: StepProgress) -> str:
    if one.estimate is None:
        return ""
    return "unknown" if one.seconds is None else _study_tables.duration(one.seconds)


def _document(progress: StudyProgress) -> dict[str, Any]:
    return {
        "study": progress.name,
        "base": progress.base,
        "at": progress.at.isoformat(timespec="seconds"),
        "steps": [_record(one) for one in progress.steps],
        "done": progress.done,
        "at_work": len(progress.at_work),
        "seconds_left": progress.seconds,
        "unknown": progress.unknown,
    }


def _record(one: StepProgress) -> dict[str, Any]:
    owner, run = one.owner, one.run
    return {
        "name": one.status.step.name,
        "kind": one.status.step.kind.value,
        "state": one.state,
        "reason": one.status.reason or None,
        "training_steps": one.estimate.steps if one.estimate else None,
        "step": one.step if one.estimate else None,
        "rate": run.rate if run else None,
        "unit": run.unit if run else None,
        "seconds_left": one.seconds,
        "owner": {"pid": owner.pid, "host": owner.host, "since": owner.since} if owner else None,
    }

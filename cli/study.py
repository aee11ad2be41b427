"""`badx-hub study`: many runs from one file: what there is to do, doing it, and the report of what came of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _errors, _options, _output
from badx_hub.cli._output import Format
from badx_hub.errors import BadxError, NotFoundError
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.grid.estimates import StepEstimate
    from badx_hub.grid.plan import Step
    from badx_hub.grid.run import StepOutcome
    from badx_hub.grid.runner import StepStatus, StudyRunner

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Many runs from one file: plan, run, report.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The study, as in the folder studies/.")]
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Where scores are kept, by their keys. [default: your own folder]"),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Steps of these names (repeatable), and what they need."),
]

_NAMED = 3


@app.command("plan", epilog="Example: badx-hub study plan studies/small.yaml")
def plan(
    file: FileArgument,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show the steps as a tree, which of them are done, and how long the others take.

    A step stands under the one it is built on. Times are estimates from what was trained on the same base before,
    unknown where nothing was. --format quiet prints the names of the steps that are not done.
    """
    from badx_hub.grid.estimates import estimate_of, rates_of

    runner = _runner(file, registry, results)
    statuses = runner.statuses()
    base = runner.base()
    rates = rates_of(runner.entries(), base.ref) if base else {}
    estimates = {status.step.name: estimate_of(status, runner.study, rates) for status in statuses}
    _output.show(
        format,
        tables=[_tree(runner, statuses, estimates), _totals(statuses, estimates)],
        document=_document(runner, statuses, estimates),
        quiet=[status.step.name for status in statuses if not _is_done(status)],
    )
    _tell_reasons(statuses)


@app.command("run", epilog="Example: badx-hub study run studies/small.yaml --only 'pos/wo/*'")
def run(
    file: FileArgument,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    only: OnlyOption = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Do so many steps at most.")] = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Do the steps that are not done, each after those it needs.

    A stopped run goes on with the same command. A step that fails stops only what is built on it; the exit code is
    then 1.
    """
    from badx_hub.cli._progress import reporter_for
    from badx_hub.grid.run import Sequential, StepEnd

    runner = _runner(file, registry, results)
    runner.registry.require_writable()
    steps = runner.pending(only or (), limit)

    def work(step: Step) -> bool:
        return runner.do(step, reporter=reporter_for(format))

    outcomes = Sequential().run(steps, work, _Lines(len(steps)))
    rows = [(outcome.step.name, outcome.end.value, _duration(outcome.seconds)) for outcome in outcomes]
    _output.show(
        format,
        tables=[Table.of(("step", "end", "time"), rows, numbers=("time",))],
        document=[_ended(outcome) for outcome in outcomes],
        quiet=[outcome.step.name for outcome in outcomes if outcome.end is StepEnd.RAN],
    )
    if not outcomes:
        _output.note("nothing to do")
    broken = [outcome for outcome in outcomes if outcome.end in (StepEnd.FAILED, StepEnd.SKIPPED)]
    for outcome in broken:
        _output.error(f"{outcome.step.name} {outcome.end.value}: {_reason(outcome)}")
    if broken:
        raise typer.Exit(1)


@app.command("report", epilog="Example: badx-hub study report studies/small.yaml --out report")
def report(
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Write tables, figures and an HTML page about the results there are."""
    from badx_hub.grid.report import write_report

    runner = _runner(file, registry, results)
    statuses = runner.statuses()
    scores = [status.result for status in statuses if status.result is not None]
    missing = [status.step.name for status in statuses if status.step.kind == "evaluate" and status.result is None]
    if not scores:
        raise NotFoundError(f"{file} has no results yet. Type `badx-hub study run {file}` first.")
    if missing:
        _output.warning(f"{len(missing)} of {len(missing) + len(scores)} results are not there: {_some(missing)}.")
    study = runner.study
    written = write_report(
        out, scores, title=study.name, baseline=str(study.baseline), curves=runner.curves(), note=study.note
    )
    _output.show(
        format,
        tables=[Table.of(("file",), ((str(path),) for path in written), folding=("file",))],
        document={"files": [str(path) for path in written], "results": len(scores), "missing": missing},
        quiet=[str(path) for path in written],
    )


class _Lines:
    """A line before each step and one after it, on stderr."""

    def __init__(self, steps: int) -> None:
        self.steps, self.number = steps, 0

    def started(self, step: Step) -> None:
        _output.note(f"[{self.number + 1}/{self.steps}] {step.kind.value} {step.name}")

    def ended(self, outcome: StepOutcome) -> None:
        self.number += 1
        reason = f": {_reason(outcome)}" if outcome.reason else ""
        took = f" in {_duration(outcome.seconds)}" if outcome.seconds else ""
        _output.note(f"[{self.number}/{self.steps}] {outcome.step.name} {outcome.end.value}{took}{reason}")
        if outcome.error is not None and os.environ.get("BADX_HUB_DEBUG"):
            traceback.print_exception(outcome.error)


def _runner(file: Path, registry: str | None, results: Path | None) -> StudyRunner:
    from badx_hub.grid.study import load_study
    from badx_hub.registry import open_registry

    study, opened = load_study(file), open_registry(registry)
    from badx_hub.grid.runner import StudyRunner

    return StudyRunner(study, opened, results)


def _tree(runner: StudyRunner, statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> Table:
    by_name = {status.step.name: status for status in statuses}
    rows = []
    for mark, step, above in _branches(runner.steps):
        status, estimate = by_name[step.name], estimates[step.name]
        left = "" if _is_done(status) else _left(estimate.seconds if estimate else None)
        rows.append(
            (f"{mark}{step.name}", status.state.value, _progress(status, estimate), left, _remark(status, above))
        )
    return Table.of(
        ("step", "state", "steps", "time left", "remark"),
        rows,
        numbers=("steps", "time left"),
        folding=("remark",),
        title=f"study {runner.study.name} on {runner.study.base}",
    )


def _branches(
    steps: Sequence[Step], above: tuple[str, ...] = (), indent: str = ""
) -> list[tuple[str, Step, tuple[str, ...]]]:
    """(the branch drawn before it, step, the steps above it), each step under the first that it needs."""
    children = [step for step in steps if step.needs[:1] == above[-1:]]
    rows = []
    for step in children:
        mark, deeper = ("└─ ", "   ") if step is children[-1] else ("├─ ", "│  ")
        mark, deeper = (mark, deeper) if above else ("", "")
        rows += [(indent + mark, step, above), *_branches(steps, (*above, step.name), indent + deeper)]
    return rows


def _progress(status: StepStatus, estimate: StepEstimate | None) -> str:
    if estimate is None:
        return ""
    return f"{status.resumed:,}/{estimate.steps:,}" if status.resumed else f"{estimate.steps:,}"


def _remark(status: StepStatus, above: tuple[str, ...]) -> str:
    """The score of an evaluation that is done; what another step needs besides those it stands under."""
    if status.result is not None:
        metric = status.result.metric
        return f"{metric} {MetricKey.parse(metric).shown(status.result.metrics[metric])}"
    more = [need for need in status.step.needs if need not in above]
    return f"and {', '.join(more)}" if more and not _is_done(status) else ""


def _totals(statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> Table:
    rows = []
    for total in _sums(statuses, estimates):
        unknown = f"{total['unknown']} unknown" if total["unknown"] else ""
        known = _duration(total["seconds_left"]) if total["seconds_left"] or not unknown else ""
        left = " + ".join(part for part in (known, unknown) if part)
        rows.append((total["kind"], str(total["steps"]), str(total["done"]), str(total["to_do"]), left))
    columns = ("in all", "steps", "done", "to do", "time left")
    return Table.of(columns, rows, numbers=columns[1:])


def _sums(statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> list[dict[str, Any]]:
    sums = []
    for kind in dict.fromkeys(status.step.kind for status in statuses):
        ours = [status for status in statuses if status.step.kind is kind]
        left = [estimates[status.step.name] for status in ours if not _is_done(status)]
        seconds = [estimate.seconds for estimate in left if estimate is not None and estimate.seconds is not None]
        sums.append(
            {
                "kind": kind.value,
                "steps": len(ours),
                "done": len(ours) - len(left),
                "to_do": len(left),
                "seconds_left": sum(seconds),
                "unknown": len(left) - len(seconds),
            }
        )
    return sums


def _document(
    runner: StudyRunner, statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]
) -> dict[str, Any]:
    return {
        "study": runner.study.name,
        "base": runner.study.base,
        "registry": runner.registry.location,
        "results": str(runner.results),
        "steps": [_record(status, estimates[status.step.name]) for status in statuses],
        "totals": _sums(statuses, estimates),
    }


def _record(status: StepStatus, estimate: StepEstimate | None) -> dict[str, Any]:
    return {
        "name": status.step.name,
        "kind": status.step.kind.value,
        "needs": list(status.step.needs),
        "state": status.state.value,
        "key": status.key,
        "reason": _reason(status) or None,
        "training_steps": estimate.steps if estimate else None,
        "resumed": status.resumed,
        "units_left": estimate.units if estimate else None,
        "seconds_left": estimate.seconds if estimate else None,
    }


def _tell_reasons(statuses: Sequence[StepStatus]) -> None:
    """Why steps are blocked, and what is not here yet; each reason once."""
    told: dict[str, list[str]] = {}
    for status in statuses:
        if status.reason and status.state.value != "waits":
            told.setdefault(_reason(status), []).append(status.step.name)
    for reason, names in told.items():
        _output.warning(f"{_some(names)}: {reason}")


def _ended(outcome: StepOutcome) -> dict[str, Any]:
    return {
        "name": outcome.step.name,
        "kind": outcome.step.kind.value,
        "end": outcome.end.value,
        "seconds": outcome.seconds,
        "reason": _reason(outcome) or None,
    }


def _reason(of: StepStatus | StepOutcome) -> str:
    """Why a step is not done, on one line, with what to type about it."""
    if isinstance(of.error, BadxError):
        return " ".join(_errors.message(of.error).split())
    return of.reason


def _is_done(status: StepStatus) -> bool:
    return status.state.value == "done"


def _left(seconds: float | None) -> str:
    return "unknown" if seconds is None else _duration(seconds)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more

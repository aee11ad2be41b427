"""`badx-hub study`: many runs from one file: what there is to do, doing it, and the report of the results."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _errors, _options, _output, _study_tables, study_status
from badx_hub.cli._output import Format
from badx_hub.cli._study import FileArgument, ResultsOption, runner_of
from badx_hub.cli.study_simulate import simulate
from badx_hub.errors import BadxError, NotFoundError, UsageError
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.studies.executor import StepOutcome
    from badx_hub.studies.on_ray import RayWorkers
    from badx_hub.studies.plan import Step
    from badx_hub.studies.runner import StepStatus, StudyRunner
    from badx_hub.studies.time_estimates import StepEstimate

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Many runs from one file: plan, run, report.")

OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Steps of these names (repeatable), and what they need."),
]

LOCAL, RAY = "local", "ray"
OnOption = Annotated[
    str,
    typer.Option("--on", metavar="local|ray|ray://HOST:PORT", help="Where steps run: this machine or a Ray cluster."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Steps at the same time. [default: 1; as many as fit on Ray]"),
]

ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="Of each step. The same number gives the same results to the last digit. [default: all; its share of "
        "several workers; 1 on Ray]",
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="On Ray, what each step needs, such as 3GB. [default: by base and recipe]"
    ),
]

_NAMED = 3


@app.command("plan", epilog="Example: badx-hub study plan studies/small.yaml")
def plan(
    file: FileArgument,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    register: Annotated[
        bool, typer.Option("--register", help="Write down question, comparisons and stopping rule, for the report.")
    ] = False,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show the steps as a tree, which of them are done, and how long the others take.

    A step stands under the one it is built on. Times are estimates from what was trained on the same base before,
    unknown where nothing was. --register writes beside FILE what is asked, once; the report says what has changed.
    --format quiet prints the names of the steps that are not done.
    """
    from badx_hub.studies.time_estimates import estimate_of, rates_of

    runner = runner_of(file, registry, results)
    statuses = runner.statuses()
    if register:
        _register(file, runner, statuses)
    base = runner.base()
    rates = rates_of(runner.entries(), base.ref) if base else {}
    estimates = {status.step.name: estimate_of(status, runner.study, rates) for status in statuses}
    _output.show(
        format,
        tables=[_study_tables.tree(runner, statuses, estimates), _study_tables.totals(statuses, estimates)],
        document=_document(runner, statuses, estimates),
        quiet=[status.step.name for status in statuses if not _study_tables.is_done(status)],
    )
    _tell_reasons(statuses)


@app.command("run", epilog="Example: badx-hub study run studies/small.yaml --only 'pos/wo/*'")
def run(
    file: FileArgument,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    only: OnlyOption = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Do at most N steps.")] = None,
    on: OnOption = LOCAL,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    memory: MemoryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Do the steps that are not done, each after those it needs.

    A stopped run goes on with the same command. A step that fails stops only what is built on it; the exit code is
    then 1. With several workers, a step whose process or node is lost is begun again, up to three times.
    """
    from badx_hub.studies.executor import StepEnd

    where = _Where(_place(on), workers, threads, _memory(on, memory))
    runner = runner_of(file, registry, results)
    runner.registry.require_writable()
    steps = runner.pending(only or (), limit)
    outcomes = where.run(runner, steps, format) if steps else ()
    rows = [(outcome.step.name, outcome.end.value, _study_tables.duration(outcome.seconds)) for outcome in outcomes]
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


app.command("status", epilog="Example: badx-hub study status studies/small.yaml --watch")(study_status.status)


app.command("simulate", epilog="Example: badx-hub study simulate studies/small.yaml --nodes 1,8 --mtbf 24h")(simulate)


@app.command("report", epilog="Example: badx-hub study report studies/small.yaml --out report")
def report(
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Write tables, figures and an HTML page about the results there are."""
    from badx_hub.studies.preregistration import read_registration, told
    from badx_hub.studies.report import write_report

    runner = runner_of(file, registry, results)
    statuses = runner.statuses()
    scores = [status.result for status in statuses if status.result is not None]
    missing = [status.step.name for status in statuses if status.step.kind == "evaluate" and status.result is None]
    if not scores:
        raise NotFoundError(f"{file} has no results yet. Type `badx-hub study run {file}` first.")
    if missing:
        _output.warning(f"{len(missing)} of {len(missing) + len(scores)} results are not there: {_some(missing)}.")
    study, registration = runner.study, read_registration(file)
    written = write_report(
        out,
        scores,
        title=study.name,
        baseline=str(study.baseline),
        curves=runner.curves(),
        note=study.note,
        registered=told(registration, study) if registration else (),
    )
    _output.show(
        format,
        tables=[Table.of(("file",), ((str(path),) for path in written), folding=("file",))],
        document={"files": [str(path) for path in written], "results": len(scores), "missing": missing},
        quiet=[str(path) for path in written],
    )


def _place(on: str) -> str | None:
    """The address of a Ray cluster, "" for a new one on this machine, None for processes of this machine."""
    if on == LOCAL:
        return None
    if on == RAY:
        return ""
    if on.startswith(f"{RAY}://"):
        return on
    raise UsageError(f"--on {on} is no place. Expected {LOCAL}, {RAY} or ray://HOST:PORT.")


def _memory(on: str, given: str | None) -> int | None:
    if given is None:
        return None
    if on == LOCAL:
        raise UsageError("--memory is about steps on Ray: add --on ray, or leave it out.")
    return _options.size(given, "--memory")


@dataclass(frozen=True)
class _Where:
    """Where steps run, and with what each; `place` is that of `_place`, `memory` in bytes."""

    place: str | None
    workers: int | None
    threads: int | None
    memory: int | None

    def run(self, runner: StudyRunner, steps: Sequence[Step], format: Format) -> tuple[StepOutcome, ...]:
        """Do the steps."""
        from badx_hub.cli._progress import reporter_for
        from badx_hub.studies.executor import Sequential
        from badx_hub.studies.parallel import LocalWorkers, Parallel, use_threads
        from badx_hub.studies.step_timings import Recording

        lines = Recording(_Lines(len(steps)), runner.results, runner.study.name)
        if self.place is not None:
            return Parallel(self._on_ray(runner)).run(steps, runner.do, lines)
        if (self.workers or 1) > 1:
            return Parallel(LocalWorkers(self.workers or 1, self.threads)).run(steps, runner.do, lines)
        if self.threads is not None:
            use_threads(self.threads)
        return Sequential().run(steps, lambda step: runner.do(step, reporter=reporter_for(format)), lines)

    def _on_ray(self, runner: StudyRunner) -> RayWorkers:
        from badx_hub.studies.memory_estimates import memory_of
        from badx_hub.studies.on_ray import RayWorkers

        steps, needed = runner.steps, dict[str, int]()
        if self.memory is not None:
            needed = dict.fromkeys((step.name for step in steps), self.memory)
        elif (base := runner.base()) is not None:
            needed = {step.name: memory_of(step, runner.study, base.config) for step in steps}
        return RayWorkers(self.place or None, count=self.workers, threads=self.threads or 1, memory=needed)


def _register(file: Path, runner: StudyRunner, statuses: Sequence[StepStatus]) -> None:
    from badx_hub.studies.preregistration import register

    path = register(runner.study, file, sum(status.result is not None for status in statuses))
    _output.note(f"registered in {path}")


class _Lines:
    """A line before each step and one after it, on stderr."""

    def __init__(self, steps: int) -> None:
        self.steps, self.number = steps, 0

    def started(self, step: Step) -> None:
        _output.note(f"[{self.number + 1}/{self.steps}] {step.kind.value} {step.name}")

    def again(self, step: Step, reason: str) -> None:
        _output.note(f"[{self.number + 1}/{self.steps}] {step.name} is begun again: {reason}")

    def ended(self, outcome: StepOutcome) -> None:
        self.number += 1
        reason = f": {_reason(outcome)}" if outcome.reason else ""
        took = f" in {_study_tables.duration(outcome.seconds)}" if outcome.seconds else ""
        _output.note(f"[{self.number}/{self.steps}] {outcome.step.name} {outcome.end.value}{took}{reason}")
        if outcome.error is not None and os.environ.get("BADX_HUB_DEBUG"):
            traceback.print_exception(outcome.error)


def _document(
    runner: StudyRunner, statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]
) -> dict[str, Any]:
    return {
        "study": runner.study.name,
        "base": runner.study.base,
        "registry": runner.registry.location,
        "results": str(runner.results),
        "steps": [_record(status, estimates[status.step.name]) for status in statuses],
        "totals": _study_tables.sums(statuses, estimates),
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


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more

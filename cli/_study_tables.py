"""The tables of a study: its steps as a tree, and what there is in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.studies.plan import Step
    from badx_hub.studies.runner import StepStatus, StudyRunner
    from badx_hub.studies.time_estimates import StepEstimate


def tree(runner: StudyRunner, statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> Table:
    by_name = {status.step.name: status for status in statuses}
    rows = []
    for mark, step, above in _branches(runner.steps):
        status, estimate = by_name[step.name], estimates[step.name]
        left = "" if is_done(status) else _left(estimate.seconds if estimate else None)
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


def _branches(steps: Sequence[Step]) -> Iterator[tuple[str, Step, tuple[str, ...]]]:
    """(the branch drawn before it, step, the steps above it), each step under the first that it needs."""
    below: dict[str | None, list[Step]] = defaultdict(list)
    for step in steps:
        below[step.needs[0] if step.needs else None].append(step)
    return _under(below, None, (), "")


def _under(
    below: Mapping[str | None, Sequence[Step]], parent: str | None, above: tuple[str, ...], indent: str
) -> Iterator[tuple[str, Step, tuple[str, ...]]]:
    children = below.get(parent, ())
    for step in children:
        mark, deeper = ("└─ ", "   ") if step is children[-1] else ("├─ ", "│  ")
        mark, deeper = (mark, deeper) if above else ("", "")
        yield indent + mark, step, above
        yield from _under(below, step.name, (*above, step.name), indent + deeper)


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
    return f"and {', '.join(more)}" if more and not is_done(status) else ""


def totals(statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> Table:
    rows = []
    for total in sums(statuses, estimates):
        unknown = f"{total['unknown']} unknown" if total["unknown"] else ""
        known = duration(total["seconds_left"]) if total["seconds_left"] or not unknown else ""
        left = " + ".join(part for part in (known, unknown) if part)
        rows.append((total["kind"], str(total["steps"]), str(total["done"]), str(total["to_do"]), left))
    columns = ("in all", "steps", "done", "to do", "time left")
    return Table.of(columns, rows, numbers=columns[1:])


def sums(statuses: Sequence[StepStatus], estimates: dict[str, StepEstimate | None]) -> list[dict[str, Any]]:
    found = []
    for kind in dict.fromkeys(status.step.kind for status in statuses):
        ours = [status for status in statuses if status.step.kind is kind]
        left = [estimates[status.step.name] for status in ours if not is_done(status)]
        seconds = [estimate.seconds for estimate in left if estimate is not None and estimate.seconds is not None]
        found.append(
            {
                "kind": kind.value,
                "steps": len(ours),
                "done": len(ours) - len(left),
                "to_do": len(left),
                "seconds_left": sum(seconds),
                "unknown": len(left) - len(seconds),
            }
        )
    return found


def is_done(status: StepStatus) -> bool:
    return status.state.value == "done"


def _left(seconds: float | None) -> str:
    return "unknown" if seconds is None else duration(seconds)


def duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

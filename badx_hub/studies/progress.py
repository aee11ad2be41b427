"""How far a study is: which steps are done, who works on which and how fast, and how long the rest may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property

from badx_hub.errors import BadxError
from badx_hub.process_locks import Owner, owner_of
from badx_hub.studies.plan import Evaluate, MergeAdapters
from badx_hub.studies.runner import StudyRunner
from badx_hub.studies.simulate import Cluster, SimulatedStep, simulate
from badx_hub.studies.step_status import StepState, StepStatus
from badx_hub.studies.time_estimates import StepEstimate, estimate_of, rates_of
from badx_hub.training.progress_file import RunProgress, progress_of
from badx_hub.training.unfinished_runs import claim_of


@dataclass(frozen=True)
class StepProgress:
    """A step, and how far it is.

    Attributes:
        owner: the process that works on it; None if none does, or it is on a machine with another BADX_HUB_HOME.
        run: what that process noted last.
        estimate: None for a step that is no training.
        seconds: what is left of it; None if that is not known.
    """

    status: StepStatus
    owner: Owner | None
    run: RunProgress | None
    estimate: StepEstimate | None
    seconds: float | None

    @property
    def state(self) -> str:
        """ "at work" if somebody is, "stopped" for a training with a checkpoint that nobody works on."""
        if self.status.state is StepState.READY and self.owner is not None:
            return "at work"
        return "stopped" if self.status.resumed and self.status.state is StepState.READY else self.status.state.value

    @property
    def step(self) -> int:
        """The optimizer steps that are done."""
        if self.estimate is None or self.status.state is StepState.DONE:
            return self.estimate.steps if self.estimate else 0
        return max(self.run.step if self.run else 0, self.status.resumed)

    @property
    def speed(self) -> str:
        """ "1,234 tokens/s" of the process at work; empty if it has said nothing yet."""
        return f"{self.run.rate:,.0f} {self.run.unit}/s" if self.run and self.run.rate else ""

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1."""
        if self.status.state is StepState.DONE:
            return 1.0
        return self.step / self.estimate.steps if self.estimate and self.estimate.steps else 0.0


@dataclass(frozen=True)
class StudyProgress:
    """All steps of a study at one moment."""

    name: str
    base: str
    at: datetime
    steps: tuple[StepProgress, ...]

    @cached_property
    def done(self) -> int:
        """How many steps are done."""
        return sum(one.status.state is StepState.DONE for one in self.steps)

    @cached_property
    def at_work(self) -> tuple[StepProgress, ...]:
        """The steps that somebody works on."""
        return tuple(one for one in self.steps if one.owner is not None)

    @cached_property
    def unknown(self) -> int:
        """How many trainings are not done of which nobody knows how long they take."""
        return sum(one.seconds is None and one.estimate is not None for one in self.steps)

    @cached_property
    def seconds(self) -> float | None:
        """What is left with as many steps at a time as now, at least one; None if `unknown` steps are left.

        Steps that are no training count as nothing: they are short, and were not measured.
        """
        if self.unknown:
            return None
        places = {one.status.step.name: place for place, one in enumerate(self.steps)}
        left = [
            SimulatedStep(one.seconds or 0.0, tuple(places[need] for need in one.status.step.needs))
            for one in self.steps
        ]
        return simulate(left, Cluster(nodes=max(1, len(self.at_work)))).makespan

    @property
    def summary(self) -> str:
        """ "12 of 20 steps done, 2 at work. About 3:20:00 left with 2 at a time."."""
        told = f"{self.done:,} of {len(self.steps):,} steps done, {len(self.at_work):,} at work."
        if self.done == len(self.steps):
            return told
        if self.seconds is None:
            return f"{told} Time left unknown: {self.unknown:,} are like none before."
        left = timedelta(seconds=round(self.seconds))
        return f"{told} About {left} left with {max(1, len(self.at_work)):,} at a time."

    def finished(self) -> bool:
        """Whether nothing is left to do, blocked steps aside."""
        return all(one.status.state in (StepState.DONE, StepState.BLOCKED) for one in self.steps)


def study_progress(runner: StudyRunner) -> StudyProgress:
    """Look at the registry, the results and the claims; nothing is loaded or changed."""
    statuses = runner.statuses()
    base = runner.base()
    rates = rates_of(runner.entries(), base.ref) if base else {}
    estimates = [estimate_of(status, runner.study, rates) for status in statuses]
    steps = tuple(_progress(runner, *one) for one in zip(statuses, estimates, strict=True))
    return StudyProgress(runner.study.name, runner.study.base, datetime.now(timezone.utc), steps)


def _progress(runner: StudyRunner, status: StepStatus, estimate: StepEstimate | None) -> StepProgress:
    owner = _owner(runner, status)
    run = progress_of(status.key) if owner is not None and status.key and estimate is not None else None
    return StepProgress(status, owner, run, estimate, _seconds(status, estimate, run))


def _owner(runner: StudyRunner, status: StepStatus) -> Owner | None:
    """Who works on it, as far as this machine and what it shares with others can tell."""
    if status.key is None or status.state is not StepState.READY or isinstance(status.step, MergeAdapters):
        return None
    evaluates = isinstance(status.step, Evaluate)
    try:
        return owner_of(runner.claim_of(status.key) if evaluates else claim_of(status.key))
    except BadxError:  # A folder that may only be read does not tell whether somebody far away is alive.
        return None


def _seconds(status: StepStatus, estimate: StepEstimate | None, run: RunProgress | None) -> float | None:
    """What is left of a step: at the speed of the process at work, else at that of earlier ones like it."""
    if status.state is StepState.DONE or estimate is None:
        return 0.0
    if run is None or run.rate is None or not estimate.steps:
        return estimate.seconds
    units = estimate.units / max(1, estimate.steps - status.resumed)  # in a step
    return (run.steps - run.step) * units / run.rate


def shown_first(steps: Sequence[StepProgress]) -> tuple[StepProgress, ...]:
    """The steps at work, then those that were stopped, then those that can begin; no others."""
    order = {"at work": 0, "stopped": 1, "to do": 2}
    return tuple(sorted((one for one in steps if one.state in order), key=lambda one: order[one.state]))

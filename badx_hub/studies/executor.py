"""Running steps: the protocol of an executor, and the executor that runs them in this process, one after the other.

What other executors need to know: a plan is data (`badx_hub.studies.plan.Step`), and a step is done by a callable that
takes the step alone, such as `StudyRunner.do`. The callable finds the adapters that the step needs by content, in a
registry and a folder of results, and publishes there by one rename. So steps may run at the same time in other
processes and on other machines that reach the same registry, and running a step twice does no harm. An executor decides
when and where a step runs, and starts it after the steps it needs have succeeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from badx_hub.errors import RunInProgress, TrainingInterrupted
from badx_hub.studies.plan import Step

Work: TypeAlias = Callable[[Step], bool]
"""Does a step; returns whether it was done before."""


class StepEnd(str, Enum):
    """How a step ended."""

    RAN = "ran"
    ALREADY = "done before"
    FAILED = "failed"
    SKIPPED = "skipped"


BROKEN = (StepEnd.FAILED, StepEnd.SKIPPED)
BUSY_SECONDS = 10.0
"""How long a step that somebody else works on is left alone."""


@dataclass(frozen=True)
class StepOutcome:
    """How a step ended.

    Attributes:
        seconds: of the attempt that ended it; where it ran, waiting for room not counted.
        reason: why it failed or was skipped.
        error: None unless it failed.
        start: seconds before it in which its process was started and loaded the code; 0 in one that was there.
        idle: seconds between it and the step before in the same process; None where it was the first one.
    """

    step: Step
    end: StepEnd
    seconds: float = 0.0
    reason: str = ""
    error: Exception | None = None
    start: float = 0.0
    idle: float | None = None


class Watcher(Protocol):
    """Is told about the progress of a run."""

    def started(self, step: Step) -> None: ...

    def again(self, step: Step, reason: str) -> None:
        """The step will be begun again; `reason` says what became of its last attempt."""

    def ended(self, outcome: StepOutcome) -> None: ...


class Executor(Protocol):
    """Runs the steps of a plan."""

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        """Call `work` on each of `steps`, which are in an order in which they can be done. One outcome per step.

        A step is skipped if a step it needs failed or was skipped; the other steps run. Needed steps that are not in
        `steps` count as done. Ctrl-C ends the run: KeyboardInterrupt or TrainingInterrupted.
        """


class Sequential:
    """Runs steps in this process, in the given order; those that somebody else works on wait for the others."""

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        outcomes: dict[str, StepOutcome] = {}
        told, left = set[str](), list(steps)
        while left:
            waiting: list[Step] = []
            for step in left:
                if {one.name for one in waiting}.intersection(step.needs):
                    waiting.append(step)
                    continue
                if not _broken(step, outcomes) and step.name not in told:
                    watcher.started(step)
                    told.add(step.name)
                outcome = _outcome(step, outcomes, work)
                if isinstance(outcome.error, RunInProgress):
                    waiting.append(step)
                    continue
                outcomes[step.name] = outcome
                watcher.ended(outcome)
            if len(waiting) == len(left):
                time.sleep(BUSY_SECONDS)
            left = waiting
        return tuple(outcomes[step.name] for step in steps)


def _broken(step: Step, outcomes: Mapping[str, StepOutcome]) -> str | None:
    """The first step that `step` needs and that failed or was skipped."""
    return next((need for need in step.needs if need in outcomes and outcomes[need].end in BROKEN), None)


def _outcome(step: Step, outcomes: Mapping[str, StepOutcome], work: Work) -> StepOutcome:
    if (broken := _broken(step, outcomes)) is not None:
        return StepOutcome(step, StepEnd.SKIPPED, reason=f"{broken} is not there")
    return _attempt(step, work)


def _attempt(step: Step, work: Work) -> StepOutcome:
    began = time.perf_counter()
    try:
        already = work(step)
    except TrainingInterrupted:
        raise
    except Exception as error:  # of any kind: one step does not end a long run, and the outcome has the error
        return StepOutcome(step, StepEnd.FAILED, time.perf_counter() - began, one_line(error), error)
    return StepOutcome(step, StepEnd.ALREADY if already else StepEnd.RAN, time.perf_counter() - began)


def one_line(error: Exception) -> str:
    """What an error says, without line ends."""
    return " ".join(str(error).split()) or type(error).__name__

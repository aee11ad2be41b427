"""Running steps: the protocol of an executor, and the executor that runs them in this process, one after the other.

What other executors need to know: a plan is data (`badx_hub.grid.plan.Step`), and a step is done by a callable that
takes the step alone, such as `StudyRunner.do`. The callable finds the adapters that the step needs by content, in a
registry and a folder of results, and publishes there by one rename. So steps may run at the same time in other
processes and on other machines that reach the same registry, and running a step twice does no harm. An executor decides
when and where a step runs, and starts it after the steps it needs have succeeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from badx_hub.errors import TrainingInterrupted
from badx_hub.grid.plan import Step

Work: TypeAlias = Callable[[Step], bool]
"""Does a step; returns whether it was done before."""


class StepEnd(str, Enum):
    """How a step ended."""

    RAN = "ran"
    ALREADY = "done before"
    FAILED = "failed"
    SKIPPED = "skipped"


BROKEN = (StepEnd.FAILED, StepEnd.SKIPPED)


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
    """Runs steps in this process, in the given order."""

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        """See `Executor.run`."""
        outcomes: dict[str, StepOutcome] = {}
        for step in steps:
            broken = [need for need in step.needs if need in outcomes and outcomes[need].end in BROKEN]
            if broken:
                outcome = StepOutcome(step, StepEnd.SKIPPED, reason=f"{broken[0]} is not there")
            else:
                watcher.started(step)
                outcome = _attempt(step, work)
            outcomes[step.name] = outcome
            watcher.ended(outcome)
        return tuple(outcomes.values())


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

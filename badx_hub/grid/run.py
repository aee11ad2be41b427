"""Running steps: what an engine is, and the one that runs them here, one after the other.

The boundary for other engines: a plan is data (`badx_hub.grid.plan.Step`), and one step is done by a callable that
needs nothing but the step. `StudyRunner.do` is such a callable. It finds what the step stands on by content, in a
registry and a folder of results, and publishes what it made there by one rename; so steps may run in other processes
and on other machines, at the same time, if these reach the same registry, and a step that ran twice did no harm. An
engine decides when and where, and starts no step before those it needs have ended well.
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
"""Does a step and says whether it had been done before."""


class StepEnd(str, Enum):
    """How a step ended."""

    RAN = "ran"
    ALREADY = "done before"
    FAILED = "failed"
    SKIPPED = "skipped"


_BROKEN = (StepEnd.FAILED, StepEnd.SKIPPED)


@dataclass(frozen=True)
class StepOutcome:
    """How a step ended: in how many seconds, and why it failed or (`error` None) was skipped."""

    step: Step
    end: StepEnd
    seconds: float = 0.0
    reason: str = ""
    error: Exception | None = None


class Watcher(Protocol):
    """Told how a run goes."""

    def started(self, step: Step) -> None: ...

    def ended(self, outcome: StepOutcome) -> None: ...


class Executor(Protocol):
    """An engine for steps."""

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        """`work` on each of `steps`, which stand in an order in which they can be done; one outcome a step.

        A step that needs one that failed or was skipped is skipped; the others run on. What `steps` does not have is
        taken for done. Ctrl-C ends the run: KeyboardInterrupt or TrainingInterrupted.
        """


class Sequential:
    """Runs steps in this process, in their order."""

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        """See `Executor.run`."""
        outcomes: dict[str, StepOutcome] = {}
        for step in steps:
            broken = [need for need in step.needs if need in outcomes and outcomes[need].end in _BROKEN]
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
    except Exception as error:  # of any kind: a night's run is not lost to one step, and the outcome tells of it
        reason = " ".join(str(error).split()) or type(error).__name__
        return StepOutcome(step, StepEnd.FAILED, time.perf_counter() - began, reason, error)
    return StepOutcome(step, StepEnd.ALREADY if already else StepEnd.RAN, time.perf_counter() - began)

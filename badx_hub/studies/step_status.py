"""The status of a step: whether it is done, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from badx_hub.errors import BadxError
from badx_hub.evaluation.results import Result
from badx_hub.registry import Entry
from badx_hub.studies.plan import Step


class StepState(str, Enum):
    """The state of a step."""

    DONE = "done"
    READY = "to do"
    WAITS = "waits"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class StepStatus:
    """A step and its state.

    Attributes:
        key: None if it is not known yet, because the base or an adapter that the step needs is missing.
        reason: what the step waits for, or what is missing and not made by a step.
        resumed: optimizer steps of the checkpoint that training would continue from.
        entry: the adapter of a training step that is done.
        result: of an evaluation that is done.
        error: behind `reason`, with its remedies, if something is missing that no step makes.
    """

    step: Step
    state: StepState
    key: str | None = None
    reason: str = ""
    resumed: int = 0
    entry: Entry | None = None
    result: Result | None = None
    error: BadxError | None = None

"""How long steps took where they ran: kept beside the results, for `simulate`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from badx_hub.studies.executor import StepEnd, StepOutcome, Watcher
from badx_hub.studies.plan import Step, StepKind
from badx_hub.untrusted_files import read_plain

FILE = "timings.jsonl"
_LOG = logging.getLogger(__name__)
_MAX_BYTES = 64 * 2**20
_LOADING = 0.5
"""Seconds for starting a process and loading the code below which it was there already."""


class Timing(BaseModel):
    """A step that ran: seconds for starting its process before it, for the step, and since that ended another one."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    study: str
    step: str
    kind: StepKind
    seconds: float = Field(ge=0)
    start: float = Field(0.0, ge=0)
    idle: float | None = Field(None, ge=0)


@dataclass(frozen=True)
class Recording:
    """Tells `watcher` all, and notes in the folder of results how long the steps of a study took."""

    watcher: Watcher
    results: Path
    study: str

    def started(self, step: Step) -> None:
        self.watcher.started(step)

    def again(self, step: Step, reason: str) -> None:
        self.watcher.again(step, reason)

    def ended(self, outcome: StepOutcome) -> None:
        if outcome.end is StepEnd.RAN:
            step = outcome.step
            one = Timing(
                study=self.study,
                step=step.name,
                kind=step.kind,
                seconds=outcome.seconds,
                start=outcome.start,
                idle=outcome.idle,
            )
            try:
                _append(self.results / FILE, one)
            except OSError as error:
                # What is lost is a better forecast; a study does not stop for that.
                _LOG.warning("How long %s took could not be noted: %s", step.name, error)
        self.watcher.ended(outcome)


def _append(path: Path, timing: Timing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:  # One short line in one piece, as two drivers may write.
        file.write(timing.model_dump_json() + "\n")


def read_timings(results: Path, study: str) -> Mapping[str, Timing]:
    """The last timing of each step of a study, by its name. What is no timing is left out."""
    found = {}
    for line in _lines(results / FILE):
        try:
            one = Timing.model_validate_json(line)
        except ValidationError:
            continue  # The end of a file whose writer was killed.
        if one.study == study:
            found[one.step] = one
    return found


def _lines(path: Path) -> Iterable[bytes]:
    return read_plain(path, limit=_MAX_BYTES).splitlines() if path.exists() else ()


def handing_over(timings: Iterable[Timing]) -> float:
    """The median seconds from the end of a step to the next one in the same process; 0 if none was timed.

    Steps that waited for what they need are a few, as long as there is more to do than there are devices.
    """
    found = [one.idle for one in timings if one.idle is not None]
    return median(found) if found else 0.0


def loading(timings: Iterable[Timing]) -> float:
    """The median seconds for starting a process that has loaded the code; 0 if none was timed."""
    found = [one.start for one in timings if one.start > _LOADING]
    return median(found) if found else 0.0

"""How long steps took, and what that makes of a study that is simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.errors import UsageError
from badx_hub.studies.executor import StepEnd, StepOutcome
from badx_hub.studies.plan import StepKind, plan_of
from badx_hub.studies.step_timings import FILE, Recording, Timing, handing_over, loading, read_timings
from badx_hub.studies.study import Study
from badx_hub.studies.time_estimates import SpeedClass, simulated_steps
from tests.studies.conftest import minimal
from tests.studies.test_executor import Notes, language, task

STUDY = Study.model_validate(minimal(Path("base")))
RATES: dict[SpeedClass, float] = {(None, False): 64.0, ("pos", False): 2.0}
"""At which a language adapter takes 8 seconds (4 steps of 4 blocks of 32) and a task adapter 8 (4 steps of 4)."""


def timing(step: str, kind: StepKind, seconds: float) -> Timing:
    return Timing(study="tiny", step=step, kind=kind, seconds=seconds)


def test_the_last_timing_of_each_step_that_ran_is_kept(tmp_path: Path) -> None:
    notes = Notes()
    watcher = Recording(notes, tmp_path / "results", "tiny")
    for seconds in (3.0, 4.0):
        watcher.ended(StepOutcome(language("a"), StepEnd.RAN, seconds, start=2.0, idle=0.5))
    watcher.ended(StepOutcome(task("a/pos", "a"), StepEnd.FAILED, 9.0))
    Recording(notes, tmp_path / "results", "other").ended(StepOutcome(language("b"), StepEnd.RAN, 1.0))
    with (tmp_path / "results" / FILE).open("a") as file:
        file.write('{"study": "tiny", "st')
    found = read_timings(tmp_path / "results", "tiny")
    assert {name: one.seconds for name, one in found.items()} == {"a": 4.0}
    assert (loading(found.values()), handing_over(found.values())) == (2.0, 0.5)
    assert notes.lines == ["a ran", "a ran", "a/pos failed", "b ran"]


def test_where_nothing_was_timed(tmp_path: Path) -> None:
    assert (read_timings(tmp_path, "tiny"), loading(()), handing_over(())) == ({}, 0.0, 0.0)


def test_what_steps_take_beside_their_training_is_the_median_of_their_kind() -> None:
    steps = plan_of(STUDY)
    timings = {
        "base/en-wo": timing("base/en-wo", StepKind.LANGUAGE, 10.0),
        "base/en": timing("base/en", StepKind.LANGUAGE, 12.0),
        "pos/wo/bad-x": timing("pos/wo/bad-x", StepKind.EVALUATE, 5.0),
        "gone": timing("gone", StepKind.EVALUATE, 99.0),
    }
    found = {step.name: one for step, one in zip(steps, simulated_steps(steps, STUDY, RATES, timings), strict=True)}
    assert {one.seconds for name, one in found.items() if name.startswith("base/")} == {8.0}
    assert {one.overhead for name, one in found.items() if name in ("base/en-wo", "base/en", "base/wo")} == {3.0}
    assert {(one.seconds, one.overhead) for name, one in found.items() if name.startswith("pos/")} == {(0.0, 5.0)}
    assert {one.overhead for one in simulated_steps(steps, STUDY, RATES)} == {15.0, 60.0}


def test_a_speed_that_nobody_measured() -> None:
    with pytest.raises(UsageError, match="was not measured"):
        simulated_steps(plan_of(STUDY), STUDY, {(None, False): 64.0})

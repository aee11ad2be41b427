from __future__ import annotations

from collections.abc import Callable

import pytest

from badx_hub.errors import NotFoundError, RunInProgress, TrainingInterrupted
from badx_hub.languages import Mixture
from badx_hub.setups import setup_named
from badx_hub.studies import executor
from badx_hub.studies.executor import Sequential, StepEnd, StepOutcome
from badx_hub.studies.plan import Step, TrainLanguage, TrainTask

EN = Mixture.parse("en")
BAD_X = setup_named("bad-x")


class Notes:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, step: Step) -> None:
        self.lines.append(f"{step.name} started")

    def again(self, step: Step, reason: str) -> None:
        self.lines.append(f"{step.name} again: {reason}")

    def ended(self, outcome: StepOutcome) -> None:
        self.lines.append(f"{outcome.step.name} {outcome.end.value}")


def language(name: str) -> TrainLanguage:
    return TrainLanguage(name, EN, 1)


def task(name: str, *needs: str) -> TrainTask:
    return TrainTask(name, BAD_X, EN, "pos", 1, needs)


def raising(errors: dict[str, BaseException]) -> Callable[[Step], bool]:
    def work(step: Step) -> bool:
        if step.name in errors:
            raise errors[step.name]
        return step.name == "old"

    return work


def test_steps_run_in_order_and_say_how_they_ended() -> None:
    notes = Notes()
    outcomes = Sequential().run((language("old"), task("new", "old")), raising({}), notes)
    assert [outcome.end for outcome in outcomes] == [StepEnd.ALREADY, StepEnd.RAN]
    assert notes.lines == ["old started", "old done before", "new started", "new ran"]


@pytest.mark.parametrize("error", [NotFoundError("the text\n is gone"), RuntimeError("out of memory")])
def test_a_failed_step_stops_what_is_built_on_it_and_nothing_else(error: Exception) -> None:
    steps = (language("a"), task("a/pos", "a"), task("score", "a/pos", "b"), language("b"), task("b/pos", "b"))
    outcomes = Sequential().run(steps, raising({"a": error}), Notes())
    failed, skipped, ran = StepEnd.FAILED, StepEnd.SKIPPED, StepEnd.RAN
    assert [outcome.end for outcome in outcomes] == [failed, skipped, skipped, ran, ran]
    assert outcomes[0].error is error
    assert outcomes[0].reason == " ".join(str(error).split())
    assert "a" in outcomes[1].reason


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), TrainingInterrupted("stopped")])
def test_ctrl_c_ends_the_run(stop: BaseException) -> None:
    notes = Notes()
    with pytest.raises(type(stop)):
        Sequential().run((language("a"), language("b")), raising({"a": stop}), notes)
    assert notes.lines == ["a started"]


def test_what_is_not_among_the_steps_is_taken_for_done() -> None:
    assert Sequential().run((task("a/pos", "a"),), raising({}), Notes())[0].end is StepEnd.RAN


def test_a_step_of_another_driver_is_waited_for_while_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "BUSY_SECONDS", 0.0)
    busy = iter([True, True, True])
    done: list[str] = []

    def work(step: Step) -> bool:
        if step.name == "a" and next(busy, False):
            raise RunInProgress("another one is at it")
        done.append(step.name)
        return False

    notes = Notes()
    outcomes = Sequential().run((language("a"), task("a/pos", "a"), language("b")), work, notes)
    assert [(outcome.step.name, outcome.end) for outcome in outcomes] == [
        (name, StepEnd.RAN) for name in ("a", "a/pos", "b")
    ]
    assert done == ["b", "a", "a/pos"] and notes.lines.count("a started") == 1

"""Steps at the same time: what begins when, what is begun again, and what a lost worker costs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType

import pytest

from badx_hub.errors import NotFoundError, RunInProgress, StorageError, TrainingInterrupted
from badx_hub.studies import parallel
from badx_hub.studies.executor import StepEnd, Work
from badx_hub.studies.parallel import ATTEMPTS, Attempt, Done, LocalWorkers, Parallel, WorkerLost
from badx_hub.studies.plan import Step
from tests.studies.test_executor import Notes, language, task


@dataclass
class Inline:
    """Workers that run a step when they are asked what ended; they remember how many ran at once."""

    count: int = 2
    running: list[tuple[Step, Work]] = field(default_factory=list)
    widest: int = 0
    order: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def free(self) -> int:
        return self.count - len(self.running)

    def begin(self, step: Step, work: Work) -> None:
        self.running.append((step, work))
        self.widest = max(self.widest, len(self.running))
        self.order.append(step.name)

    def ended(self, seconds: float) -> Sequence[Attempt]:
        if not self.running:
            return ()
        step, work = self.running.pop(0)
        try:
            return [Attempt(step, Done(work(step)))]
        except Exception as error:
            return [Attempt(step, error)]

    def stop(self) -> None:
        self.stopped = True

    def __enter__(self) -> Inline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running.clear()


def failing(times: dict[str, int], error: Exception) -> Callable[[Step], bool]:
    left = dict(times)

    def work(step: Step) -> bool:
        if left.get(step.name, 0) > 0:
            left[step.name] -= 1
            raise error
        return False

    return work


STEPS = (language("a"), task("a/pos", "a"), language("b"), task("b/pos", "b"), task("ab", "a", "b"))


def test_it_runs_as_wide_as_the_graph_and_the_workers_allow() -> None:
    workers, notes = Inline(count=3), Notes()
    outcomes = Parallel(workers).run(STEPS, failing({}, RuntimeError()), notes)
    assert [outcome.step.name for outcome in outcomes] == [step.name for step in STEPS]
    assert {outcome.end for outcome in outcomes} == {StepEnd.RAN}
    assert workers.order[:2] == ["a", "b"]
    assert workers.widest == 3
    for step in STEPS:
        assert all(notes.lines.index(f"{need} ran") < notes.lines.index(f"{step.name} started") for need in step.needs)


@pytest.mark.parametrize("error", [WorkerLost("gone"), TrainingInterrupted("preempted"), StorageError("disk full")])
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    notes = Notes()
    outcomes = Parallel(Inline()).run(STEPS, failing({"a": ATTEMPTS - 1}, error), notes)
    assert {outcome.end for outcome in outcomes} == {StepEnd.RAN}
    assert notes.lines.count("a started") == 1
    assert notes.lines.count(f"a again: {error}") == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(WorkerLost("the node is gone"), "the node is gone (after 3 attempts)"), (NotFoundError("no text"), "no text")],
)
def test_a_step_that_fails_takes_along_what_is_built_on_it_alone(error: Exception, reason: str) -> None:
    outcomes = Parallel(Inline()).run(STEPS, failing({"a": 99}, error), Notes())
    ends = {outcome.step.name: outcome.end.value for outcome in outcomes}
    assert ends == {"a": "failed", "a/pos": "skipped", "b": "ran", "b/pos": "ran", "ab": "skipped"}
    assert outcomes[0].reason == reason


def test_a_step_of_another_driver_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "BUSY_SECONDS", 0.0)
    workers = Inline()
    outcomes = Parallel(workers).run(STEPS, failing({"a": 9}, RunInProgress("another one is at it")), Notes())
    assert {outcome.end for outcome in outcomes} == {StepEnd.RAN}
    assert workers.order.count("a") == 10


def test_a_signal_stops_the_workers_and_says_how_to_go_on() -> None:
    workers = Inline()

    def work(step: Step) -> bool:
        os.kill(os.getpid(), 15)
        return False

    with pytest.raises(TrainingInterrupted, match="is saved") as caught:
        Parallel(workers).run(STEPS, work, Notes())
    assert (caught.value.exit_code, workers.stopped) == (143, True)


def test_errors_reach_the_driver_whole() -> None:
    sent = TrainingInterrupted("stopped", 143)
    received = pickle.loads(pickle.dumps(sent))
    assert (received.fact, received.exit_code) == ("stopped", 143)


def _killed_once(folder: Path, step: Step) -> bool:
    """Kills its process the first time that it is called."""
    mark = folder / f"{step.name}.seen"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    return False


def test_a_killed_process_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))  # where the new process finds this module
    outcomes = Parallel(LocalWorkers(1)).run((language("a"),), partial(_killed_once, tmp_path), Notes())
    assert [outcome.end for outcome in outcomes] == [StepEnd.RAN]


@pytest.mark.parametrize(
    ("took", "age", "idle", "start"),
    [
        (5.0, 4.0, None, 3.0),  # asked of a machine that had nothing to do: the rest of the time was its start
        (90.0, 4.0, None, 4.0),  # waited for room
        (5.0, 300.0, None, 3.0),  # the process was there, and loaded the code
        (5.0, 300.0, 0.1, 0.0),  # a process that has done a step
    ],
)
def test_how_long_a_process_took_to_start(took: float, age: float, idle: float | None, start: float) -> None:
    assert Done(already=False, seconds=2.0, age=age, idle=idle).start(took) == start


def test_a_worker_times_its_steps_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_ENDED", [])
    monkeypatch.setattr(parallel, "use_threads", lambda count: None)
    first, second = (parallel.timed(pickle.dumps((language("a"), bool)), 1) for _ in range(2))
    assert first.idle is None and first.age >= 0
    assert second.idle is not None and second.age >= first.age and second.start(9.0) == 0.0

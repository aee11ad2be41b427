"""Running steps several at a time, as wide as the graph allows: in processes of this machine, or on other `Workers`.

A step whose worker was lost (a crash, no memory, a node that is gone, a stop that came from outside) or whose storage
failed is begun again, on another worker where there is one; training goes on from its checkpoint. After three attempts
it has failed. A step that another driver of the study works on is waited for.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import TracebackType
from typing import Protocol

import psutil

from badx_hub.errors import HubError, RunInProgress, StorageError, TrainingInterrupted
from badx_hub.remedies import ResumeTraining
from badx_hub.studies.executor import BROKEN, BUSY_SECONDS, StepEnd, StepOutcome, Watcher, Work, one_line
from badx_hub.studies.plan import Step
from badx_hub.training.interrupts import StopRequest, watched

ATTEMPTS = 3
_LOOK_SECONDS = 1.0
# Of these, another attempt may get over.
_PASSING = (TrainingInterrupted, StorageError, HubError)


_ENDED: list[float] = []
"""In a worker: when it ended its last step, by `time.perf_counter`."""


class WorkerLost(Exception):  # noqa: N818 - not an error of the step
    """The process or node that a step ran on is gone."""


@dataclass(frozen=True)
class Attempt:
    """One try at a step: how it was done, or the error it ended with."""

    step: Step
    end: Done | Exception


@dataclass(frozen=True)
class Done:
    """A step that its worker has done, now or before.

    Attributes:
        seconds: for the step.
        age: seconds from the start of the process until the step began.
        idle: seconds since the process ended its step before; None for its first one.
    """

    already: bool
    seconds: float = 0.0
    age: float = 0.0
    idle: float | None = None

    def start(self, took: float) -> float:
        """Seconds for starting a process and loading the code, of the `took` that the driver waited for the step.

        A first step that waited for room took longer than that, and a process may have been there before it was asked
        for: it is the shorter of both times. A later step has 0.
        """
        return 0.0 if self.idle is not None else max(0.0, min(self.age, took - self.seconds))


class Workers(Protocol):
    """Where steps run."""

    @property
    def free(self) -> int:
        """How many more steps can begin now."""

    def begin(self, step: Step, work: Work) -> None:
        """Begin `work(step)` on a free worker, as `timed` does it."""

    def ended(self, seconds: float) -> Sequence[Attempt]:
        """The attempts that ended, after waiting at most `seconds` for the first one."""

    def stop(self) -> None:
        """Have the running steps save what they did, and wait for that."""

    def __enter__(self) -> Workers: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass
class _Course:
    """How far the steps of one run have come."""

    steps: Sequence[Step]
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return len(self.outcomes) == len(self.steps)

    def next(self) -> StepOutcome | Step | None:
        """A step that can begin, or the outcome of one that never will; None if there is nothing to begin now."""
        names, now = {step.name for step in self.steps}, time.monotonic()
        for step in self.steps:
            if step.name in self.outcomes or step.name in self.began or self.not_before.get(step.name, 0.0) > now:
                continue
            needs = [need for need in step.needs if need in names]
            broken = [need for need in needs if need in self.outcomes and self.outcomes[need].end in BROKEN]
            if broken:
                return StepOutcome(step, StepEnd.SKIPPED, reason=f"{broken[0]} is not there")
            if all(need in self.outcomes for need in needs):
                return step
        return None

    def outcome(self, attempt: Attempt) -> StepOutcome | None:
        """How the step ended; None if it is to be begun again."""
        name, found = attempt.step.name, attempt.end
        seconds = time.perf_counter() - self.began.pop(name)
        if isinstance(found, Done):
            end = StepEnd.ALREADY if found.already else StepEnd.RAN
            return StepOutcome(attempt.step, end, found.seconds, start=found.start(seconds), idle=found.idle)
        if isinstance(found, RunInProgress):
            self.not_before[name] = time.monotonic() + BUSY_SECONDS
            return None
        self.attempts[name] = self.attempts.get(name, 0) + 1
        if isinstance(found, (WorkerLost, *_PASSING)) and self.attempts[name] < ATTEMPTS:
            return None
        tries = f" (after {self.attempts[name]} attempts)" if self.attempts[name] > 1 else ""
        return StepOutcome(attempt.step, StepEnd.FAILED, seconds, one_line(found) + tries, found)


class Parallel:
    """An `Executor` that runs steps on workers."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers

    def run(self, steps: Sequence[Step], work: Work, watcher: Watcher) -> tuple[StepOutcome, ...]:
        """See `Executor.run`. `work` and the steps are pickled.

        Raises TrainingInterrupted after Ctrl-C, SIGTERM or SIGHUP, once the running steps have saved what they did.
        """
        course, stop = _Course(steps), StopRequest()
        with self.workers as workers, watched(stop):
            while not course.is_done:
                if stop.is_made:
                    workers.stop()
                    fact = f"Stopped with {len(course.began)} steps on the way; what they did is saved."
                    raise TrainingInterrupted(fact, stop.exit_code, remedies=(ResumeTraining(),))
                self._begin(course, work, watcher)
                for attempt in workers.ended(_LOOK_SECONDS):
                    self._end(course, attempt, watcher)
        return tuple(course.outcomes[step.name] for step in steps)

    def _begin(self, course: _Course, work: Work, watcher: Watcher) -> None:
        while self.workers.free and (found := course.next()) is not None:
            if isinstance(found, StepOutcome):
                self._note(course, found, watcher)
                continue
            if found.name not in course.attempts and found.name not in course.not_before:
                watcher.started(found)
            course.began[found.name] = time.perf_counter()
            self.workers.begin(found, work)

    def _end(self, course: _Course, attempt: Attempt, watcher: Watcher) -> None:
        if (outcome := course.outcome(attempt)) is not None:
            self._note(course, outcome, watcher)
        elif isinstance(attempt.end, Exception) and not isinstance(attempt.end, RunInProgress):
            watcher.again(attempt.step, one_line(attempt.end))

    def _note(self, course: _Course, outcome: StepOutcome, watcher: Watcher) -> None:
        course.outcomes[outcome.step.name] = outcome
        watcher.ended(outcome)


class LocalWorkers:
    """Processes of this machine. A process that dies is replaced."""

    def __init__(self, count: int, threads: int | None = None) -> None:
        """Args: count: of processes; threads: of each; default its share of the cores."""
        self.count = count
        self._threads = threads or max(1, (os.cpu_count() or 1) // count)
        self._idle: list[ProcessPoolExecutor] = []
        self._running: dict[Future[Done], tuple[Step, ProcessPoolExecutor]] = {}

    @property
    def free(self) -> int:
        return self.count - len(self._running)

    def begin(self, step: Step, work: Work) -> None:
        process = self._idle.pop() if self._idle else self._new()
        self._running[process.submit(timed, pickle.dumps((step, work)), self._threads)] = step, process

    def ended(self, seconds: float) -> Sequence[Attempt]:
        if not self._running:
            time.sleep(seconds)
        done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
        return [self._attempt(future) for future in done]

    def stop(self) -> None:
        for _, process in self._running.values():
            for pid in _pids(process):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        wait(self._running)

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        for process in (*self._idle, *(process for _, process in self._running.values())):
            process.shutdown(wait=True, cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        # Not forked: a fork of a process that has loaded torch may hang.
        return ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin_process)

    def _attempt(self, future: Future[Done]) -> Attempt:
        step, process = self._running.pop(future)
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            process.shutdown(wait=False)
            return Attempt(step, WorkerLost("its process ended without a word: killed, or out of memory"))
        self._idle.append(process)
        if error is not None:
            return Attempt(step, error if isinstance(error, Exception) else WorkerLost(type(error).__name__))
        return Attempt(step, future.result())


def _begin_process() -> None:
    """Ctrl-C at the terminal is for the driver alone, which then stops its workers."""
    if hasattr(os, "setsid"):
        os.setsid()


def timed(packed: bytes, threads: int) -> Done:
    """Do a step in this process on this number of threads, and time it. `packed` is the pickle of (step, work)."""
    use_threads(threads)
    step, work = pickle.loads(packed)
    began = time.perf_counter()
    idle = began - _ENDED[-1] if _ENDED else None
    age = time.time() - psutil.Process().create_time()
    try:
        already = work(step)
    finally:
        _ENDED[:] = [time.perf_counter()]
    return Done(already, _ENDED[-1] - began, age, idle)


def use_threads(count: int) -> None:
    """Have this process compute on this number of threads. Another number changes the last digits of sums."""
    import torch

    torch.set_num_threads(count)


def _pids(process: ProcessPoolExecutor) -> tuple[int, ...]:
    workers: Mapping[int, object] = getattr(process, "_processes", None) or {}
    return tuple(workers)

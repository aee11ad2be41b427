"""Work on models, one step at a time: several people share one model, and nobody waits for a long text of another.

A job is a generator that stops after each step. A worker is one thread, which takes the jobs in turn, a step each: the
model is never used by two at once, and a short text is finished while a long one is still on its way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Generic, TypeVar

from badx_hub.web.limits import RequestRefused

T = TypeVar("T")
Job = Callable[[], Generator[None, None, T]]
"""Begins the work; the generator stops after each step and returns the result."""


class _Running(Generic[T]):
    def __init__(self, job: Job[T]) -> None:
        self.job = job
        self.steps: Generator[None, None, T] | None = None
        self.future: Future[T] = Future()

    def step(self) -> bool:
        """Do a step in the worker's thread; whether there is more to do."""
        if self.future.cancelled():
            return False
        try:
            if self.steps is None:
                self.steps = self.job()
            next(self.steps)
        except StopIteration as end:
            with suppress(InvalidStateError):  # Nobody waits for it any more.
                self.future.set_result(end.value)
            return False
        except BaseException as error:
            with suppress(InvalidStateError):
                self.future.set_exception(error)
            return False
        return True


class Worker:
    """A thread that does the jobs for one model. It begins with the first job and ends with `stop`."""

    def __init__(self, name: str, waiting: int) -> None:
        """`waiting`: the most jobs at a time."""
        self._name, self._waiting = name, waiting
        self._jobs: deque[_Running[Any]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """The jobs that are not finished."""
        return len(self._jobs)

    def submit(self, job: Job[T]) -> Future[T]:
        """What the job will have returned; cancelling it ends the job after its step.

        Raises RequestRefused (503) where too many are waiting, or none is taken any more.
        """
        running = _Running(job)
        with self._changed:
            if self._stopped:
                raise RequestRefused(503, "The server is being stopped.")
            if len(self._jobs) >= self._waiting:
                fact = f"{self._waiting} texts are waiting already. Try again in a moment."
                raise RequestRefused(503, fact, retry_after=10)
            self._jobs.append(running)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return running.future

    def stop(self, seconds: float) -> None:
        """Drop all jobs, and wait at most `seconds` for the step that is being done."""
        with self._changed:
            self._stopped = True
            for running in self._jobs:
                running.future.cancel()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    return
                running = self._jobs[0]
            more = running.step()
            with self._changed:
                self._jobs.popleft()
                if more:
                    self._jobs.append(running)

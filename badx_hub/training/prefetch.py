"""Making what a step needs while the steps before it run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 32
"""Steps made ahead: enough to hide the seconds that a new stretch of text takes behind the steps of a GPU."""


class Prefetcher(Generic[T]):
    """`make(step)` for each of `steps` in their order, on one spare thread, up to `depth` of them ahead.

    `make` is called for one step at a time and for none outside of `steps`. On leaving the context nothing is left
    running: what is being made is waited for, the rest is dropped.
    """

    def __init__(self, make: Callable[[int], T], steps: range, *, depth: int = DEPTH) -> None:
        self._make, self._depth = make, depth
        self._left: Iterator[int] = iter(steps)
        self._coming: deque[Future[T]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")

    def __enter__(self) -> Prefetcher[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def take(self) -> T:
        """The next step's; waits until it is made.

        Raises what `make` raised for it, and IndexError behind the last step.
        """
        self._ask_for(1)
        made = self._coming.popleft().result()
        self._ask_for(self._depth)
        return made

    def settle(self) -> None:
        """Wait until the spare thread has nothing to do, so that what `make` uses can be used here meanwhile."""
        wait(self._coming)

    def _ask_for(self, count: int) -> None:
        while len(self._coming) < count and (step := next(self._left, None)) is not None:
            self._coming.append(self._thread.submit(self._make, step))

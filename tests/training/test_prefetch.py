from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.training.prefetch import Prefetcher


@given(st.integers(0, 5), st.integers(0, 20), st.integers(1, 30))
def test_each_step_is_made_once_in_order(first: int, count: int, depth: int) -> None:
    made: list[int] = []
    steps = range(first, first + count)
    with Prefetcher(lambda step: (made.append(step), step * step)[1], steps, depth=depth) as ahead:
        assert [ahead.take() for _ in steps] == [step * step for step in steps]
        with pytest.raises(IndexError):
            ahead.take()
    assert made == list(steps)


def test_what_comes_next_is_made_on_one_other_thread_meanwhile() -> None:
    threads: set[int] = set()
    made: list[int] = []

    def make(step: int) -> int:
        threads.add(threading.get_ident())
        made.append(step)
        return step

    with Prefetcher(make, range(100), depth=3) as ahead:
        ahead.take()
        ahead.settle()
        assert made == [0, 1, 2, 3]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_comes_with_its_own_step() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise OSError("no such text")
        return step

    with Prefetcher(make, range(5)) as ahead:
        assert [ahead.take(), ahead.take()] == [0, 1]
        with pytest.raises(OSError, match="no such text"):
            ahead.take()


def test_nothing_is_left_running_after_an_interrupt() -> None:
    made: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def make(step: int) -> int:
        if step == 1:
            begun.set()
            assert go_on.wait(30)
        made.append(step)
        return step

    before = threading.active_count()
    later = threading.Timer(0.05, go_on.set)
    with pytest.raises(KeyboardInterrupt), Prefetcher(make, range(100)) as ahead:
        ahead.take()
        assert begun.wait(30)
        later.start()
        raise KeyboardInterrupt
    later.join()
    assert made == [0, 1]
    assert threading.active_count() == before

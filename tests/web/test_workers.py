"""Jobs take turns, a step each, and end when nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from badx_hub.web.limits import RequestRefused
from badx_hub.web.workers import Job, Worker
from tests.refusals import refused


def recorded(name: str, steps: int, log: list[str], gate: threading.Event) -> Job[str]:
    def job() -> Generator[None, None, str]:
        assert gate.wait(30)
        for number in range(steps):
            log.append(f"{name}{number}")
            yield
        return name

    return job


def test_a_short_job_does_not_wait_for_a_long_one() -> None:
    worker, log, gate = Worker("test", waiting=3), [], threading.Event()
    futures = [worker.submit(recorded(name, steps, log, gate)) for name, steps in (("a", 5), ("b", 1), ("c", 2))]
    with refused(RequestRefused, "3 texts are waiting") as caught:
        worker.submit(recorded("d", 1, log, gate))
    assert caught.value.status == 503
    gate.set()
    assert [future.result(30) for future in futures] == ["a", "b", "c"]
    assert log == ["a0", "b0", "c0", "a1", "c1", "a2", "a3", "a4"]
    worker.stop(30)
    with refused(RequestRefused, "being stopped"):
        worker.submit(recorded("e", 1, log, gate))


def test_a_job_that_nobody_waits_for_ends_after_its_step() -> None:
    worker, log, gate = Worker("test", waiting=9), [], threading.Event()
    first = worker.submit(recorded("a", 100_000, log, gate))
    second = worker.submit(recorded("b", 1, log, gate))
    assert first.cancel()
    gate.set()
    assert second.result(30) == "b" and len([one for one in log if one.startswith("a")]) <= 1
    worker.stop(30)


def test_an_error_is_that_of_its_job_alone() -> None:
    def failing() -> Generator[None, None, str]:
        yield
        raise KeyError("x")

    worker, log, gate = Worker("test", waiting=9), [], threading.Event()
    gate.set()
    broken, sound = worker.submit(failing), worker.submit(recorded("a", 2, log, gate))
    with pytest.raises(KeyError):
        broken.result(30)
    assert sound.result(30) == "a"
    worker.stop(30)


def test_stopping_drops_what_waits() -> None:
    worker, log, gate = Worker("test", waiting=9), [], threading.Event()
    waiting = worker.submit(recorded("a", 100_000, log, gate))
    worker.stop(0)
    gate.set()
    assert waiting.cancelled()

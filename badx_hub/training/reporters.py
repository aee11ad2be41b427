"""Who is told how a training goes: the protocol, a reporter that tells nobody, and one whose trouble stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

EvaluationRow = Mapping[str, float]


class Reporter(Protocol):
    """Told how a training goes; the command line draws it."""

    def started(self, steps: int, done: int, unit: str) -> None: ...

    def stepped(self, step: int, loss: float, units: int) -> None: ...

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None: ...

    def finished(self) -> None: ...


class Shielded:
    """A reporter whose trouble with its output stops nothing: a terminal that was closed takes no more."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def started(self, steps: int, done: int, unit: str) -> None:
        with suppress(OSError):
            self._reporter.started(steps, done, unit)

    def stepped(self, step: int, loss: float, units: int) -> None:
        with suppress(OSError):
            self._reporter.stepped(step, loss, units)

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        with suppress(OSError):
            self._reporter.evaluated(step, metrics, best)

    def finished(self) -> None:
        with suppress(OSError):
            self._reporter.finished()


class Silent:
    """A reporter that tells nobody."""

    def started(self, steps: int, done: int, unit: str) -> None: ...

    def stepped(self, step: int, loss: float, units: int) -> None: ...

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None: ...

    def finished(self) -> None: ...

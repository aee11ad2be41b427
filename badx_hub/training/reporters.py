"""Who is told how a training goes: the protocol, and reporters that pass on, that stop nothing, that tell nobody."""

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


class PassedOn:
    """A reporter that passes all on to another one."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def started(self, steps: int, done: int, unit: str) -> None:
        self._reporter.started(steps, done, unit)

    def stepped(self, step: int, loss: float, units: int) -> None:
        self._reporter.stepped(step, loss, units)

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        self._reporter.evaluated(step, metrics, best)

    def finished(self) -> None:
        self._reporter.finished()


class Shielded(PassedOn):
    """A reporter whose trouble with its output stops nothing: a terminal that was closed takes no more."""

    def started(self, steps: int, done: int, unit: str) -> None:
        with suppress(OSError):
            super().started(steps, done, unit)

    def stepped(self, step: int, loss: float, units: int) -> None:
        with suppress(OSError):
            super().stepped(step, loss, units)

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        with suppress(OSError):
            super().evaluated(step, metrics, best)

    def finished(self) -> None:
        with suppress(OSError):
            super().finished()


class Silent:
    """A reporter that tells nobody."""

    def started(self, steps: int, done: int, unit: str) -> None: ...

    def stepped(self, step: int, loss: float, units: int) -> None: ...

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None: ...

    def finished(self) -> None: ...

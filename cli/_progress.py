"""How a training goes, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from badx_hub.cli._output import Format, note
from badx_hub.metric_key import MetricKey

if TYPE_CHECKING:
    from badx_hub.training.loop import Reporter

_WINDOW = 50
_HEARTBEAT_SECONDS = 60.0


def reporter() -> Reporter:
    """The reporter that suits stderr."""
    return Bar() if sys.stderr.isatty() else Lines()


def reporter_for(format: Format) -> Reporter | None:
    """The reporter of a command that prints its result in this format; quiet, it has none."""
    return None if format is Format.QUIET else reporter()


class Pace:
    """Units a second and time left, over the last steps; evaluations between them count as time spent."""

    def __init__(self, steps: int, done: int) -> None:
        self.steps = steps
        self._marks: deque[tuple[float, int, int]] = deque([(time.monotonic(), done, 0)], maxlen=_WINDOW + 1)

    def stepped(self, step: int, units: int) -> None:
        """Note that `step` was finished and read `units`."""
        self._marks.append((time.monotonic(), step, self._marks[-1][2] + units))

    def text(self, unit: str) -> str:
        """ "1,234 tokens/s  0:01:20 left"."""
        (began, first, read_before), (now, last, read) = self._marks[0], self._marks[-1]
        seconds = max(now - began, 1e-9)
        if last == first:
            return ""
        left = timedelta(seconds=round((self.steps - last) * seconds / (last - first)))
        return f"{(read - read_before) / seconds:,.0f} {unit}/s  {left} left"


class Lines:
    """A line an evaluation, and one a minute in between."""

    def started(self, steps: int, done: int, unit: str) -> None:
        self._steps, self._unit, self._pace = steps, unit, Pace(steps, done)
        self._spoken = time.monotonic()
        self._state = ""
        if done:
            note(f"going on after step {done:,} of {steps:,}")

    def stepped(self, step: int, loss: float, units: int) -> None:
        self._pace.stepped(step, units)
        self._state = f"step {step:,}/{self._steps:,}  loss {loss:.3f}  {self._pace.text(self._unit)}"
        if time.monotonic() - self._spoken > _HEARTBEAT_SECONDS:
            self._say(self._state)

    def evaluated(self, step: int, metrics: Mapping[str, float], best: bool) -> None:
        self._say(self._state)
        self._say(evaluation_line(step, metrics, best))

    def finished(self) -> None: ...

    def _say(self, line: str) -> None:
        note(line)
        self._spoken = time.monotonic()


class Bar:
    """A progress bar with loss, speed and time left; evaluations stand above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}", markup=False),
            console=Console(stderr=True, highlight=False),
            expand=True,
        )

    def started(self, steps: int, done: int, unit: str) -> None:
        self._unit, self._pace = unit, Pace(steps, done)
        self._task = self._progress.add_task("", total=steps, completed=done, figures="")
        self._progress.start()

    def stepped(self, step: int, loss: float, units: int) -> None:
        self._pace.stepped(step, units)
        figures = f"loss {loss:.3f}  {self._pace.text(self._unit)}"
        self._progress.update(self._task, completed=step, figures=figures)

    def evaluated(self, step: int, metrics: Mapping[str, float], best: bool) -> None:
        self._progress.console.print(evaluation_line(step, metrics, best), markup=False, style="bold" if best else "")

    def finished(self) -> None:
        self._progress.stop()


@contextmanager
def counting(unit: str, total: int | None, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Gives what is called with the number of units just done: a bar with the time left on a terminal, else a line a
    minute. `total` is None where it is not known; with `shown` false there is no bar.
    """
    if not (shown and sys.stderr.isatty()):
        yield _Counter(unit, total).add
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        MofNCompleteColumn(),
        TextColumn(unit),
        BarColumn(bar_width=None),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), expand=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


class _Counter:
    """A line a minute."""

    def __init__(self, unit: str, total: int | None) -> None:
        self._unit, self._total, self._done = unit, total, 0
        self._began = self._spoken = time.monotonic()

    def add(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        if now - self._spoken <= _HEARTBEAT_SECONDS:
            return
        self._spoken, seconds = now, now - self._began
        note(f"{self._done:,}{self._of(seconds)}")

    def _of(self, seconds: float) -> str:
        if self._total is None:
            return f" {self._unit}"
        left = timedelta(seconds=round((self._total - self._done) * seconds / max(self._done, 1)))
        return f" of {self._total:,} {self._unit}  {left} left"


def evaluation_line(step: int, metrics: Mapping[str, float], best: bool) -> str:
    """ "step 300: en perplexity 41.20, wo perplexity 12.30  * best so far"."""
    known = [(MetricKey.parse(key), value) for key, value in metrics.items()]
    scores = ", ".join(f"{key.words} {key.shown(value)}" for key, value in known)
    return f"step {step:,}: {scores}{'  * best so far' if best else ''}"

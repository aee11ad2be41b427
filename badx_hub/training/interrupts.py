"""What ends a training before its last step: signals and a limit of time. The running step is always finished."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_POLITE = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP.


TIME_IS_UP = 1
"""The code of a request that a limit of time made; that of a signal is what a shell expects of a process it ends."""


class StopRequest:
    """Whether the training has to stop: `signal` has come, or the time is up."""

    def __init__(self, time_limit: float | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._deadline = None if time_limit is None else time.monotonic() + time_limit

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def is_made(self) -> bool:
        """Whether to stop after the running step."""
        return self.signal is not None or self.is_late

    @property
    def code(self) -> int:
        """0 to go on, `TIME_IS_UP`, or 128 and the number of the signal."""
        if self.signal is not None:
            return 128 + self.signal
        return TIME_IS_UP if self.is_late else 0

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that this ended: 130 for Ctrl-C and for a limit of time."""
        return exit_code_of(self.code)


def exit_code_of(code: int) -> int:
    """The exit code of a process that a request with this code ended."""
    return code if code > TIME_IS_UP else 128 + signal.SIGINT


@contextmanager
def watched(request: StopRequest) -> Iterator[None]:
    """Note Ctrl-C, SIGTERM and SIGHUP in `request` as long as the block runs.

    A Ctrl-C after that interrupts at once. Further SIGTERM and SIGHUP change nothing, since batch systems and shells
    send them to a process and to its group. A signal that is ignored stays so (`nohup`). Signals reach the main
    thread alone: on another one nothing is watched. A request that the block has not seen because it was at its end is
    made once more after it, to whoever handles signals there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in _POLITE}

    def note(number: int, _frame: object) -> None:
        if request.signal is None:
            request.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for one, handler in before.items():
        if one is signal.SIGINT or handler is not signal.SIG_IGN:
            signal.signal(one, note)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if request.signal is not None:
        signal.raise_signal(request.signal)

"""`python -m badx_hub` is the command `badx-hub`."""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED = 130
GC_THRESHOLD = 20_000
"""New objects between two looks for rubbish: at Python's own 700 these take a tenth of a short command's time."""
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Windows has no SIGHUP."""


def main() -> None:
    """The command; a signal while it is still being loaded ends it without a word, too."""
    gc.set_threshold(GC_THRESHOLD)
    _unwind_at_signals()
    try:
        from badx_hub.cli import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.unraisablehook = _unraisable
    try:
        run()
    except KeyboardInterrupt:  # A second Ctrl-C, while the first one was being reported.
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Nothing is left to interrupt.
        gc.freeze()  # Nobody needs a last look for rubbish in what ends with the process.


def _unwind_at_signals() -> None:
    """Have SIGTERM and SIGHUP end the command as Ctrl-C does: what is half done is taken back on the way out.

    One that is ignored stays so (`nohup`).
    """
    for one in _ENDING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _unwind)


def _unwind(number: int, _frame: object) -> None:
    for one in _ENDING:  # Batch systems and shells send them to a process and to its group.
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    """A signal in a place that can raise nothing, such as a finaliser, ends the process; others are printed."""
    if problem.exc_type is KeyboardInterrupt:
        os._exit(INTERRUPTED)
    if isinstance(problem.exc_value, SystemExit):
        os._exit(int(problem.exc_value.code or 0))
    sys.__unraisablehook__(problem)


if __name__ == "__main__":
    main()

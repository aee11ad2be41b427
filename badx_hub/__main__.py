"""`python -m badx_hub` is the command `badx-hub`."""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED = 130
GC_THRESHOLD = 20_000
"""New objects between two looks for rubbish: at Python's own 700 these take a tenth of a short command's time."""


def main() -> None:
    """The command; a Ctrl-C while it is still being loaded ends it without a word, too."""
    gc.set_threshold(GC_THRESHOLD)
    # Pydantic would look through every installed package for plug-ins, and run them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
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


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C in a place that can raise nothing, such as a finaliser, ends the process; others are printed."""
    if problem.exc_type is KeyboardInterrupt:
        os._exit(INTERRUPTED)
    sys.__unraisablehook__(problem)


if __name__ == "__main__":
    main()

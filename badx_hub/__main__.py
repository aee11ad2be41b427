"""`python -m badx_hub` is the command `badx-hub`."""

import gc
import sys

INTERRUPTED = 130
GC_THRESHOLD = 20_000
"""New objects between two looks for rubbish: at Python's own 700 these take a tenth of a short command's time."""


def main() -> None:
    """The command; a Ctrl-C while it is still being loaded ends it without a word, too."""
    gc.set_threshold(GC_THRESHOLD)
    try:
        from badx_hub.cli import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    try:
        run()
    finally:
        gc.freeze()  # Nobody needs a last look for rubbish in what ends with the process.


if __name__ == "__main__":
    main()

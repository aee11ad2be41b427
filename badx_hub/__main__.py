"""`python -m badx_hub` is the command `badx-hub`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """The command; a Ctrl-C while it is still being loaded ends it without a word, too."""
    try:
        from badx_hub.cli import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()

"""Sentences for the commands that predict: from a file, from stdin or from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.errors import UsageError
from badx_hub.user_paths import user_path

if TYPE_CHECKING:
    from badx_hub.data.conllu import RawSentence


_STDIN = "-"


def sentences(text: str | None, file: Path | None) -> Iterator[RawSentence]:
    """CoNLL-U or lines of text, from `text`, the file, or stdin ("-"). Raises UsageError if there is no stdin."""
    from badx_hub.annotation import read_sentences, sentences_in

    if text is not None:
        return sentences_in([(1, _typed(text))], "TEXT")
    if file is not None and str(file) != _STDIN:
        return read_sentences(user_path(file))
    return sentences_in(_stdin(whole=True), "stdin")


def lines(text: str | None, file: Path | None) -> Iterator[str]:
    """The lines that have a word, without space around them; sources and errors as in `sentences`."""
    from badx_hub.data.lines import numbered_lines

    if text is not None:
        numbered = iter([(1, _typed(text))])
    elif file is not None and str(file) != _STDIN:
        numbered = numbered_lines(user_path(file))
    else:
        numbered = _stdin(whole=False)
    return (stripped for _, line in numbered if (stripped := line.strip()))


def _typed(text: str) -> str:
    """An argument as UTF-8, also where the locale is another: there Python hides its bytes in surrogates (PEP 383).

    Raises UsageError for what is not UTF-8.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UsageError(
            f"TEXT is not UTF-8 (byte 0x{byte:02x}). Write it to a file in UTF-8 and give that."
        ) from error
    except UnicodeEncodeError:
        return text  # Half a pair that is no byte: told by who reads it.


def _stdin(*, whole: bool) -> Iterator[tuple[int, str]]:
    from badx_hub.data.lines import decoded_lines, whole_lines

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError('There is no text. Type it ("Nanga def?"), name a file or pipe lines in.')
    return (whole_lines if whole else decoded_lines)(sys.stdin.buffer, "stdin")

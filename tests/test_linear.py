"""Parsers of foreign text take time in proportion to it: 1 MiB of each suspicious character, alone and mixed.

The alarm is generous: what takes time with the square of the length would need hours.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from badx_hub.errors import BadxError
from tests.foreign_text import PARSERS

SIZE = 2**20
SECONDS = 30
PIECES = (
    *("\n", "\r\n", " ", "\t", "-", "---\n", "[", "(", "{", "`", "*", "_", "<", "<!--", "\\", "\0", "ï", "\u0301", "1"),
    *("1.", ".", "/", "'", '"', ",", ":", "#", "#\n", "@", "=", "!", "|", "~", "&", "a", "a-", "a'", "a\n", "\u200d"),
    *("\N{REGIONAL INDICATOR SYMBOL LETTER S}", "\u1100", "क्", "www.", "hf_", "token=", 'xmlns="', "a: b\n", "a\tb\n"),
)


class _TooSlow(BaseException):
    """Passes every `except Exception`."""


@contextmanager
def _alarm(what: str) -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise _TooSlow(what)

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no alarm")
@pytest.mark.parametrize("parser", PARSERS)
def test_time_grows_with_the_text_alone(parser: str, tmp_path: Path) -> None:
    """What comes out is a value or an error of ours."""
    for piece in PIECES:
        text = (piece * (SIZE // len(piece) + 1))[:SIZE]
        for given in (text, f"{text}a"):
            with _alarm(f"{parser} with {piece!r}"), suppress(BadxError):
                PARSERS[parser](given, tmp_path)


def test_the_alarm_rings() -> None:

    with pytest.raises(_TooSlow), _alarm("a pattern that backtracks"):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        re.fullmatch("(a+)+b", "a" * 60)

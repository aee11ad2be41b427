"""Characters that are no part of words: those that steer a terminal, and those that hide what a text says."""

from __future__ import annotations

import re

# C0 (ESC, carriage return, ...), DEL and C1; marks, embeddings, overrides and isolates of the bidirectional algorithm;
# the line and paragraph separators, which are line ends to some readers; the byte order mark.
_STEERING = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff"
PLAIN = f"\\A[^{_STEERING}]*\\z"
"""A pattern, as pydantic reads it, of texts without such characters."""
_ANY = re.compile(f"[{_STEERING}]")
# Names of files that are not UTF-8 reach Python with halves of surrogate pairs, which no file takes.
_UNWRITABLE = f"[{_STEERING}\ud800-\udfff]"
_ESCAPED = re.compile(_UNWRITABLE)
_ESCAPED_BUT_BREAKS = re.compile(f"(?![\\t\\n]){_UNWRITABLE}")


def steering(text: str) -> str | None:
    """The first character of a text that is no part of a word, as "U+001B"; None where there is none."""
    found = None if text.isascii() and text.isprintable() else _ANY.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def escaped(text: str, *, breaks: bool = True) -> str:
    r"""The text with such characters, and halves of surrogate pairs, written as "\u001b"; `breaks`: tabs and line
    feeds stay.

    A JSON document stays the same document: outside of its strings there are none, and `json` escapes those below
    U+0020 by itself.
    """
    if text.isascii() and text.isprintable():
        return text
    return (_ESCAPED_BUT_BREAKS if breaks else _ESCAPED).sub(lambda match: f"\\u{ord(match[0]):04x}", text)

"""What the steps of a stranger's tokenizer do to a text before its words are looked up: patterns that take for ever,
and replacements that make much of little. Pure.

The patterns are those of Oniguruma, which tries every way of repeating a part. It gives up after ten million steps,
and tokenizers' Rust code panics then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_GROWTH = 64
"""How many times as long the replacements together may make a text: those of known bases make it no longer."""

_UNBOUNDED = ("*", "+", "{")


def fault_of_steps(content: dict[str, Any]) -> str | None:
    """What is wrong with the normaliser or the pre-tokenizer of a tokenizer.json, as part of a sentence; or None."""
    steps = [content.get("normalizer"), content.get("pre_tokenizer")]
    if any(may_take_for_ever(pattern) for pattern in _patterns(steps)):
        return "a pattern in it repeats what repeats, which can take for ever"
    if _growth(content.get("normalizer")) > MOST_GROWTH:
        return "its replacements can make a text many times as long"
    return None


def may_take_for_ever(pattern: str) -> bool:
    """Whether a group that repeats without a bound holds a repetition or a choice: "(x+x+)+", "(a|a)*"."""
    varies = [False]  # of each open group
    place, classes = 0, 0
    while place < len(pattern):
        character = pattern[place]
        if character == "\\":
            place += 1
        elif character == "[":
            classes += 1
        elif classes:
            classes -= character == "]"
        elif character == "(":
            varies.append(False)
        elif character == ")" and len(varies) > 1:
            inside = varies.pop()
            if inside and pattern[place + 1 : place + 2] in _UNBOUNDED:
                return True
            varies[-1] |= inside
        elif character in ("|", *_UNBOUNDED):
            varies[-1] = True
        place += 1
    return False


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(pattern := value.get("Regex"), str):
            yield pattern
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _patterns(one)


def _growth(step: Any) -> int:
    """How many times as long a normaliser can make a text."""
    if not isinstance(step, dict):
        return 1
    found = 1
    for one in step.get("normalizers") or ():
        found *= _growth(one)
    content = step.get("content")
    # A pattern may stand for one character, or for none between two.
    return found * max(1, len(content) + (len(content) > 1)) if isinstance(content, str) else found

"""Words of raw text, for predictions on sentences that nobody has split."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from badx_hub.data.conllu import Sentence

# Zero-width (non-)joiner, soft hyphen, word joiner: no script writes them between two words.
_JOINERS = r"\u200c\u200d\u00ad\u2060"
_CORE = rf"[\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}{_JOINERS}]*"
# Apostrophes of keyboards and typesetters (' ` U+2018 U+2019 U+00B4; modifier letters are in \p{L} already),
# hyphens (- U+2010 U+2011) and the Catalan middle dot.
_INSIDE = r"['`\u2018\u2019\u00b4\-\u2010\u2011\u00b7]"
_TOKEN = regex.compile(
    rf"{_CORE}(?:(?:{_INSIDE}|(?<=\p{{N}})[.,:/](?=\p{{N}})){_CORE})*"
    r"|(\p{P})\1*"
    r"|(?![\s\p{C}])\X"
)


def words_of(text: str) -> tuple[str, ...]:
    """Words and punctuation marks of a text, the same way in every language.

    Apostrophes and hyphens between letters stay inside their word, as do the points, commas, colons and
    slashes of a number; other punctuation is split off, a run of the same mark (`...`) in one piece. White
    space and invisible control characters only separate. Scripts written without spaces come out unsplit, and
    clitics are not split off as treebanks do it: where there is a tokeniser for the language, sentences split
    by it are the better input.
    """
    return tuple(match[0] for match in _TOKEN.finditer(text))


def sentence_of(item: str | Sequence[str] | Sentence) -> Sentence:
    """A sentence as it is, or one without annotation, from its words or from text, which `words_of` splits roughly."""
    if isinstance(item, Sentence):
        return item
    return Sentence.of(words_of(item), text=item) if isinstance(item, str) else Sentence.of(item)

"""From text to words, and from words to sub-words, each distinct one once; the special tokens around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

from badx_hub.data.conllu import Sentence
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Zero-width (non-)joiner, soft hyphen, word joiner: in no script do they separate words.
_JOINERS = r"\u200c\u200d\u00ad\u2060"
_CORE = rf"[\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}{_JOINERS}]*"
# Apostrophes of keyboards and typesetters (' ` U+2018 U+2019 U+00B4; modifier letters are in \p{L} already),
# hyphens (- U+2010 U+2011) and the Catalan middle dot.
_INSIDE = r"['`\u2018\u2019\u00b4\-\u2010\u2011\u00b7]"
# Two letters of a flag, which \X would count from the beginning of a run of them each time.
_FLAG = r"\p{RI}{2}[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]*"
_MAX_SHOWN = 80
_TOKEN = regex.compile(
    rf"{_CORE}(?:(?:{_INSIDE}|(?<=\p{{N}})[.,:/](?=\p{{N}})){_CORE})*"
    r"|(\p{P})\1*"
    rf"|{_FLAG}"
    r"|(?![\s\p{C}])\X"
)


def words_of(text: str) -> tuple[str, ...]:
    """Words and punctuation marks of a text, the same way in every language.

    Apostrophes and hyphens between letters stay inside their word, as do the points, commas, colons and
    slashes of a number. Other punctuation is split off, a run of the same mark (`...`) in one piece. White space and
    invisible control characters only separate. Scripts written without spaces are not split, and clitics are not
    separated as in treebanks. If there is a tokeniser for the language, give the sentences it has split.
    """
    return tuple(match[0] for match in _TOKEN.finditer(text))


def require_text(item: object) -> None:
    """Raises UsageError, which shows the item, unless it is a text or a sequence of texts, all of whole characters."""
    if isinstance(item, bytes) or not isinstance(item, Sequence):
        raise UsageError(f"{_shown(item)} is no input: expected a text, or a list of the parts of one.")
    for part in (item,) if isinstance(item, str) else item:
        if not isinstance(part, str):
            raise UsageError(f"{_shown(part)} is no text: expected str. Leave out what is missing.")
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{_shown(part)} has half a surrogate pair, which is no character. Remove it.") from error


def _shown(item: object) -> str:
    """An input in an error: not endless."""
    text = repr(item)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def sentence_of(item: str | Sequence[str] | Sentence) -> Sentence:
    """A sentence unchanged, or one without annotation, made from words or from text (split by `words_of`).

    Raises UsageError for anything else.
    """
    if isinstance(item, Sentence):
        return item
    require_text(item)
    return Sentence.of(words_of(item), text=item) if isinstance(item, str) else Sentence.of(item)


@dataclass(frozen=True)
class Frame:
    """The special tokens around an input, and the one for a word that has no sub-word."""

    cls: int
    sep: int
    unk: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Frame:
        """Raises UsageError for a tokenizer without CLS, SEP or unknown token."""
        ids = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id)
        if None in ids:
            raise UsageError(
                f"The tokenizer ({type(tokenizer).__name__}) has no CLS, SEP or unknown token;"
                " use a base that is an encoder, such as mBERT or XLM-R."
            )
        return cls(*ids)


@dataclass(frozen=True)
class PairFrame:
    """The special tokens of a pair: `before` the first text, `between` the two, `after` the second.

    `types` are the token types of before, first text, between, second text and after.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int, int, int, int] = (0, 0, 0, 1, 1)

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> PairFrame:
        """The special tokens that the tokenizer itself puts around a pair; CLS a SEP b SEP if it does not, in BERT's
        types if it names any.

        Raises UsageError for a tokenizer without CLS, SEP or unknown token.
        """
        frame = Frame.of(tokenizer)
        encoded = tokenizer("a", "a", return_token_type_ids=True)
        ids, owners = encoded["input_ids"], encoded.sequence_ids(0)
        typed = "token_type_ids" in tokenizer.model_input_names
        if None not in owners:
            return cls((frame.cls,), (frame.sep,), (frame.sep,), cls.types if typed else (0,) * 5)
        first, second = owners.index(0), owners.index(1)
        end, last = second - owners[:second][::-1].index(0), len(owners) - owners[::-1].index(1)
        kinds = encoded["token_type_ids"] if typed else [0] * len(ids)
        return cls(
            before=tuple(ids[:first]),
            between=tuple(ids[end:second]),
            after=tuple(ids[last:]),
            types=(kinds[0], kinds[first], kinds[end], kinds[second], kinds[-1]),
        )

    def __len__(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


def sub_words(words: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, ...]]:
    """The sub-word ids, at least one, of each distinct word as it is written after a space.

    A word without sub-words becomes the unknown token, and so does a word that spells a special token ("[SEP]"): words
    are data and must not act as control tokens. There is one tokenizer call for all words.
    """
    unknown = Frame.of(tokenizer).unk
    # The space makes byte-level and SentencePiece tokenizers mark the word's start; BERT's strip it.
    return {word: pieces or (unknown,) for word, pieces in _pieces(words, tokenizer, before=" ").items()}


def sub_words_of_texts(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, ...]]:
    """The sub-word ids, possibly none, of each distinct text; special tokens as in `sub_words`."""
    return _pieces(texts, tokenizer)


def _pieces(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, before: str = "") -> dict[str, tuple[int, ...]]:
    unknown = Frame.of(tokenizer).unk
    special = frozenset(tokenizer.all_special_ids)
    distinct = sorted(set(texts))
    if not distinct:
        return {}
    encoded = tokenizer(
        [before + text for text in distinct],
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return {
        text: tuple(unknown if piece in special else piece for piece in pieces)
        for text, pieces in zip(distinct, encoded["input_ids"], strict=True)
    }

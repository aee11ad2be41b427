"""Words to sub-words: each word on its own, each distinct word once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
                f"the tokenizer ({type(tokenizer).__name__}) has no CLS, SEP or unknown token;"
                " use a base that is an encoder, such as mBERT or XLM-R"
            )
        return cls(*ids)


def sub_words(words: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, ...]]:
    """The sub-word ids, at least one, of each distinct word as it is written after a space.

    What tokenises to nothing is the unknown token, and so is a word that spells a special token ("[SEP]"): words
    are data and do not steer the model. One tokenizer call for all.
    """
    unknown = Frame.of(tokenizer).unk
    special = frozenset(tokenizer.all_special_ids)
    distinct = sorted(set(words))
    if not distinct:
        return {}
    # The space makes byte-level and SentencePiece tokenizers mark the word's start; BERT's strip it.
    encoded = tokenizer(
        [f" {word}" for word in distinct],
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return {
        word: tuple(unknown if piece in special else piece for piece in pieces) or (unknown,)
        for word, pieces in zip(distinct, encoded["input_ids"], strict=True)
    }

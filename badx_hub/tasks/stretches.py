"""Sentences as model inputs: sub-words between CLS and SEP, long sentences in overlapping stretches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from badx_hub.errors import UsageError
from badx_hub.tasks.subwords import Frame, sub_words
from badx_hub.tasks.windows import Span, spans

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Stretch:
    """The words of `span` of the sentence of index `example`, ready for a model.

    `starts` are the positions in `input_ids` of the first sub-word of each word of the span and, at the end, of SEP.
    """

    example: int
    span: Span
    input_ids: tuple[int, ...]
    starts: tuple[int, ...]


def stretches(
    sentences: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Iterator[Stretch]:
    """One stretch a sentence, or overlapping ones where it has more than `max_length` sub-words, CLS and SEP included.

    Each word is owned by one stretch, the one that cuts its context farthest away. A word longer than a stretch is
    represented by its first sub-words. A sentence without words has no stretch.

    Raises UsageError for a `max_length` below 3 and for a tokenizer without CLS, SEP or unknown token.
    """
    frame = Frame.of(tokenizer)
    room = max_length - 2
    if room < 1:
        raise UsageError(f"a maximal length of {max_length} leaves no room for a word; expected 3 or more")
    pieces = sub_words(chain.from_iterable(sentences), tokenizer)
    for example, words in enumerate(sentences):
        cut = [pieces[word][:room] for word in words]
        for span in spans([len(piece) for piece in cut], room):
            own = cut[span.start : span.stop]
            yield Stretch(
                example,
                span,
                input_ids=(frame.cls, *chain.from_iterable(own), frame.sep),
                starts=tuple(accumulate((len(piece) for piece in own), initial=1)),
            )

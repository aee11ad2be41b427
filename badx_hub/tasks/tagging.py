"""What tasks that label single words share: windows over words, batches, and decoding, on first sub-words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from badx_hub.errors import DataError, IntegrityError, UsageError
from badx_hub.tasks.base import IGNORED
from badx_hub.tasks.subwords import Frame, sub_words
from badx_hub.tasks.windows import Span, spans

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class WordWindow:
    """A sentence, or a stretch of a long one.

    It answers for `words` (indices into the sentence of index `example`, all counted from 0), whose first
    sub-words stand at `positions` of `input_ids`. `gold` is their label, None where there is none.
    """

    input_ids: tuple[int, ...]
    example: int
    words: tuple[int, ...]
    positions: tuple[int, ...]
    gold: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def labelled(self) -> bool:
        return any(label is not None for label in self.gold)


class WordLabel(NamedTuple):
    """The predicted label of one word of one example, both counted from 0."""

    example: int
    word: int
    label: str


def encode_words(
    sentences: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str | None]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[WordWindow, ...]:
    """One window a sentence, or overlapping ones where it has more than `max_length` sub-words, CLS and SEP included.

    Each word is owned by one window, the one that cuts its context farthest away. A word longer than a window is
    represented by its first sub-words. A sentence without words has no window.

    Raises UsageError for a `max_length` below 3 and for a tokenizer without CLS, SEP or unknown token.
    """
    frame = Frame.of(tokenizer)
    room = max_length - 2
    if room < 1:
        raise UsageError(f"a maximal length of {max_length} leaves no room for a word; expected 3 or more")
    pieces = sub_words(chain.from_iterable(sentences), tokenizer)
    return tuple(
        window
        for example, (words, labels) in enumerate(zip(sentences, gold, strict=True))
        for window in _windows(example, [pieces[word][:room] for word in words], labels, frame, room)
    )


def collate_words(windows: Sequence[WordWindow], labels: Sequence[str] | None, pad_id: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask` and, with `labels`, `labels`: int64, windows x longest window.

    Label ids stand at the first sub-words of the words that a window owns, -100 everywhere else.
    Raises DataError for a gold label that is not among `labels`.
    """
    import torch

    shape = (len(windows), max(len(window) for window in windows))
    batch = {
        "input_ids": torch.full(shape, pad_id, dtype=torch.int64),
        "attention_mask": torch.zeros(shape, dtype=torch.int64),
    }
    for row, window in enumerate(windows):
        batch["input_ids"][row, : len(window)] = torch.tensor(window.input_ids)
        batch["attention_mask"][row, : len(window)] = 1
    if labels is not None:
        batch["labels"] = torch.full(shape, IGNORED, dtype=torch.int64)
        ids = {label: index for index, label in enumerate(labels)}
        for row, window in enumerate(windows):
            gold = [IGNORED if label is None else _id_of(label, ids) for label in window.gold]
            batch["labels"][row, list(window.positions)] = torch.tensor(gold)
    return batch


def decode_words(logits: torch.Tensor, windows: Sequence[WordWindow], labels: Sequence[str]) -> tuple[WordLabel, ...]:
    """The best label of each word that a window owns; `logits` are windows x positions x labels.

    Raises IntegrityError for a head with another number of labels.
    """
    if logits.shape[-1] != len(labels):
        raise IntegrityError(
            f"the head tells {logits.shape[-1]} labels apart, its adapter names {len(labels)};"
            " train or pull the adapter again"
        )
    return tuple(
        WordLabel(window.example, word, labels[best[position]])
        for window, best in zip(windows, logits.argmax(dim=-1).tolist(), strict=True)
        for word, position in zip(window.words, window.positions, strict=True)
    )


def merge_words(lengths: Sequence[int], parts: Iterable[WordLabel]) -> tuple[tuple[str, ...], ...]:
    """The labels of sentences of `lengths` words. Raises KeyError if the parts leave a word out."""
    found = {(part.example, part.word): part.label for part in parts}
    return tuple(tuple(found[example, word] for word in range(length)) for example, length in enumerate(lengths))


def _windows(
    example: int,
    pieces: Sequence[tuple[int, ...]],
    labels: Sequence[str | None],
    frame: Frame,
    room: int,
) -> Iterator[WordWindow]:
    for span in spans([len(piece) for piece in pieces], room):
        starts = _starts(span, pieces)
        yield WordWindow(
            input_ids=(frame.cls, *chain.from_iterable(pieces[span.start : span.stop]), frame.sep),
            example=example,
            words=span.owned,
            positions=tuple(starts[word] for word in span.owned),
            gold=tuple(labels[word] for word in span.owned),
        )


def _starts(span: Span, pieces: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """Where each word of the span starts in its window, after CLS."""
    position, starts = 1, {}
    for word in range(span.start, span.stop):
        starts[word] = position
        position += len(pieces[word])
    return starts


def _id_of(label: str, ids: dict[str, int]) -> int:
    if label not in ids:
        raise DataError(f"the head has no label for the gold label {label!r}; it knows {', '.join(ids)}")
    return ids[label]

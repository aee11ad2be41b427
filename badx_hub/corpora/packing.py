"""Packing: lines become token blocks of full length, span by span.

A span is a part of the text: a fixed number of training blocks (fewer only at the end of the text), the held-out blocks
met on the way, and what is needed to go on after it. Its content is a function of text, tokenizer and length alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from badx_hub.corpora.cleaning import Keys, SeenLines, clean, fingerprints
from badx_hub.corpora.sources import Source
from badx_hub.errors import UsageError
from badx_hub.storage import digest_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = NDArray[np.int32]

HELD_OUT_FRACTION = 0.05
COUNTS = ("lines", "kept", "duplicates", "empty", "nul", "held_out", "tokens", "held_out_tokens")
_BATCH_LINES = 1000
_BATCH_CHARACTERS = 2**20


def held_out(text: str, fraction: float = HELD_OUT_FRACTION) -> bool:
    """Whether a line is held out: decided by its content alone, so copies never straddle the split."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"held out").digest()
    return int.from_bytes(digest, "big") < fraction * 2**64


@dataclass(frozen=True)
class Span:
    """Facts about one span. `counts` cover the whole text up to its end."""

    blocks: int
    ended: bool
    counts: dict[str, int]


@dataclass(frozen=True)
class PackingRules:
    """What turns lines into ids: a tokenizer and its special ids.

    ``first`` begins a block and ``last`` ends a line. ``reserved`` ids (these two, mask, padding ...) never come
    from the text: a literal "<mask>" or "</s>" in a line is left out.
    """

    encoder: Any  # tokenizers.Tokenizer, which has no types
    first: int
    last: int
    reserved: frozenset[int]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> PackingRules:
        """Take a private copy: a tokenizer keeps the truncation and padding of its last call."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise UsageError(
                f"{type(tokenizer).__name__} is not a fast tokenizer; expected one with a tokenizer.json. "
                "Choose a base that has one."
            )
        encoder = deepcopy(backend)
        encoder.no_truncation()
        encoder.no_padding()
        first, last = _frame_ids(tokenizer)
        reserved = frozenset({first, last, *tokenizer.all_special_ids} - {tokenizer.unk_token_id})
        return cls(encoder, first, last, reserved)

    @property
    def digest(self) -> str:
        return digest_of([self.encoder.to_str(), self.first, self.last, sorted(self.reserved)])

    def ids_of(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line, however long it is."""
        encodings = self.encoder.encode_batch_fast(lines, add_special_tokens=False)
        return [self._ordinary(encoding.ids) for encoding in encodings]

    def _ordinary(self, ids: list[int]) -> list[int]:
        return ids if self.reserved.isdisjoint(ids) else [i for i in ids if i not in self.reserved]


class Packer:
    """Reads a source on and makes one span after the other."""

    def __init__(self, source: Source, rules: PackingRules, length: int, fraction: float, shard_blocks: int) -> None:
        self.number = 0
        self._rules = rules
        self._fraction = fraction
        self._shard_blocks = shard_blocks
        self._lines = source.lines()
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._seen = SeenLines()
        self._train = _Stream(rules.first, length)
        self._held = _Stream(rules.first, length)

    def resume(
        self, number: int, counts: dict[str, int], seen: Iterator[Keys], train_rest: Ids, held_rest: Ids
    ) -> None:
        """Go on where span ``number`` - 1 ended; the lines before are read again, but not tokenised."""
        self.number = number
        self._counts.update(counts)
        for keys in seen:
            self._seen.add(keys)
        self._train.add(train_rest)
        self._held.add(held_rest)
        next(islice(self._lines, counts["lines"], counts["lines"]), None)

    def next_span(self) -> tuple[Span, dict[str, NDArray[Any]]]:
        keys: list[Keys] = []
        exhausted = False
        while self._train.blocks < self._shard_blocks and not exhausted:
            raw = _read_batch(self._lines)
            exhausted = not raw
            keys.append(self._pack(raw))
        train = self._train.take(self._shard_blocks)
        arrays: dict[str, NDArray[Any]] = {
            "train": train,
            "held": self._held.take(self._held.blocks),
            "train_rest": self._train.rest(),
            "held_rest": self._held.rest(),
            "seen": np.concatenate(keys) if keys else np.empty(0, np.uint64),
        }
        self.number += 1
        return Span(len(train), exhausted and not self._train.blocks, dict(self._counts)), arrays

    def _pack(self, raw: Sequence[str]) -> Keys:
        kept = clean(raw, self._counts, self._seen)
        is_held = [held_out(line, self._fraction) for line in kept]
        train, held = self._encode(kept, is_held)
        self._train.add(train)
        self._held.add(held)
        self._counts["held_out"] += sum(is_held)
        self._counts["tokens"] += len(train)
        self._counts["held_out_tokens"] += len(held)
        return fingerprints(kept)

    def _encode(self, lines: Sequence[str], is_held: Sequence[bool]) -> tuple[Ids, Ids]:
        """The next tokens of both streams. A line without tokens gets no SEP."""
        streams: tuple[list[int], list[int]] = ([], [])
        for ids, held in zip(self._rules.ids_of(lines), is_held, strict=True):
            if ids:
                streams[held].extend(ids)
                streams[held].append(self._rules.last)
        return np.array(streams[0], np.int32), np.array(streams[1], np.int32)


def training_lines(source: Source, fraction: float = HELD_OUT_FRACTION) -> Iterator[str]:
    """The lines of a text that are learned from, clean, each once. Raises DataError if it cannot be read on."""
    lines, counts, seen = source.lines(), Counter(dict.fromkeys(COUNTS, 0)), SeenLines()
    while raw := _read_batch(lines):
        yield from (line for line in clean(raw, counts, seen) if not held_out(line, fraction))


class _Stream:
    """Tokens not yet cut into blocks."""

    def __init__(self, cls_id: int, length: int) -> None:
        self._cls = cls_id
        self._width = length - 1
        self._parts: list[Ids] = []
        self._size = 0

    @property
    def blocks(self) -> int:
        return self._size // self._width

    def add(self, ids: Ids) -> None:
        self._parts.append(ids)
        self._size += len(ids)

    def rest(self) -> Ids:
        self._parts = [np.concatenate([np.empty(0, np.int32), *self._parts])]
        return self._parts[0]

    def take(self, limit: int) -> Ids:
        """Cut at most ``limit`` whole blocks off the front: ``int32[m, length]``."""
        tokens = self.rest()
        rows = min(limit, self.blocks)
        blocks = np.full((rows, self._width + 1), self._cls, np.int32)
        blocks[:, 1:] = tokens[: rows * self._width].reshape(rows, self._width)
        self._parts = [tokens[rows * self._width :].copy()]
        self._size = len(self._parts[0])
        return blocks


def _read_batch(lines: Iterator[str]) -> list[str]:
    """The next lines, bounded in number and in characters so that long paragraphs cannot swell memory."""
    batch: list[str] = []
    characters = 0
    for line in islice(lines, _BATCH_LINES):
        batch.append(line)
        characters += len(line)
        if characters >= _BATCH_CHARACTERS:
            break
    return batch


def _frame_ids(tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if first is None or last is None:
        raise UsageError(
            "The tokenizer has no token that begins or ends a text (CLS and SEP, or BOS and EOS). "
            "Choose a masked-language-model base such as bert-base-multilingual-cased."
        )
    return int(first), int(last)

"""The token blocks of a text: packed once, cached on disk, read through memory maps.

The cache holds one folder a span (see `badx_hub.corpora.packing`). A folder appears whole or not at all, so it does not
matter which process wrote it, how far that process got, or whether two of them wrote it at once.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from badx_hub.corpora.packing import COUNTS, HELD_OUT_FRACTION, Ids, Packer, PackingRules, Span
from badx_hub.corpora.sources import Source
from badx_hub.errors import BadxError, DataError, IntegrityError, UsageError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_folder, canonical_json, digest_of, discard_folder, home
from badx_hub.untrusted_files import read_plain, refuse_linked_folder, sha256_plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SHARD_TOKENS = 2**20
_FORMAT = 1
_FACTS = "span.json"
_ARRAYS = ("train", "held", "train_rest", "held_rest", "seen")


class BlockStore:
    """The token blocks of one text: training blocks in a reproducible order, and fixed held-out blocks.

    A block is the CLS token and then the next ``length`` - 1 tokens of the stream "line SEP line SEP ...",
    without padding; tokens that do not fill a last block are left out. Text is read and tokenised only as far as the
    requested blocks, one span (about ``shard_tokens`` training tokens) at a time.

    Args:
        source: the text; its digest is part of the cache's key.
        tokenizer: a fast tokenizer with CLS and SEP (or BOS and EOS); it is not changed.
        length: tokens in a block, CLS included.
        held_out_fraction: share of the lines kept apart, 5 % in BAD-X.
        shard_tokens: tokens in a shard of training blocks; training order is shuffled within a shard.

    Raises:
        UsageError: impossible length or fraction, or an unsuitable tokenizer.
    """

    def __init__(
        self,
        source: Source,
        tokenizer: PreTrainedTokenizerFast,
        length: int,
        held_out_fraction: float = HELD_OUT_FRACTION,
        *,
        shard_tokens: int = SHARD_TOKENS,
    ) -> None:
        if length < 2:
            raise UsageError(
                f"A block needs at least 2 tokens; got {length}.",
                remedies=(Advice("Use a larger {}.", (("max_length", None),)),),
            )
        if not 0 <= held_out_fraction < 1:
            raise UsageError(f"The held-out share must be at least 0 and below 1; got {held_out_fraction}.")
        self.source = source
        self.length = length
        self._rules = PackingRules.of(tokenizer)
        self._fraction = held_out_fraction
        self._shard_blocks = max(1, shard_tokens // length)
        key = [_FORMAT, self._rules.digest, source.digest, length, held_out_fraction, self._shard_blocks]
        self._folder = home() / "cache" / "blocks" / digest_of(key)
        self._spans: list[Span] = []
        self._packer: Packer | None = None
        # Memory maps and permutations in use: training reads one shard for a long time.
        self._blocks = lru_cache(maxsize=8)(self._map_blocks)
        self._order = lru_cache(maxsize=8)(_permutation)

    def train_batch(self, indices: range, seed: int) -> Ids:
        """Training blocks ``indices`` of the endless order that belongs to ``seed``.

        The order runs through the shards as they come, each shuffled by itself, and starts again with fresh
        shuffles when the text is used up. It depends on the text and ``seed`` only.

        Args:
            indices: consecutive and not negative, e.g. ``range(step * batch_size, (step + 1) * batch_size)``.

        Returns:
            ``int32[len(indices), length]``, a copy.

        Raises:
            DataError: the text does not fill one block, or cannot be read on.
            StorageError: the cache cannot be written.
        """
        if indices.step != 1 or indices.start < 0:
            raise UsageError(f"Training blocks are drawn in order, from 0 on; got {indices}.")
        parts = []
        start = indices.start
        while start < indices.stop:
            epoch, shard, row = self._locate(start)
            order = self._order(self._spans[shard].blocks, seed, epoch, shard)[row : row + indices.stop - start]
            parts.append(self._blocks(shard, "train")[order])
            start += len(order)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty((0, self.length), np.int32), *parts])

    def held_out_blocks(self, limit: int | None = None) -> Ids:
        """The first ``limit`` held-out blocks (all of them if None, which reads the whole text).

        Returns:
            ``int32[m, length]`` with 1 <= m <= ``limit``, the same in every run.

        Raises:
            DataError: the held-out part does not fill one block, or the text cannot be read on.
        """
        if limit is not None and limit < 1:
            raise UsageError(f"At least one held-out block is needed; got a limit of {limit}.")
        found = 0
        parts = []
        shard = 0
        while (limit is None or found < limit) and self._reach(shard):
            parts.append(self._blocks(shard, "held"))
            found += len(parts[-1])
            shard += 1
        if not found:
            raise self._too_little("held-out text", self.counts["held_out_tokens"])
        return np.concatenate(parts)[:limit]

    @property
    def counts(self) -> dict[str, int]:
        """What happened to the text read so far, up to the last span this object has used.

        Raw ``lines``; of these ``kept`` (the held-out ones included), ``duplicates`` and ``empty`` ones;
        ``nul`` characters removed; lines ``held_out``; ``tokens`` and ``held_out_tokens`` of the two streams,
        SEP included.
        """
        return dict(self._spans[-1].counts) if self._spans else dict.fromkeys(COUNTS, 0)

    def _locate(self, index: int) -> tuple[int, int, int]:
        """Epoch, shard and row of a training index."""
        shard, row = divmod(index, self._shard_blocks)
        if self._reach(shard) and row < self._spans[shard].blocks:
            return 0, shard, row
        total = sum(span.blocks for span in self._spans)
        if not total:
            raise self._too_little("text for training", self.counts["tokens"])
        epoch, index = divmod(index, total)
        return epoch, *divmod(index, self._shard_blocks)

    def _too_little(self, what: str, tokens: int) -> DataError:
        if self.counts["kept"] == 1:
            return DataError(
                f"All text of {self.source.name} is one line, and held-out text is chosen by lines. Write a sentence "
                "or paragraph on each line, and end lines with a line feed (not with a carriage return alone)."
            )
        return DataError(
            f"{self.source.name} has {tokens} tokens of {what}, less than one block of {self.length}.",
            remedies=(Advice("Use a smaller {} or more text.", (("max_length", None),)),),
        )

    def _reach(self, shard: int) -> bool:
        """Load or make the spans up to ``shard``; false if the text ends earlier."""
        while len(self._spans) <= shard:
            if self._spans and self._spans[-1].ended:
                return False
            self._spans.append(self._load_span(len(self._spans)) or self._make_span(len(self._spans)))
        return True

    def _span_folder(self, number: int) -> Path:
        return self._folder / f"{number:05d}"

    def _load_span(self, number: int) -> Span | None:
        """The span from the cache; a damaged one is removed, since making it again gives the same bytes."""
        folder = self._span_folder(number)
        if not os.path.lexists(folder):
            return None
        try:
            refuse_linked_folder(folder, self._folder)
            return _read_span(folder)
        except (BadxError, TypeError, KeyError, AttributeError):
            discard_folder(folder)
            return None

    def _make_span(self, number: int) -> Span:
        # Not kept while it works: an error or Ctrl-C leaves it in an unknown state.
        packer, self._packer = self._packer, None
        if packer is None or packer.number != number:
            packer = self._packer_at(number)
        span, arrays = packer.next_span()
        with atomic_folder(self._span_folder(number)) as folder:
            digests = {}
            for name, array in arrays.items():
                content = _npy(array)
                (folder / f"{name}.npy").write_bytes(content)
                digests[name] = hashlib.sha256(content).hexdigest()
            (folder / _FACTS).write_text(canonical_json({**asdict(span), "digests": digests}), encoding="utf-8")
        self._packer = packer
        return span

    def _packer_at(self, number: int) -> Packer:
        packer = Packer(self.source, self._rules, self.length, self._fraction, self._shard_blocks)
        if number:
            seen = (np.load(self._span_folder(earlier) / "seen.npy") for earlier in range(number))
            last = self._span_folder(number - 1)
            rests = np.load(last / "train_rest.npy"), np.load(last / "held_rest.npy")
            packer.resume(number, self._spans[-1].counts, seen, *rests)
        return packer

    def _map_blocks(self, shard: int, part: str) -> Ids:
        # Indexing a plain view of the map is several times faster than indexing np.memmap.
        blocks: Ids = np.load(self._span_folder(shard) / f"{part}.npy", mmap_mode="r").view(np.ndarray)
        return blocks


def is_sound_span(folder: Path) -> bool:
    """Whether the files of a span in the cache are as they were written."""
    try:
        _read_span(folder)
    except (BadxError, TypeError, KeyError, AttributeError):
        return False
    return True


def _read_span(folder: Path) -> Span:
    """The facts of a span whose files are as they were written, which is checked once a process, at its first use."""
    facts = read_json(read_plain(folder / _FACTS, limit=MIB), _FACTS)
    digests = facts.pop("digests")
    for name in _ARRAYS:
        if sha256_plain(folder / f"{name}.npy") != digests[name]:
            raise IntegrityError(f"{name}.npy is not as it was written.")
    return Span(**facts)


def _npy(array: NDArray[Any]) -> memoryview:
    # In memory: on a full disk, np.save to a file raises an OSError that does not say so.
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getbuffer()


def _permutation(size: int, seed: int, epoch: int, shard: int) -> NDArray[np.intp]:
    # Raw bits, because numpy guarantees them across versions, unlike Generator.permutation.
    bits = np.random.PCG64(np.random.SeedSequence([seed, epoch, shard])).random_raw(size)
    return np.argsort(bits, kind="stable")

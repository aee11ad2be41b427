"""Dynamic masking for masked-language modelling (BERT, section 3.1: 15 % of the tokens, split 80/10/10)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

import torch

from badx_hub.errors import DataError

REPLACED_BY_MASK = 0.8
REPLACED_BY_RANDOM = 0.1


class MaskedBatch(NamedTuple):
    """What the model sees and what it has to guess.

    Attributes:
        input_ids: ``LongTensor[batch, length]``, the ids with the chosen positions replaced.
        positions: ``LongTensor[k]``, ascending indices of the chosen positions in ``input_ids.flatten()``.
        labels: ``LongTensor[k]``, the original ids at these positions.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor


def generator_for(*key: int | str) -> torch.Generator:
    """A CPU generator seeded by ``key`` alone, e.g. ``generator_for(seed, step)``."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def mask_tokens(
    ids: torch.Tensor,
    *,
    special_ids: Collection[int],
    mask_id: int,
    vocab_size: int,
    probability: float = 0.15,
    generator: torch.Generator,
) -> MaskedBatch:
    """Choose positions and hide them: 80 % become the mask, 10 % a random token, 10 % stay as they are.

    Each position that is not special is chosen with ``probability``; if the draw chooses none, one is taken
    at random, so that a batch always has a loss. The result depends on ``ids`` and the state of ``generator``
    only.

    Args:
        ids: ``LongTensor[batch, length]`` on the generator's device (the CPU, with `generator_for`); not
            changed.
        special_ids: ids never chosen and never drawn as the random token.
        mask_id: id of the mask token; counted as special whether listed or not.
        vocab_size: random tokens are drawn from ``range(vocab_size)`` without the special ones.

    Raises:
        DataError: every position holds a special token.
    """
    specials = sorted({i for i in special_ids if 0 <= i < vocab_size} | {mask_id})
    maskable = ~torch.isin(ids, torch.tensor(specials, dtype=ids.dtype, device=ids.device))
    draws = torch.rand(ids.shape, generator=generator, device=ids.device).masked_fill_(~maskable, 2.0)
    chosen = draws < probability
    if not chosen.any():
        if not maskable.any():
            raise DataError(
                "A batch holds nothing but special tokens, so none can be masked. Check text and tokenizer."
            )
        chosen.view(-1)[draws.argmin()] = True
    positions = chosen.flatten().nonzero().squeeze(1)
    labels = ids.flatten()[positions]
    draw = torch.rand(positions.shape, generator=generator, device=ids.device)
    random_ids = _random_ordinary_ids(positions.numel(), specials, vocab_size, generator).to(ids)
    seen = torch.where(draw < REPLACED_BY_MASK, mask_id, labels)
    seen = torch.where(draw >= 1 - REPLACED_BY_RANDOM, random_ids, seen)
    input_ids = ids.flatten().clone()
    input_ids[positions] = seen
    return MaskedBatch(input_ids.view(ids.shape), positions, labels)


def _random_ordinary_ids(count: int, specials: list[int], vocab_size: int, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randint(
        vocab_size - sum(i < vocab_size for i in specials), (count,), generator=generator, device=generator.device
    )
    # The r-th ordinary id is r shifted past every special id at or below it (ascending order matters).
    for special in specials:
        drawn += (drawn >= special).long()
    return drawn

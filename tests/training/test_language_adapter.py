from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.corpora.masking import generator_for, mask_tokens
from badx_hub.training.language_adapter import _slices


@given(st.integers(1, 12), st.integers(4, 20), st.integers(1, 12), st.integers(0, 1000))
def test_slices_are_the_masked_batch_cut_into_pieces(rows: int, length: int, size: int, seed: int) -> None:
    ids = torch.randint(5, 50, (rows, length), generator=torch.Generator().manual_seed(seed))
    masked = mask_tokens(ids, special_ids=(0, 1), mask_id=2, vocab_size=50, generator=generator_for(seed))
    slices = _slices(masked, size)
    assert torch.equal(torch.cat([part.inputs["input_ids"] for part in slices]), masked.input_ids)
    assert torch.equal(torch.cat([part.inputs["labels"] for part in slices]), masked.labels)
    restored = torch.cat([part.inputs["positions"] + n * size * length for n, part in enumerate(slices)])
    assert torch.equal(restored, masked.positions)
    for part in slices:
        hidden = part.inputs["input_ids"].flatten()
        assert bool((part.inputs["positions"] < hidden.numel()).all())
        assert part.labels == len(part.inputs["labels"])
    assert sum(part.units for part in slices) == ids.numel()

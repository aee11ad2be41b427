from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from badx_hub.corpora.masking import MaskedBatch, generator_for, mask_tokens
from badx_hub.errors import DataError

SPECIAL = (0, 1, 2, 99)
MASK = 99
VOCABULARY = 100


def masked(ids: torch.Tensor, seed: int = 0, probability: float = 0.15) -> MaskedBatch:
    return mask_tokens(
        ids,
        special_ids=SPECIAL,
        mask_id=MASK,
        vocab_size=VOCABULARY,
        probability=probability,
        generator=generator_for(seed),
    )


def test_shares_are_15_percent_and_80_10_10() -> None:
    ids = torch.randint(3, 99, (400, 500), generator=generator_for("ids"))
    batch = masked(ids)
    chosen = batch.positions.numel()
    seen = batch.input_ids.flatten()[batch.positions]
    assert chosen / ids.numel() == pytest.approx(0.15, abs=0.005)
    assert (seen == MASK).sum().item() / chosen == pytest.approx(0.8, abs=0.01)
    # One random token in 96 happens to be the original.
    assert (seen == batch.labels).sum().item() / chosen == pytest.approx(0.1 + 0.1 / 96, abs=0.01)


def test_random_replacements_cover_every_ordinary_token_and_no_special_one() -> None:
    ids = torch.full((300, 500), 50)
    batch = masked(ids)
    seen = batch.input_ids.flatten()[batch.positions]
    assert set(seen[seen != MASK].tolist()) == set(range(3, 99))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda length: st.lists(st.lists(st.integers(0, 99), min_size=length, max_size=length), min_size=1, max_size=5)
    ),
    st.integers(0, 2**32),
    st.floats(0.0, 1.0),
)
def test_laws(rows: list[list[int]], seed: int, probability: float) -> None:
    ids = torch.tensor(rows)
    original = ids.clone()
    if all(i in SPECIAL for row in rows for i in row):
        with pytest.raises(DataError, match="special tokens"):
            masked(ids, seed, probability)
        return
    batch = masked(ids, seed, probability)
    flat = original.flatten()
    assert torch.equal(ids, original)
    assert batch.positions.numel() >= 1
    assert torch.equal(batch.labels, flat[batch.positions])
    assert not set(batch.labels.tolist()) & set(SPECIAL)
    elsewhere = torch.ones_like(flat, dtype=torch.bool)
    elsewhere[batch.positions] = False
    assert torch.equal(batch.input_ids.flatten()[elsewhere], flat[elsewhere])
    again = masked(ids, seed, probability)
    assert all(torch.equal(one, other) for one, other in zip(batch, again, strict=True))


def test_probability_one_masks_every_ordinary_position() -> None:
    assert masked(torch.tensor([[0, 5, 6, 2]]), probability=1.0).positions.tolist() == [1, 2]


def test_generators_depend_on_the_whole_key() -> None:
    def draw(*key: int | str) -> int:
        return int(torch.randint(2**60, (1,), generator=generator_for(*key)).item())

    assert draw(1, 23) == draw(1, 23)
    assert len({draw(1, 23), draw(12, 3), draw(1, 24), draw("1", 23)}) == 4

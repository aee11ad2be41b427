from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from badx_hub.modeling.fast import _dropout as dropout
from badx_hub.modeling.fast import cheap_dropout
from badx_hub.modeling.fast._dropout import keep_mask

CPU = torch.device("cpu")


def attention_inputs(**kwargs: object) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    shapes = ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8))
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64, **kwargs) for shape in shapes)  # type: ignore[call-overload]


@given(p=st.floats(0.01, 0.99), seed=st.integers(0, 2**31))
def test_as_many_are_dropped_as_asked_for_and_the_mean_is_kept(p: float, seed: int) -> None:
    torch.manual_seed(seed)
    keep, kept = keep_mask((100, 1000), p)
    share = keep.double().mean().item()
    assert abs(share - (1 - p)) < 6 * (p * (1 - p) / keep.numel()) ** 0.5 + 1e-5
    assert abs(kept * (1 - p) - 1) < 1e-3


def test_neighbours_in_one_draw_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = 1 - keep_mask((250_000, 4), 0.3)[0].double()
    together = (dropped.T @ dropped) / len(dropped)
    expected = torch.full((4, 4), 0.09, dtype=torch.float64).fill_diagonal_(0.3)
    torch.testing.assert_close(together, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 1, 9)])
def test_masks_have_any_shape_and_follow_the_seed(shape: tuple[int, ...]) -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(keep_mask((*shape, 64), 0.5)[0])
    assert masks[0].shape == (*shape, 64)
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_dropout_zeroes_and_scales_and_its_gradient_does_the_same() -> None:
    x = torch.ones(64, 64, requires_grad=True)
    with cheap_dropout(CPU):
        y = nn.Dropout(0.25)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(y, x.grad)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])


def test_in_evaluation_nothing_is_dropped() -> None:
    x = torch.randn(8, 8)
    with cheap_dropout(CPU):
        assert torch.equal(nn.Dropout(0.5).eval()(x), x)
        assert torch.equal(functional.dropout(x, 0.0), x)


def fixed_mask(monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, float]:
    torch.manual_seed(4)
    mask = keep_mask((2, 3, 5, 7), 0.4)
    monkeypatch.setattr(dropout, "keep_mask", lambda *_: mask)
    return mask


def key_mask(kind: str) -> Tensor | None:
    seen = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    seen[1, ..., 4:] = False
    if kind == "bool":
        return seen
    return torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -1e30) if kind == "float" else None


@pytest.mark.parametrize("kind", ["none", "bool", "float"])
def test_attention_and_its_gradients_are_those_of_the_textbook(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, kept = fixed_mask(monkeypatch)
    mask = key_mask(kind)

    def textbook(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if kind == "bool" else scores + mask
        return (scores.softmax(-1) * keep * kept) @ value

    ours, theirs = (attention_inputs(requires_grad=True) for _ in range(2))
    with cheap_dropout(CPU):
        mine = functional.scaled_dot_product_attention(*ours, attn_mask=mask, dropout_p=0.4)
    expected = textbook(*theirs)
    torch.testing.assert_close(mine, expected)
    slope = torch.randn_like(expected)
    for found, wanted in zip(
        torch.autograd.grad(mine, ours, slope), torch.autograd.grad(expected, theirs, slope), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_the_gradient_of_attention_is_its_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed_mask(monkeypatch)

    def attend(*inputs: Tensor) -> Tensor:
        with cheap_dropout(CPU):
            return functional.scaled_dot_product_attention(*inputs, dropout_p=0.4)

    assert torch.autograd.gradcheck(attend, attention_inputs(requires_grad=True))


def test_attention_without_dropout_is_left_to_torch() -> None:
    inputs = attention_inputs()
    with cheap_dropout(CPU):
        found = functional.scaled_dot_product_attention(*inputs)
    assert torch.equal(found, functional.scaled_dot_product_attention(*inputs))


def test_a_mask_that_is_learnt_gets_its_gradient() -> None:
    mask = torch.zeros(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    with cheap_dropout(CPU):
        functional.scaled_dot_product_attention(*attention_inputs(), attn_mask=mask, dropout_p=0.4).sum().backward()
    assert mask.grad is not None and mask.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_for_sixteen_bits_keep_the_same_elements(dtype: torch.dtype) -> None:
    masks = []
    for kind in (torch.float32, dtype):
        torch.manual_seed(3)
        masks.append(keep_mask((5, 9), 0.3, kind)[0])
    assert masks[1].dtype == torch.int16
    assert torch.equal(masks[0].bool(), masks[1].bool())
    values = torch.randn(5, 9).to(dtype).requires_grad_()
    torch.manual_seed(3)
    with cheap_dropout(CPU):
        dropped = functional.dropout(values, 0.3)
    dropped.sum().backward()
    kept = torch.where(masks[0].bool(), values.detach() * (1 / 0.7), 0)
    torch.testing.assert_close(dropped.detach(), kept.to(dtype))
    assert values.grad is not None and torch.equal(values.grad != 0, masks[0].bool())

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from badx_hub.modeling.fast import _decoder_loss as module
from badx_hub.modeling.fast import decoder_loss


def drawn(rows: int, words: int, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = scale * torch.randn(rows, 16, generator=generator)
    weight, bias = torch.randn(words, 16, generator=generator), torch.randn(words, generator=generator)
    return hidden, weight, bias, torch.randint(words, (rows,), generator=generator)


def plain(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(hidden @ weight.T + bias, labels, reduction="sum")


@given(
    rows=st.integers(1, 9),
    words=st.integers(1, 40),
    piece=st.integers(1, 50),
    scale=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_loss_and_gradient_are_those_of_the_full_logits(
    rows: int, words: int, piece: int, scale: float, seed: int
) -> None:
    hidden, *rest = (part.double() if part.is_floating_point() else part for part in drawn(rows, words, scale, seed))
    here, there = (hidden.clone().requires_grad_() for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        loss = decoder_loss(here, *rest)
    expected = plain(there, *rest)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-9, atol=1e-9)


@given(
    rows=st.integers(1, 9),
    words=st.integers(1, 40),
    piece=st.integers(1, 50),
    scale=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_a_bias_that_is_trained_gets_its_gradient(rows: int, words: int, piece: int, scale: float, seed: int) -> None:
    hidden, weight, bias, labels = drawn(rows, words, scale, seed)
    hidden, weight = hidden.double(), weight.double()
    here, there = (bias.double().requires_grad_() for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        (3 * decoder_loss(hidden, weight, here, labels)).backward()
    (3 * plain(hidden, weight, there, labels)).backward()
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-9, atol=1e-9)


@given(
    rows=st.integers(1, 9),
    words=st.integers(2, 40),
    piece=st.integers(1, 50),
    fast=st.booleans(),
    seed=st.integers(0, 2**16),
    data=st.data(),
)
def test_rows_that_were_added_count_and_get_their_gradients(
    rows: int, words: int, piece: int, fast: bool, seed: int, data: st.DataObject
) -> None:
    hidden, weight, bias, labels = (
        one.double() if one.is_floating_point() else one for one in drawn(rows, words, seed=seed)
    )
    size = data.draw(st.integers(1, words - 1))
    here, there = ([one.clone().requires_grad_() for one in (hidden, weight, bias)] for _ in range(2))
    added = (here[1][size:].detach().requires_grad_(), here[2][size:].detach().requires_grad_())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        patch.setenv("BADX_HUB_FAST", str(int(fast)))
        loss = decoder_loss(here[0], weight[:size], here[2][:size], labels, added)
        (3 * loss).backward()
    expected = plain(there[0], there[1], there[2], labels)
    (3 * expected).backward()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(here[0].grad, there[0].grad, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(here[2].grad[:size], there[2].grad[:size], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(added[0].grad, there[1].grad[size:], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(added[1].grad, there[2].grad[size:], rtol=1e-9, atol=1e-9)


def test_in_float32_it_agrees_over_a_large_vocabulary() -> None:
    hidden, *rest = drawn(40, 3 * module._PIECE + 5)
    here, there = (hidden.clone().requires_grad_() for _ in range(2))
    loss, expected = decoder_loss(here, *rest), plain(there, *rest)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-5, atol=1e-5)


def test_its_gradient_is_the_slope_of_its_loss() -> None:
    hidden, weight, bias, labels = drawn(4, 30)
    fixed = (weight.double(), bias.double(), labels)
    assert torch.autograd.gradcheck(lambda states: decoder_loss(states, *fixed), (hidden.double().requires_grad_(),))


def test_huge_logits_do_not_overflow() -> None:
    hidden, *rest = drawn(5, 30, scale=1e4)
    hidden.requires_grad_()
    loss = decoder_loss(hidden, *rest)
    loss.backward()
    torch.testing.assert_close(loss, plain(hidden, *rest))
    assert hidden.grad is not None and hidden.grad.isfinite().all()


def test_bfloat16_states_are_summed_in_float32() -> None:
    hidden, *rest = drawn(6, 200)
    short = hidden.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = decoder_loss(short, *rest)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, plain(hidden, *rest), rtol=0.02, atol=0)
    assert short.grad is not None and short.grad.dtype == torch.bfloat16


def test_without_a_gradient_to_make_the_loss_is_the_same() -> None:
    hidden, *rest = drawn(7, 90)
    with torch.inference_mode():
        found = decoder_loss(hidden, *rest)
    torch.testing.assert_close(found, decoder_loss(hidden.clone().requires_grad_(), *rest).detach(), rtol=0, atol=0)

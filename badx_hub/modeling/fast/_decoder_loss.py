"""Cross-entropy over a large vocabulary with a frozen decoder, and perhaps a few trained rows, without keeping logits.

The gradient with respect to the hidden states is (softmax - one-hot) W. Everything in it is known when the loss is
computed, so one pass computes both, over a piece of the vocabulary at a time. Each piece of logits is used while it is
in the cache, for the softmax sums and for the gradient, and then dropped. Sums and gradient are rescaled to the largest
logit so far, as in FlashAttention (Dao et al., 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PIECE = 4096
"""Words of the vocabulary in a piece: few enough for the cache, enough for fast matrix products."""


def decoder_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, added: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """See `badx_hub.modeling.fast.decoder_loss`."""
    more = added or (weight.new_zeros(0, weight.shape[1]), bias.new_zeros(0))
    loss: Tensor = _DecoderLoss.apply(hidden, weight, bias, labels, *more)  # type: ignore[no-untyped-call]
    return loss


class _DecoderLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, added: Tensor, added_bias: Tensor
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            decoder = _Decoder(weight, bias, added, added_bias)
            largest, total, pulled = _sums(hidden, decoder, pull=ctx.needs_input_grad[0])
            gold, offsets = decoder.rows(labels, total.dtype)
            loss = (total.log() + largest).sum() - (hidden * gold).sum() - offsets.sum()
            slope = None if pulled is None else pulled.div_(total).sub_(gold).to(hidden.dtype)
            bias_slope = None
            if ctx.needs_input_grad[2]:
                old = labels[labels < len(bias)]
                bias_slope = _bias_slope(hidden, weight, bias, old, largest, total)
            slopes: tuple[Tensor | None, Tensor | None] = (None, None)
            if len(added) and (ctx.needs_input_grad[4] or ctx.needs_input_grad[5]):
                slopes = _added_slopes(hidden, decoder, labels, largest, total)
            ctx.save_for_backward(slope, bias_slope, *slopes)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slope, bias_slope, added_slope, added_bias_slope = (
            None if one is None else one * grad.to(one.dtype) for one in ctx.saved_tensors
        )
        return slope, None, bias_slope, None, added_slope, added_bias_slope


@dataclass(frozen=True)
class _Decoder:
    """The rows of a decoder: those of the base, then those that were added to them."""

    weight: Tensor
    bias: Tensor
    added: Tensor
    added_bias: Tensor

    def pieces(self) -> Iterator[tuple[Tensor, Tensor]]:
        """A few thousand rows and their biases at a time."""
        for weight, bias in ((self.weight, self.bias), (self.added, self.added_bias)):
            if len(weight):
                yield from zip(torch.split(weight, _PIECE), torch.split(bias, _PIECE), strict=True)

    def rows(self, labels: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The row and the bias of each label."""
        size = len(self.weight)
        if not len(self.added):
            return self.weight.index_select(0, labels).to(dtype), self.bias.index_select(0, labels)
        is_new, old, new = labels >= size, labels.clamp(max=size - 1), (labels - size).clamp(min=0)
        rows = torch.where(is_new[:, None], self.added[new].to(dtype), self.weight[old].to(dtype))
        return rows, torch.where(is_new, self.added_bias[new].to(dtype), self.bias[old].to(dtype))


def _sums(hidden: Tensor, decoder: _Decoder, *, pull: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of each row: the largest logit m, the sum of exp(logit - m) and, with `pull`, of exp(logit - m) * word vector."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    total = hidden.new_zeros(len(hidden), 1, dtype=wide)
    largest = torch.full_like(total, -torch.inf)
    pulled = torch.zeros_like(hidden, dtype=wide) if pull else None
    for words, offsets in decoder.pieces():
        words = words.to(hidden.dtype)
        logits = torch.addmm(offsets.to(hidden.dtype), hidden, words.t()).to(wide)
        larger = torch.maximum(largest, logits.amax(1, keepdim=True))
        shares = logits.sub_(larger).exp_()
        shrunk = (largest - larger).exp_()
        total.mul_(shrunk).add_(shares.sum(1, keepdim=True))
        if pulled is not None:
            pulled.mul_(shrunk).add_(shares.to(hidden.dtype) @ words)
        largest = larger
    return largest, total, pulled


def _added_slopes(
    hidden: Tensor, decoder: _Decoder, labels: Tensor, largest: Tensor, total: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the rows that were added: (softmax - one-hot).T @ hidden, and its sums: [added, hidden] and [added]."""
    added, bias, size = decoder.added, decoder.added_bias, len(decoder.weight)
    logits = torch.addmm(bias.to(hidden.dtype), hidden, added.to(hidden.dtype).t()).to(total.dtype)
    shares = logits.sub_(largest).exp_().div_(total)
    (found,) = torch.nonzero(labels >= size, as_tuple=True)
    shares[found, labels[found] - size] -= 1
    return (shares.to(hidden.dtype).t() @ hidden).to(added.dtype), shares.sum(0).to(bias.dtype)


def _bias_slope(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, largest: Tensor, total: Tensor) -> Tensor:
    """softmax - one-hot, summed over the rows: [vocabulary]. Only now are the sums of the softmax known."""
    slope = torch.empty_like(bias, dtype=total.dtype)
    for start in range(0, len(bias), _PIECE):
        words = weight[start : start + _PIECE].to(hidden.dtype)
        logits = torch.addmm(bias[start : start + _PIECE].to(hidden.dtype), hidden, words.t()).to(total.dtype)
        slope[start : start + _PIECE] = logits.sub_(largest).exp_().div_(total).sum(0)
    ones = torch.ones_like(labels, dtype=total.dtype)
    return slope.index_add_(0, labels, ones, alpha=-1).to(bias.dtype)

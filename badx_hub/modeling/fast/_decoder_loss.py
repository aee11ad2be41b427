"""Cross-entropy over a large vocabulary with a frozen decoder, without keeping the logits.

The gradient with respect to the hidden states is (softmax - one-hot) W. Everything in it is known when the loss is
computed, so one pass computes both, over a piece of the vocabulary at a time. Each piece of logits is used while it is
in the cache, for the softmax sums and for the gradient, and then dropped. Sums and gradient are rescaled to the largest
logit so far, as in FlashAttention (Dao et al., 2022).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PIECE = 4096
"""Words of the vocabulary in a piece: few enough for the cache, enough for fast matrix products."""


def decoder_loss(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """See `badx_hub.modeling.fast.decoder_loss`."""
    loss: Tensor = _DecoderLoss.apply(hidden, weight, bias, labels)  # type: ignore[no-untyped-call]
    return loss


class _DecoderLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            largest, total, pulled = _sums(hidden, weight, bias, pull=ctx.needs_input_grad[0])
            gold = weight.index_select(0, labels).to(total.dtype)
            loss = (total.log() + largest).sum() - (hidden * gold).sum() - bias.index_select(0, labels).sum()
            slope = None if pulled is None else pulled.div_(total).sub_(gold).to(hidden.dtype)
            bias_slope = None
            if ctx.needs_input_grad[2]:
                bias_slope = _bias_slope(hidden, weight, bias, labels, largest, total)
            ctx.save_for_backward(slope, bias_slope)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        slope, bias_slope = (None if one is None else one * grad.to(one.dtype) for one in ctx.saved_tensors)
        return slope, None, bias_slope, None


def _sums(hidden: Tensor, weight: Tensor, bias: Tensor, *, pull: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of each row: the largest logit m, the sum of exp(logit - m) and, with `pull`, of exp(logit - m) * word vector."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    total = hidden.new_zeros(len(hidden), 1, dtype=wide)
    largest = torch.full_like(total, -torch.inf)
    pulled = torch.zeros_like(hidden, dtype=wide) if pull else None
    for words, offsets in zip(torch.split(weight, _PIECE), torch.split(bias, _PIECE), strict=True):
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


def _bias_slope(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, largest: Tensor, total: Tensor) -> Tensor:
    """softmax - one-hot, summed over the rows: [vocabulary]. Only now are the sums of the softmax known."""
    slope = torch.empty_like(bias, dtype=total.dtype)
    for start in range(0, len(bias), _PIECE):
        words = weight[start : start + _PIECE].to(hidden.dtype)
        logits = torch.addmm(bias[start : start + _PIECE].to(hidden.dtype), hidden, words.t()).to(total.dtype)
        slope[start : start + _PIECE] = logits.sub_(largest).exp_().div_(total).sum(0)
    ones = torch.ones_like(labels, dtype=total.dtype)
    return slope.index_add_(0, labels, ones, alpha=-1).to(bias.dtype)

"""Dropout with cheap random numbers, for training on a CPU.

`torch` draws one random number for each element, on one core: 8 % of a step at mBERT's size. Here one draw of 64 bits
decides about four elements. Attention gets its own backward pass, since torch's fast CPU kernels have no dropout. On
other devices torch's own kernels are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_MaskFor: TypeAlias = Callable[[Sequence[int], float, torch.dtype], tuple[Tensor, float]]

_LEVELS = 2**16
"""Probabilities are rounded to multiples of 1 / this; the scale is exact for the rounded probability."""


class Share(NamedTuple):
    """The elements `start` to `stop` of `total`."""

    start: int
    stop: int
    total: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class CheapDropout(TorchFunctionMode):
    """Replaces torch's functions by ours, whichever module calls them. See `badx_hub.modeling.fast.cheap_dropout`."""

    def __init__(self, rows: Share | None = None, scored: Share | None = None) -> None:
        super().__init__()
        self._rows, self._scored = rows, scored

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if (replaced := _REPLACED.get(func)) is None:
            return func(*args, **(kwargs or {}))
        return replaced(self._mask, *args, **(kwargs or {}))

    def _mask(self, shape: Sequence[int], p: float, dtype: torch.dtype) -> tuple[Tensor, float]:
        """As `keep_mask`; where the tensor is a share of a whole one, its share of the whole one's mask."""
        share, axis = self._share(shape)
        if share is None or share.size == share.total:
            return keep_mask(shape, p, dtype)
        keep, kept = keep_mask((*shape[:axis], share.total, *shape[axis + 1 :]), p, dtype)
        # A copy, so that the rest of the mask is not kept for the backward pass.
        return keep.narrow(axis, share.start, share.size).clone(memory_format=torch.contiguous_format), kept

    def _share(self, shape: Sequence[int]) -> tuple[Share | None, int]:
        if self._scored is not None and len(shape) == 3 and tuple(shape[:2]) == (1, self._scored.size):
            return self._scored, 1
        return (self._rows, 0) if self._rows is not None and shape[0] == self._rows.size else (None, 0)


def keep_mask(shape: Sequence[int], p: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, float]:
    """1 where an element is kept, else 0, of `shape`, and the factor that keeps the expected sum.

    The mask is uint8, or int16 for elements of 16 bits: `kept_of` multiplies it with their bits, several times as fast.
    """
    dropped = min(round(p * _LEVELS), _LEVELS - 1)
    count = torch.Size(shape).numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    bits, least = bits[:count].view(*shape), dropped - _LEVELS // 2
    keep = bits.ge_(least) if dtype.itemsize == bits.itemsize else (bits >= least).view(torch.uint8)
    return keep, _LEVELS / (_LEVELS - dropped)


def kept_of(values: Tensor, keep: Tensor) -> Tensor:
    """The values, which are changed, with 0 where the mask has it."""
    if keep.dtype != torch.int16:
        return values.mul_(keep)
    values.view(torch.int16).mul_(keep)
    return values


def _dropout(mask_for: _MaskFor, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if input.device.type != "cpu" or not training or not p:
        return functional.dropout(input, p, training, inplace)
    output: Tensor = _Dropout.apply(input, *mask_for(input.shape, p, input.dtype))  # type: ignore[no-untyped-call]
    return output


def _attention(
    mask_for: _MaskFor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Many arguments: those of torch's function."""
    learnt_mask = attn_mask is not None and attn_mask.requires_grad  # Ours computes no gradient for a mask.
    if query.device.type != "cpu" or not dropout_p or is_causal or enable_gqa or learnt_mask:
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, -torch.inf)
    keep, kept = mask_for((*query.shape[:-1], key.shape[-2]), dropout_p, query.dtype)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    output: Tensor = _Attention.apply(query, key, value, attn_mask, factor, keep, kept)  # type: ignore[no-untyped-call]
    return output


_REPLACED: dict[Callable[..., Any], Callable[..., Tensor]] = {
    functional.dropout: _dropout,
    functional.scaled_dot_product_attention: _attention,
}


class _Dropout(torch.autograd.Function):
    """input * keep * kept; stores a byte or two for each element for the backward pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor, keep: Tensor, kept: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.kept = kept  # type: ignore[attr-defined]
        return _scaled(input, keep, kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return _scaled(grad, keep, ctx.kept), None, None


def _scaled(values: Tensor, keep: Tensor, kept: float) -> Tensor:
    """values * keep * kept."""
    if keep.dtype != torch.int16:
        return (values * keep).mul_(kept)
    return kept_of(values * kept, keep)


class _Attention(torch.autograd.Function):
    """Scaled dot-product attention with dropout on its probabilities.

    The backward pass computes the probabilities again: at 128 tokens they are as large as everything else that a
    layer's attention stores. Dropout stores a byte for each element, or two where elements have two.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        factor: float,
        keep: Tensor,
        kept: float,
    ) -> Tensor:
        q, k, v = (part.flatten(0, -3) for part in (query, key, value))
        with torch.autocast(query.device.type, enabled=False):
            chosen = kept_of(_probabilities(q, k, mask, factor, keep.shape), keep.view(len(q), *keep.shape[-2:]))
            context = torch.bmm(chosen, v).mul_(kept)
        ctx.save_for_backward(q, k, v, mask, keep)  # type: ignore[arg-type]
        ctx.factor, ctx.kept = factor, kept  # type: ignore[attr-defined]
        return context.view(query.shape[:-1] + value.shape[-1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, keep = ctx.saved_tensors
        heads, g = grad.shape[:-2], grad.flatten(0, -3).mul(ctx.kept)
        probabilities = _probabilities(q, k, mask, ctx.factor, keep.shape)
        keep = keep.view(probabilities.shape)
        to_scores = kept_of(torch.bmm(g, v.transpose(1, 2)), keep)
        to_scores = torch._softmax_backward_data(to_scores, probabilities, -1, probabilities.dtype).mul_(ctx.factor)
        to_value = torch.bmm(kept_of(probabilities, keep).transpose(1, 2), g)
        to_query, to_key = torch.bmm(to_scores, k), torch.bmm(to_scores.transpose(1, 2), q)
        grads = (part.view(*heads, *part.shape[1:]) for part in (to_query, to_key, to_value))
        return (*grads, None, None, None, None)


def _probabilities(query: Tensor, key: Tensor, mask: Tensor | None, factor: float, shape: torch.Size) -> Tensor:
    """softmax(factor query key.T + mask): [heads of the batch, queries, keys]; `shape` before flattening."""
    scores = torch.bmm(query, key.transpose(1, 2)).mul_(factor)
    if mask is not None:
        scores.view(shape).add_(mask)
    return torch.softmax(scores, -1, out=scores)

"""Faster ways to compute what torch computes, and the switch that turns them off.

| here | in place of | what differs |
|---|---|---|
| `cheap_dropout` | torch's dropout and attention dropout on a CPU | other random masks of the same kind; less memory |
| `decoder_loss` | `cross_entropy(linear(hidden, weight, bias), labels)` | rounding; logits are never kept |

Set the environment variable `BADX_HUB_FAST=0` to use torch's own functions, for instance to see whether a strange
result comes from here. Only this module is imported from outside the folder.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from badx_hub.modeling.fast import _decoder_loss, _dropout
from badx_hub.modeling.fast._dropout import Share

__all__ = ["SWITCH", "Share", "cheap_dropout", "decoder_loss", "draws_for_the_whole"]

SWITCH = "BADX_HUB_FAST"


def cheap_dropout(
    device: torch.device, rows: Share | None = None, scored: Share | None = None
) -> AbstractContextManager[object]:
    """In a `with` block, every dropout on a CPU draws its mask cheaply, attention's dropout included.

    Masks are a function of torch's default generator, as torch's own are, but not the same ones. On other devices,
    and with the switch off, nothing changes.

    Args:
        rows: of a whole batch, those that are computed here. Masks are drawn for the whole batch and cut, so that
            slices get together what the whole batch gets at once.
        scored: likewise, the scored positions of a masked language model's batch: [1, positions, hidden].
    """
    return _dropout.CheapDropout(rows, scored) if draws_for_the_whole(device) else nullcontext()


def draws_for_the_whole(device: torch.device) -> bool:
    """Whether `cheap_dropout` draws masks for whole batches on this device."""
    return device.type == "cpu" and _on()


def decoder_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, added: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """The summed cross-entropy, in nats, of `hidden` @ `weight`.T + `bias` against `labels`.

    `hidden` gets a gradient, and `bias` where it asks for one, which takes a second pass over the vocabulary; so do
    the rows of `added`. Sums are float32, or float64 where the inputs are.

    Args:
        hidden: [rows, hidden].
        weight, bias: [vocabulary, hidden], frozen, and [vocabulary].
        labels: [rows] ids of words.
        added: more rows, [more, hidden] and [more], whose words have the ids after those of `weight`; default none.
    """
    if not _on():
        wide = torch.promote_types(hidden.dtype, torch.float32)
        weight, bias = weight.to(hidden.dtype), bias.to(hidden.dtype)
        if added is not None:
            weight, bias = torch.cat([weight, added[0].to(weight)]), torch.cat([bias, added[1].to(bias)])
        return cross_entropy(linear(hidden, weight, bias).to(wide), labels, reduction="sum")
    return _decoder_loss.decoder_loss(hidden, weight, bias, labels, added)


def _on() -> bool:
    return os.environ.get(SWITCH, "1") != "0"

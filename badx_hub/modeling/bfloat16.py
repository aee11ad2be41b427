"""Models that compute in bfloat16: frozen weights are held in it, and everything delicate stays in float32.

| in bfloat16 | in float32 |
|---|---|
| weights of frozen linear layers, held so once | LayerNorms, embeddings, trained weights and their gradients |
| matrix products and the hidden states between them | heads of tasks, losses, metrics, the optimizer |

Sums within products, softmax and LayerNorm are float32 as well. The largest product of a parser's head is in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from badx_hub.modeling.heads import ParsingHead
from badx_hub.modeling.memory import MappedWeights
from badx_hub.modeling.precision import settled

_MARK = "_badx_computes_in_bfloat16"


def hold(model: Any, *, embeddings: bool = False) -> None:
    """Hold the frozen linear layers of a model in bfloat16, and let its encoder compute in it; again for new adapters.

    The encoder's last hidden states are float32, so its heads compute in that. Trained weights stay as they are, and
    are cast in each forward pass. A decoder that shares the matrix of the embeddings takes it along.

    Args:
        embeddings: hold these in bfloat16 too. A CPU maps them from the base's file, row by row, as they are used.
    """
    heads, encoder = getattr(model, "heads", {}), model.base_model
    kinds = (nn.Linear, nn.Embedding) if embeddings else (nn.Linear,)
    files = MappedWeights()
    for module in (encoder if heads else model).modules():
        if isinstance(module, kinds):
            _narrow(module, files)
    for head in heads.values():
        if isinstance(head, ParsingHead):
            head.products = torch.bfloat16
            _narrow(head.biaffine_rels, files)
    if computed_in(model) == torch.float32:
        _compute_in_bfloat16(encoder)
        setattr(encoder, _MARK, True)


def computed_in(model: Any) -> torch.dtype:
    """What the products of the model's encoder are computed in."""
    return torch.bfloat16 if getattr(model.base_model, _MARK, False) else torch.float32


def products_as(model: Any) -> AbstractContextManager[object]:
    """A `with` block that computes matrix products as the model's encoder does."""
    dtype = computed_in(model)
    return nullcontext() if dtype == torch.float32 else torch.autocast(model.device.type, dtype=dtype)


def _narrow(module: nn.Module, files: MappedWeights) -> None:
    for parameter in module.parameters(recurse=False):
        if not parameter.requires_grad and parameter.dtype != torch.bfloat16:
            wide = parameter.data
            parameter.data = wide.to(torch.bfloat16)
            files.forget(wide)


def _compute_in_bfloat16(encoder: Any) -> None:
    plain: Callable[..., Any] = encoder.forward

    @wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with products_as(encoder):
            output = plain(*args, **kwargs)
        if isinstance(output, tuple):
            return (output[0].float(), *output[1:])
        output.last_hidden_state = output.last_hidden_state.float()
        return output

    encoder.forward = forward
    if isinstance(getattr(encoder, "embeddings", None), nn.Module):
        # From here on all hidden states are bfloat16: the layers add what they compute to these.
        encoder.embeddings.register_forward_hook(_narrowed)


def _narrowed(_module: nn.Module, _inputs: Any, output: Any) -> Any:
    return output.to(torch.bfloat16) if isinstance(output, Tensor) else output


def place(model: Any, device: torch.device, dtype: torch.dtype | None) -> None:
    """Put the model on the device, computing in `dtype`, or in what the device is best at; ready to predict."""
    best = dtype is None and settled("auto", device) == "bf16"
    if best or dtype == torch.bfloat16:
        hold(model, embeddings=device.type != "cpu")
        model.to(device)
    else:
        model.to(device=device, dtype=dtype or torch.float32)
    model.eval()

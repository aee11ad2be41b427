"""The masked-language-model loss on masked positions only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import PreTrainedModel

from badx_hub.adapter_files import MLM_HEAD_FILE
from badx_hub.errors import IntegrityError
from badx_hub.modeling.bfloat16 import products_as
from badx_hub.modeling.extended_embeddings import extension_of
from badx_hub.modeling.families import GELU, family_of
from badx_hub.modeling.fast import decoder_loss
from badx_hub.modeling.last_layers import LAST_LAYERS, rows
from badx_hub.recipes import HeadTraining
from badx_hub.storage import cached_sha256
from badx_hub.tensor_files import check_finite, differences, read_header

TRANSFORM: HeadTraining = "transform"
ALL: HeadTraining = "all"
MAX_PERPLEXITY = 1e12
"""What a larger perplexity is told as. A model that guesses at random has that of its vocabulary's size."""


class MaskedLanguageModel(nn.Module):
    """A base with an active adapter; after the last layer's attention, only the masked positions are computed.

    The decoder of mBERT has 119,547 rows: logits of all positions would cost more than its twelve layers.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self._transform = _transform(model)

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """The summed cross-entropy, in nats, over the masked positions.

        Args:
            input_ids: [batch, length], masked; blocks are full, so there is no padding to hide.
            positions: [masked] indices into the flattened [batch * length].
            labels: [masked] the original tokens.
        """
        with products_as(self.model):
            hidden = self._transform(states_at(self.model.base_model, input_ids, positions))
            # `adapters` 1.3 leaves out the inverse of an invertible adapter before a static decoder (MAD-X).
            # Coupling blocks take [batch, length, hidden].
            inverted = self.model.base_model.invertible_adapters_forward(hidden.unsqueeze(0), rev=True).squeeze(0)
            decoder = self.model.get_output_embeddings()
            weight, bias = decoder.weight, decoder.bias
            bias = weight.new_zeros(len(weight)) if bias is None else bias
            if (more := extension_of(self.model)) is None:
                return decoder_loss(inverted, weight, bias, labels)
            # A base may have rows to spare, which are no words.
            first = more.subwords.first
            return decoder_loss(inverted, weight[:first], bias[:first], labels, (more.added, more.added_bias))


def states_at(encoder: nn.Module, input_ids: Tensor, positions: Tensor) -> Tensor:
    """The encoder's last hidden states at `positions` of the flattened batch: [positions, hidden].

    In the last layer, the other positions are computed only as keys and values, if the family has a function for that.
    """
    model: Any = encoder
    family = family_of(model.config)
    if family.last_layer is None:
        return rows(model(input_ids=input_ids, return_dict=True).last_hidden_state, positions)
    hidden: Tensor = model.embeddings(input_ids=input_ids)
    *layers, last = attrgetter(family.layers)(model)
    for layer in layers:
        hidden = layer(hidden, None)[0]  # `adapters` reads the mask; packed blocks have none.
    return LAST_LAYERS[family.last_layer](last, hidden, positions)


def head_parameters(model: Any, head: HeadTraining) -> Mapping[str, nn.Parameter]:
    """The weights of the model's head that are trained with an adapter, by their names in the model.

    The decoder's matrix is never among them: it is the base's embeddings. Raises UsageError for an unknown head.
    """
    if head == "frozen":
        return {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    steps = [step for step in _steps(model) if isinstance(step, nn.Module)]
    chosen = [parameter for step in steps for parameter in step.parameters()]
    bias = model.get_output_embeddings().bias
    if head == "all" and bias is not None:
        chosen.append(bias)
    return {names[id(parameter)]: parameter for parameter in chosen}


def save_mlm_head(model: Any, head: HeadTraining, folder: Path) -> None:
    """Write the weights of `head_parameters` to `MLM_HEAD_FILE` in `folder`, as float32 under their names."""
    trained = head_parameters(model, head).items()
    weights = {name: weight.detach().to("cpu", torch.float32).contiguous() for name, weight in trained}
    (folder / MLM_HEAD_FILE).write_bytes(save(weights, metadata={"format": "pt"}))


def load_mlm_head(model: Any, folder: Path, only: HeadTraining = "all") -> bool:
    """Give the model's head the weights in `folder`; False if there are none. `only`: those of this part of the head.

    Raises IntegrityError if the file has not exactly the weights of a part that is trained, all of them finite.
    """
    path = folder / MLM_HEAD_FILE
    if not path.is_file():
        return False
    stored = read_header(path)
    parts = [head_parameters(model, part) for part in (TRANSFORM, ALL)]
    part = next((one for one in parts if one.keys() == stored.keys()), parts[0])
    if fault := differences({name: tuple(weight.shape) for name, weight in part.items()}, stored):
        raise IntegrityError(f"{path.name} does not fit: {fault}.")
    check_finite(path, digest=cached_sha256(path))
    with torch.no_grad(), safe_open(path, framework="pt") as weights:
        for name in part.keys() & head_parameters(model, only).keys():
            part[name].copy_(weights.get_tensor(name))
    return True


def _steps(model: Any) -> tuple[Callable[[Tensor], Tensor], ...]:
    """What the head does before its decoder, in order. Raises UsageError for a model of a family that is not known."""
    return tuple(gelu if step == GELU else attrgetter(step)(model) for step in family_of(model.config).head)


def _transform(model: Any) -> Callable[[Tensor], Tensor]:
    """All steps of the head before its decoder."""
    steps = _steps(model)
    return lambda states: reduce(lambda found, step: step(found), steps, states)


def perplexity(loss_sum: float, count: int) -> float:
    """exp(mean loss), the perplexity on masked tokens; `loss_sum` in nats.

    At most `MAX_PERPLEXITY`: a model so bad may still learn, and exp of more than 709 nats is no number.
    """
    return math.exp(min(loss_sum / count, math.log(MAX_PERPLEXITY)))

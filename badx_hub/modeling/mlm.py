"""The masked-language-model loss on masked positions only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import BertModel, PreTrainedModel, RobertaModel, XLMRobertaModel

from badx_hub.errors import UsageError
from badx_hub.modeling.fast import decoder_loss
from badx_hub.modeling.precision import products_as
from badx_hub.recipes import HeadTraining

MAX_PERPLEXITY = 1e12
"""What a larger perplexity is told as. A model that guesses at random has that of its vocabulary's size."""

_ALIKE = (BertModel, RobertaModel, XLMRobertaModel)
"""Encoders with the same structure, whose last layer can run on some positions only."""


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
            return decoder_loss(inverted, decoder.weight, decoder.bias, labels)


def states_at(encoder: nn.Module, input_ids: Tensor, positions: Tensor) -> Tensor:
    """The encoder's last hidden states at `positions` of the flattened batch: [positions, hidden].

    In the last layer, the other positions are computed only as keys and values.
    """
    if not isinstance(encoder, _ALIKE):
        states: Tensor = encoder(input_ids=input_ids, return_dict=True).last_hidden_state
        return _rows(states, positions)
    hidden: Tensor = encoder.embeddings(input_ids=input_ids)
    *layers, last = encoder.encoder.layer
    for layer in layers:
        hidden = layer(hidden, None)[0]  # `adapters` reads the mask; packed blocks have none.
    context = last.attention.self(hidden)[0]
    # [1, positions, hidden], since adapters take a batch.
    attended = last.attention.output(_rows(context, positions).unsqueeze(0), _rows(hidden, positions).unsqueeze(0))
    output: Tensor = last.output(last.intermediate(attended), attended)
    return output.squeeze(0)


def _rows(states: Tensor, positions: Tensor) -> Tensor:
    return states.flatten(0, 1).index_select(0, positions)


def head_parameters(model: Any, head: HeadTraining) -> Mapping[str, nn.Parameter]:
    """The weights of the model's head that are trained with an adapter, by their names in the model.

    The decoder's matrix is never among them: it is the base's embeddings. Raises UsageError for an unknown head.
    """
    if head == "frozen":
        return {}
    trained = _transform_layers(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    chosen = [parameter for layer in trained for parameter in layer.parameters()]
    if head == "all":
        chosen.append(model.get_output_embeddings().bias)
    return {names[id(parameter)]: parameter for parameter in chosen}


def _transform_layers(model: Any) -> tuple[nn.Module, ...]:
    """The layers of the head before its decoder."""
    if hasattr(model, "cls"):  # BERT
        return (model.cls.predictions.transform,)
    head: Any = getattr(model, "lm_head", None)
    if hasattr(head, "dense") and hasattr(head, "layer_norm"):  # RoBERTa and XLM-RoBERTa
        return (head.dense, head.layer_norm)
    raise UsageError(
        f"Bases of type {model.config.model_type!r} are not supported for training on text. "
        "Take a BERT, RoBERTa or XLM-RoBERTa model."
    )


def _transform(model: Any) -> Callable[[Tensor], Tensor]:
    """What the head does before its decoder."""
    layers = _transform_layers(model)
    if len(layers) == 1:
        return layers[0]
    dense, norm = layers
    return lambda states: norm(gelu(dense(states)))


def perplexity(loss_sum: float, count: int) -> float:
    """exp(mean loss), the perplexity on masked tokens; `loss_sum` in nats.

    At most `MAX_PERPLEXITY`: a model so bad may still learn, and exp of more than 709 nats is no number.
    """
    return math.exp(min(loss_sum / count, math.log(MAX_PERPLEXITY)))

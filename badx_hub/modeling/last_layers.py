"""The last layer of an encoder on some positions only: the others are computed only as keys and values.

A row of `badx_hub.modeling.families` names the function for its layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def rows(states: Tensor, positions: Tensor) -> Tensor:
    """The states [batch, length, hidden] at positions of the flattened batch: [positions, hidden]."""
    return states.flatten(0, 1).index_select(0, positions)


def of_bert(layer: Any, hidden: Tensor, positions: Tensor) -> Tensor:
    """A layer of BERT, RoBERTa or XLM-RoBERTa: [positions, hidden]."""
    context = layer.attention.self(hidden)[0]
    # [1, positions, hidden], since adapters take a batch.
    attended = layer.attention.output(rows(context, positions).unsqueeze(0), rows(hidden, positions).unsqueeze(0))
    output: Tensor = layer.output(layer.intermediate(attended), attended)
    return output.squeeze(0)


def of_distilbert(layer: Any, hidden: Tensor, positions: Tensor) -> Tensor:
    """A layer of DistilBERT: [positions, hidden]. Its attention ends in a product that runs on all positions."""
    context = layer.attention(query=hidden, key=hidden, value=hidden, mask=None)[0]
    attended = layer.attention_adapters(
        rows(context, positions).unsqueeze(0), rows(hidden, positions).unsqueeze(0), layer.sa_layer_norm
    )
    output: Tensor = layer.output_adapters(layer.ffn(attended), attended, layer.output_layer_norm)
    return output.squeeze(0)


LAST_LAYERS: Mapping[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    function.__name__: function for function in (of_bert, of_distilbert)
}

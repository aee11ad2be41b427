"""Giving a model places for adapters, without changing what it computes."""

from __future__ import annotations

from typing import Any

import adapters


def init_adapters(model: Any) -> None:
    """`adapters.init(model)`, with the model computing what it did before.

    `adapters` 1.3 gives a merged projection of queries, keys and values (`LoRAMergedLinear.wrap`) a bias with random
    values where the layer has none, as those of ModernBERT. Such parameters are taken away again.
    """
    own = {name for name, _ in model.named_parameters()}
    adapters.init(model)
    for name in [name for name, _ in model.named_parameters() if name not in own]:
        place, _, parameter = name.rpartition(".")
        setattr(model.get_submodule(place), parameter, None)

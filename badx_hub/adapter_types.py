"""The adapter types of badx_hub, registered with `adapters`.

After `register()` plain `adapters` code can say `model.add_adapter("en-wo", config="bilingual")`.
"""

from __future__ import annotations

from adapters import SeqBnConfig
from adapters.configuration import ADAPTER_CONFIG_MAP

from badx_hub.recipes.model import AdapterRecipe

LANGUAGE_SIDE = AdapterRecipe()
TASK_SIDE = AdapterRecipe(reduction_factor=16.0)

TYPES = {
    "language": LANGUAGE_SIDE,
    "bilingual": LANGUAGE_SIDE,
    "multilingual": LANGUAGE_SIDE,
    "task": TASK_SIDE,
}


def adapter_config(recipe: AdapterRecipe) -> SeqBnConfig:
    """The `adapters` configuration of a recipe: one bottleneck after the feed-forward block of every layer."""
    return SeqBnConfig(
        reduction_factor=recipe.reduction_factor,
        non_linearity=recipe.non_linearity,
        dropout=recipe.dropout,
        leave_out=list(recipe.leave_out),
        inv_adapter="nice" if recipe.invertible else None,
        inv_adapter_reduction_factor=2 if recipe.invertible else None,
    )


def register() -> None:
    """Register the types of badx_hub with `adapters`. Calling it again changes nothing."""
    ADAPTER_CONFIG_MAP.update({name: adapter_config(recipe) for name, recipe in TYPES.items()})

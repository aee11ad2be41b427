"""Every hyperparameter as validated data: presets, YAML files and flags on top of them."""

from __future__ import annotations

from badx_hub.recipes.load import load_recipe, override, preset_names
from badx_hub.recipes.model import (
    AdapterRecipe,
    HeadTraining,
    LanguageRecipe,
    Precision,
    Recipe,
    Selected,
    TaskRecipe,
    TrainingRecipe,
    kept_words,
)

__all__ = [
    "AdapterRecipe",
    "HeadTraining",
    "LanguageRecipe",
    "Precision",
    "Recipe",
    "Selected",
    "TaskRecipe",
    "TrainingRecipe",
    "kept_words",
    "load_recipe",
    "override",
    "preset_names",
]

"""Adapters in a model: their types, and adding, loading, saving and activating them by their names in the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from adapters import SeqBnConfig
from adapters.composition import Stack
from adapters.configuration import ADAPTER_CONFIG_MAP
from safetensors import SafetensorError, safe_open
from torch import nn

from badx_hub.data.rows import first_line
from badx_hub.errors import IntegrityError, StorageError
from badx_hub.modeling.base import RIGHT_BASE
from badx_hub.modeling.models import without_warnings
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe
from badx_hub.remedies import Advice, VerifyAdapter

_LANGUAGE_ADAPTER = AdapterRecipe()
TYPES = {
    "language": _LANGUAGE_ADAPTER,
    "bilingual": _LANGUAGE_ADAPTER,
    "multilingual": _LANGUAGE_ADAPTER,
    "task": AdapterRecipe(reduction_factor=16.0),
}
"""The adapter types of badx_hub, with the paper's sizes."""


def register_types() -> None:
    """Let plain `adapters` code say `model.add_adapter("en-wo", config="bilingual")`; again it changes nothing."""
    ADAPTER_CONFIG_MAP.update({name: adapter_config(recipe) for name, recipe in TYPES.items()})


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


def add_adapter(model: Any, name: AdapterName, recipe: AdapterRecipe, *, seed: int) -> None:
    """A new adapter with weights drawn from `seed`; the caller's random state stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.add_adapter(name.module_name, config=adapter_config(recipe))


def activate(model: Any, names: Sequence[AdapterName]) -> None:
    """Stack the adapters, the first one closest to the base; no names: the bare base."""
    # `adapters` deactivates first, and warns that nothing is active.
    with without_warnings("adapters.model_mixin"):
        model.set_active_adapters(Stack(*(name.module_name for name in names)) if names else None)


def own_parameters(model: nn.Module, name: AdapterName) -> Mapping[str, nn.Parameter]:
    """The weights of the adapter, its invertible part and its head, by their names in the model."""
    mark = f".{name.module_name}."
    return {key: value for key, value in model.named_parameters() if mark in f".{key}."}


def trained_parameters(model: nn.Module, name: AdapterName) -> Mapping[str, nn.Parameter]:
    """The weights that training this adapter changes: its own, or all of the base and its head."""
    return dict(model.named_parameters()) if name.kind == "model" else own_parameters(model, name)


def save_adapter(model: Any, name: AdapterName, folder: Path) -> None:
    """Write configuration and safetensors of the adapter (with its head, if it has one) to `folder`."""
    with_head = name.module_name in getattr(model, "heads", {})
    try:
        model.save_adapter(str(folder), name.module_name, with_head=with_head, use_safetensors=True)
    except SafetensorError as error:  # safetensors raises this on a full disk.
        raise StorageError(f"{name} could not be written: {error}. Free some space and try again.") from error


def load_adapter(model: Any, name: AdapterName, folder: Path) -> None:
    """Load an adapter (with its head, if the folder has one) under its name inside the model, frozen.

    Raises:
        IntegrityError: weights that the adapter needs are missing from the file, or do not fit.
    """
    report: dict[str, Any] = {}
    with_head = (folder / "head_config.json").is_file()
    try:
        model.load_adapter(
            str(folder),
            load_as=name.module_name,
            with_head=with_head,
            use_safetensors=True,
            loading_info=report,
        )
    except (OSError, RuntimeError) as error:
        raise IntegrityError(
            f"{name} could not be loaded into this base: {first_line(error)}.",
            remedies=(VerifyAdapter(str(name)), RIGHT_BASE),
        ) from error
    missing = [*report.get("missing_keys", ()), *_absent(model, name, folder, with_head)]
    if missing:
        raise IntegrityError(
            f"{name} lacks {len(missing)} of its weights ({missing[0]}, ...).",
            remedies=(Advice("Pull it again, or train it again with {}.", (("force", True),)),),
        )
    for parameter in own_parameters(model, name).values():
        parameter.requires_grad_(False)


def _absent(model: nn.Module, name: AdapterName, folder: Path, with_head: bool) -> list[str]:
    """Weights that the model has under `name` and the files do not: they would stay random."""
    files = ["adapter.safetensors", *(["model_head.safetensors"] if with_head else [])]
    stored = sum(_stored(folder / file) for file in files)
    own = own_parameters(model, name)
    return list(own)[stored:] if stored < len(own) else []


def _stored(file: Path) -> int:
    """The number of weights in a file, from its header."""
    with safe_open(file, framework="pt") as weights:
        return len(weights.keys())

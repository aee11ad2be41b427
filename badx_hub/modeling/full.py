"""A base that was fine-tuned as a whole: its encoder and its head, saved and loaded without any adapter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from badx_hub.adapter_files import ENCODER_FILE
from badx_hub.data.rows import first_line
from badx_hub.errors import IntegrityError, StorageError
from badx_hub.modeling.base import RIGHT_BASE
from badx_hub.modeling.stacks import own_parameters
from badx_hub.names import AdapterName
from badx_hub.remedies import VerifyAdapter


def save_model(model: Any, name: AdapterName, folder: Path) -> None:
    """Write the encoder (float32 safetensors, no adapters) and the head called `name` to `folder`.

    The folder is made if its parent exists. Raises StorageError (the disk is full).
    """
    try:
        model.save_head(str(folder), name.module_name, use_safetensors=True)
        weights = {key: value.detach().float().contiguous() for key, value in _encoder(model).items()}
        save_file(weights, folder / ENCODER_FILE)
    except SafetensorError as error:  # safetensors raises this on a full disk.
        raise StorageError(f"{name} could not be written: {error}. Free some space and try again.") from error


def load_model(model: Any, name: AdapterName, folder: Path) -> None:
    """Give a freshly loaded encoder the weights in `folder`, and add its head, active and frozen.

    Raises:
        IntegrityError: weights are missing from the files, are not part of this base, or have other shapes.
    """
    try:
        weights = load_file(folder / ENCODER_FILE)
        own = _encoder(model)
        _refuse_others(name, own, weights)
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(_fitting(key, weights[key], value))
        model.load_head(str(folder), load_as=name.module_name, use_safetensors=True)
        stored = load_file(folder / "model_head.safetensors")
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise _unfit(name, first_line(error)) from error
    head = own_parameters(model, name)
    _refuse_others(name, head, stored)
    for parameter in head.values():
        parameter.requires_grad_(False)


def _encoder(model: Any) -> Mapping[str, Tensor]:
    """The weights of the base without adapters and heads, each once; only names of adapters have a colon."""
    return {key: value for key, value in model.base_model.named_parameters() if ":" not in key}


def _fitting(key: str, stored: Tensor, own: Tensor) -> Tensor:
    """Raises ValueError for another shape, which `copy_` would broadcast silently."""
    if stored.shape != own.shape:
        raise ValueError(f"{key} is {list(stored.shape)} in the file and {list(own.shape)} in the base")
    return stored


def _refuse_others(name: AdapterName, own: Collection[str], stored: Collection[str]) -> None:
    if missing := [key for key in own if key not in stored]:
        raise _unfit(name, f"the file lacks {len(missing)} of its weights ({missing[0]}, ...)")
    if strange := sorted(key for key in stored if key not in own):
        raise _unfit(name, f"the file has {len(strange)} weights that it has no place for ({strange[0]}, ...)")


def _unfit(name: AdapterName, what: str) -> IntegrityError:
    return IntegrityError(
        f"{name} could not be loaded into this base: {what}.",
        remedies=(VerifyAdapter(str(name)), RIGHT_BASE),
    )

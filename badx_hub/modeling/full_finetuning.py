"""A base that was fine-tuned as a whole: its encoder and its head, saved and loaded without any adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from badx_hub.adapter_files import ENCODER_FILE
from badx_hub.errors import BadxError, IntegrityError, StorageError
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.model_adapters import load_head, told_of
from badx_hub.names import AdapterName
from badx_hub.storage import cached_sha256
from badx_hub.tensor_files import check_finite, differences, read_header


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


def load_model(model: Any, name: AdapterName, folder: Path, head: ExpectedHead) -> None:
    """Give a freshly loaded encoder the weights in `folder`, and add its head, active and frozen.

    Raises:
        DataError: its head is not the one that is expected.
        IntegrityError: weights are missing from the files, are not part of this base, have other shapes or types, or
            are no finite numbers.
    """
    path = folder / ENCODER_FILE
    try:
        own = _encoder(model)
        if fault := differences({key: tuple(value.shape) for key, value in own.items()}, read_header(path)):
            raise IntegrityError(f"{path.name} does not fit: {fault}.")
        check_finite(path, digest=cached_sha256(path))
        with safe_open(path, framework="pt") as weights, torch.no_grad():
            for key, value in own.items():
                value.copy_(weights.get_tensor(key))
        load_head(model, name, folder, head)
    except BadxError as error:
        raise told_of(error, name) from error


def _encoder(model: Any) -> Mapping[str, Tensor]:
    """The weights of the base without adapters and heads, each once; only names of adapters have a colon."""
    return {key: value for key, value in model.base_model.named_parameters() if ":" not in key}

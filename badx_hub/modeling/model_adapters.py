"""Adapters in a model: adding, loading, saving and activating them by their names in the model."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from adapters import BnConfig, SeqBnConfig
from adapters.composition import Stack
from safetensors import SafetensorError, safe_open
from torch import nn

from badx_hub.adapter_files import ADAPTER_WEIGHTS_FILE, HEAD_WEIGHTS_FILE, VOCABULARY_FILE
from badx_hub.corpora.subword_list import SubWords, extend_tokenizer
from badx_hub.errors import BadxError, DataError, IntegrityError, StorageError, UsageError
from badx_hub.modeling import adapter_configs
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base_files import RIGHT_BASE
from badx_hub.modeling.extended_embeddings import extend_model, extension_of, load_rows, save_vocabulary
from badx_hub.modeling.loading import without_warnings
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe
from badx_hub.remedies import VerifyAdapter
from badx_hub.storage import cached_sha256
from badx_hub.tensor_files import check_finite, differences, read_header

# What `adapters` called the places of adapters before its version 1.
_LEGACY_PLACES = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
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


def add_adapter(model: Any, name: AdapterName, recipe: AdapterRecipe, *, seed: int) -> None:
    """A new adapter with weights drawn from `seed`; the caller's random state stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.add_adapter(name.module_name, config=adapter_config(recipe))


def begin_as(model: Any, name: AdapterName, folder: Path) -> None:
    """Give an adapter that was just added the weights of the one in `folder`.

    Raises DataError and IntegrityError as `load_adapter`, of the files in `folder`, and UsageError if its shape is
    another one.
    """
    other = next(one for one in (replace(name, label=f"initial-{number}") for number in (1, 2)) if one != name)
    insert_adapter(model, other, folder)
    ours, theirs = own_parameters(model, name), own_parameters(model, other)
    renamed = {key.replace(f".{other.module_name}.", f".{name.module_name}."): one for key, one in theirs.items()}
    if {key: one.shape for key, one in renamed.items()} != {key: one.shape for key, one in ours.items()}:
        raise UsageError(
            "The adapter to begin with has another shape than the recipe asks for: its reduction factor, its layers or "
            "its invertible part differ. Change the recipe's `adapter`, or begin with another one."
        )
    with torch.no_grad():
        for key, weight in ours.items():
            weight.copy_(renamed[key])
    model.delete_adapter(other.module_name)


def activate(model: Any, names: Sequence[AdapterName]) -> None:
    """Stack the adapters, the first one closest to the base; no names: the bare base."""
    # `adapters` deactivates first, and warns that nothing is active.
    with without_warnings("adapters.model_mixin"):
        model.set_active_adapters(Stack(*(name.module_name for name in names)) if names else None)


def are_active(model: Any, names: Sequence[AdapterName]) -> bool:
    """Whether just these adapters are stacked, in this order."""
    stacked = model.active_adapters
    return (list(stacked) if stacked else []) == [name.module_name for name in names]


def own_parameters(model: nn.Module, name: AdapterName) -> Mapping[str, nn.Parameter]:
    """The weights of the adapter, its invertible part and its head, by their names in the model."""
    mark = f".{name.module_name}."
    return {key: value for key, value in model.named_parameters() if mark in f".{key}."}


def trained_parameters(model: nn.Module, name: AdapterName) -> Mapping[str, nn.Parameter]:
    """The weights that training this adapter changes: its own, or all of the base and its head."""
    return dict(model.named_parameters()) if name.kind == "model" else own_parameters(model, name)


def save_adapter(model: Any, name: AdapterName, folder: Path) -> None:
    """Write configuration and safetensors of the adapter (with its head, if it has one) to `folder`.

    A language adapter takes along the sub-words that the model was extended by.
    """
    with_head = name.module_name in getattr(model, "heads", {})
    try:
        model.save_adapter(str(folder), name.module_name, with_head=with_head, use_safetensors=True)
    except SafetensorError as error:  # safetensors raises this on a full disk.
        raise StorageError(f"{name} could not be written: {error}. Free some space and try again.") from error
    if name.task is None and (extension := extension_of(model)) is not None:
        save_vocabulary(extension, folder)


def use_vocabulary(model: Any | None, tokenizer: Any, name: AdapterName, folder: Path) -> None:
    """Extend a tokenizer by the sub-words of the adapter in `folder`, and the model, if given, unless it is already.

    Raises DataError and IntegrityError as `load_adapter`.
    """
    try:
        subwords = SubWords.read(folder / VOCABULARY_FILE)
        extend_tokenizer(tokenizer, subwords)
        if model is not None and extension_of(model) is None:
            extend_model(model, subwords, *load_rows(folder, subwords, model.get_input_embeddings().embedding_dim))
    except BadxError as error:
        raise told_of(error, name) from error


def load_adapter(model: Any, name: AdapterName, folder: Path, head: ExpectedHead | None = None) -> None:
    """Load an adapter, and its head if one is expected, under its name inside the model, frozen.

    Nothing but these weights changes: the files hold exactly what the configuration asks for, or nothing is loaded.

    Raises:
        DataError: the configuration is none that is loaded here, or the head is not the one that is expected.
        IntegrityError: weights are missing, unknown, of another shape or type, or no finite numbers.
    """
    try:
        insert_adapter(model, name, folder)
        if head is not None:
            with _whole(partial(model.delete_adapter, name.module_name)):
                load_head(model, name, folder, head)
    except BadxError as error:
        raise told_of(error, name) from error


def insert_adapter(model: Any, name: AdapterName, folder: Path) -> None:
    """`load_adapter` without a head, for a folder that is in no registry; errors speak of its files alone."""
    config = adapter_configs.adapter_config(folder, layers=model.config.num_hidden_layers)
    with _whole(partial(model.delete_adapter, name.module_name)):
        # On the device "meta", modules have shapes and take no memory.
        with torch.device("meta"):
            model.add_adapter(name.module_name, config=BnConfig(**config.settings))
        _fill(model, name, folder / ADAPTER_WEIGHTS_FILE, partial(_in_model, model, config.name, name.module_name))


def load_head(model: Any, name: AdapterName, folder: Path, expected: ExpectedHead) -> None:
    """Load the head in `folder` under the adapter's name, frozen and active. Raises as `insert_adapter`."""
    config = adapter_configs.head_config(folder, expected)
    path = folder / HEAD_WEIGHTS_FILE
    _refuse_too_large(path, expected, model.config.hidden_size)
    mine = f"heads.{name.module_name}."
    with _whole(partial(model.delete_head, name.module_name)):
        with torch.device("meta"):
            model.add_prediction_head_from_config(name.module_name, dict(config.settings))
        _fill(model, name, path, lambda key: mine + key.removeprefix(f"heads.{config.name}."), of_head=True)


@contextmanager
def _whole(take_away: Callable[[], object]) -> Iterator[None]:
    """What a load that fails has put into a model is taken away: its weights take no memory and hold no numbers."""
    try:
        yield
    except BaseException:
        take_away()
        raise


def _refuse_too_large(path: Path, expected: ExpectedHead, hidden: int) -> None:
    """Before a head is made: the file holds what its labels need. A parser has a matrix for each."""
    numbers = len(expected.labels) * (hidden**2 if expected.head_type == "dependency_parsing" else hidden)
    if sum(math.prod(tensor.shape) for tensor in read_header(path).values()) < numbers:
        raise IntegrityError(f"{path.name} has fewer weights than {len(expected.labels)} labels need.")


def _in_model(model: Any, old: str, new: str, key: str) -> str:
    """The name in the model of a weight that a file calls `key`, where the adapter has the name `old`.

    Files made from an encoder alone have no prefix, and old ones have other names for the same places.
    """
    for legacy, place in _LEGACY_PLACES.items():
        key = key.replace(legacy, place)
    key = key.replace(f"adapters.{old}.", f"adapters.{new}.")
    prefix = f"{model.base_model_prefix}."
    return key if key.startswith(prefix) else prefix + key


def _fill(model: Any, name: AdapterName, path: Path, rename: Callable[[str], str], *, of_head: bool = False) -> None:
    """Give the modules that were just made their weights from a file that has exactly these, as float32."""
    own = {key: one for key, one in own_parameters(model, name).items() if key.startswith("heads.") == of_head}
    stored = read_header(path)
    names = {rename(key): key for key in stored}
    if len(names) != len(stored):
        raise IntegrityError(f"{path.name} does not fit: two weights are for the same place.")
    renamed = {key: stored[there] for key, there in names.items()}
    if fault := differences({key: tuple(one.shape) for key, one in own.items()}, renamed):
        raise IntegrityError(f"{path.name} does not fit: {fault}.")
    check_finite(path, digest=cached_sha256(path))
    with safe_open(path, framework="pt") as weights:
        for key in own:
            module, _, attribute = key.rpartition(".")
            values = weights.get_tensor(names[key]).to(torch.float32, copy=True)
            setattr(model.get_submodule(module), attribute, nn.Parameter(values, requires_grad=False))


def told_of(error: BadxError, name: AdapterName) -> BadxError:
    """An error about a file of an adapter, with the adapter's name and what to do."""
    if isinstance(error, StorageError) and error.errno != errno.ENOENT:
        return error
    kind = DataError if isinstance(error, DataError) else IntegrityError
    fact = f"{name} could not be loaded into this base: {error.fact}"
    return kind(fact, remedies=(VerifyAdapter(str(name)), RIGHT_BASE))

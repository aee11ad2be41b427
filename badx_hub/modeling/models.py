"""Loading a base into memory, frozen: once with its masked-language-model head, once for stacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adapters
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from badx_hub.errors import UsageError
from badx_hub.modeling.base import Base
from badx_hub.remedies import Advice


def load_tokenizer(base: Base) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a base.

    Raises:
        UsageError: the base has no fast tokenizer.
    """
    tokenizer = AutoTokenizer.from_pretrained(base.folder, use_fast=True)
    if not tokenizer.is_fast:
        raise UsageError(f"{base.ref.name} has no fast tokenizer (tokenizer.json). Save it as one and try again.")
    return tokenizer


def load_masked_lm(base: Base) -> PreTrainedModel:
    """The base with its pretrained masked-language-model head, ready for adapters, every weight frozen.

    Raises:
        UsageError: the checkpoint has no such head, so training would start with a random one.
    """
    with without_warnings("transformers"):  # It advises to train layers that we replace or do not use.
        model, report = AutoModelForMaskedLM.from_pretrained(
            base.folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    head = [key for key in report["missing_keys"] if not key.startswith(model.base_model_prefix)]
    if head:
        raise UsageError(
            f"{base.ref.name} has no masked-language-model head ({head[0]} is missing), so no adapter can be "
            "trained on text with it.",
            remedies=(Advice("Take a base pretrained by masked-language modelling, such as {}.", (("base", "demo"),)),),
        )
    adapters.init(model)
    return freeze(_named(model, base))


def load_encoder(base: Base, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The base without any head, for a stack of adapters; every weight frozen, in evaluation mode."""
    with without_warnings("transformers"):
        config = AutoConfig.from_pretrained(base.folder)
        # Without an architecture `adapters` adds no head called "default" (the whole decoder, and active).
        config.architectures = None
        model = adapters.AutoAdapterModel.from_pretrained(base.folder, config=config, use_safetensors=True, dtype=dtype)
    return freeze(_named(model, base)).eval()


def _named(model: Any, base: Base) -> Any:
    """Set the name that `adapters` writes into saved files: the base's name, not the path of a folder."""
    model.config.name_or_path = base.ref.name
    return model


def freeze(model: Any) -> Any:
    """`model` with gradients off for every parameter it has now."""
    return model.requires_grad_(False)


@contextmanager
def without_warnings(name: str) -> Iterator[None]:
    """Silence warnings of the logger called `name`, a library's, about what is done here on purpose."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

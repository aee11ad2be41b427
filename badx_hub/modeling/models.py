"""Loading a base into memory, frozen: once with its masked-language-model head, once for stacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from badx_hub.data.rows import first_line
from badx_hub.errors import BadxError, IntegrityError, UsageError
from badx_hub.modeling.adapted import init_adapters
from badx_hub.modeling.base import Base
from badx_hub.modeling.base_files import too_many_tokens
from badx_hub.modeling.families import family_of, for_transformers
from badx_hub.remedies import Advice

_SAFELY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is fetched and no code of a base is run, whatever its files ask for."""


def load_tokenizer(base: Base) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a base.

    Raises:
        UsageError: the base has no fast tokenizer, or one without tokens for masking, beginning and end.
        IntegrityError: it cannot be read, or has more tokens than the base has embeddings.
    """
    with _opening(base, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            base.folder, use_fast=True, config=for_transformers(base.config), **_SAFELY
        )
    if not tokenizer.is_fast:
        raise UsageError(f"{base.ref.name} has no fast tokenizer (tokenizer.json). Save it as one and try again.")
    _suit(tokenizer, base)
    tokens = {"mask": tokenizer.mask_token_id, "cls": tokenizer.cls_token_id, "sep": tokenizer.sep_token_id}
    if missing := [name for name, number in tokens.items() if number is None]:
        raise UsageError(
            f"The tokenizer of {base.ref.name} has no {' and no '.join(missing)} token. Take another base."
        )
    if len(tokenizer) > base.config.vocab_size:
        raise IntegrityError(too_many_tokens(base.ref.name, len(tokenizer), base.config))
    return tokenizer


def _suit(tokenizer: Any, base: Base) -> None:
    """Let a tokenizer name the special tokens that its family has under other names, and no types that it lacks."""
    for missing, other in family_of(base.config).stands_in.items():
        if getattr(tokenizer, missing) is None and getattr(tokenizer, other) is not None:
            setattr(tokenizer, missing, getattr(tokenizer, other))
    if base.config.token_types == 1:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]


def load_masked_lm(base: Base) -> PreTrainedModel:
    """The base with its pretrained masked-language-model head, ready for adapters, every weight frozen.

    Raises:
        UsageError: the checkpoint has no such head, so training would start with a random one.
        IntegrityError: its weights cannot be read, or do not fit.
    """
    with _opening(base, "weights"):
        model, report = AutoModelForMaskedLM.from_pretrained(
            base.folder,
            config=for_transformers(base.config),
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=family_of(base.config).attention,
            output_loading_info=True,
            **_SAFELY,
        )
    head = [key for key in report["missing_keys"] if not key.startswith(model.base_model_prefix)]
    if head:
        raise UsageError(
            f"{base.ref.name} has no masked-language-model head ({head[0]} is missing), so no adapter can be "
            "trained on text with it.",
            remedies=(Advice("Take a base pretrained by masked-language modelling, such as {}.", (("base", "demo"),)),),
        )
    init_adapters(model)
    return freeze(_named(model, base))


def load_encoder(base: Base) -> PreTrainedModel:
    """The base without any head, for a stack of adapters; every weight frozen, in evaluation mode."""
    with _opening(base, "weights"):
        # Its configuration names no architecture: `adapters` would add a head for it (a whole decoder, and active).
        module, name = family_of(base.config).adapter_model
        model = getattr(import_module(module), name).from_pretrained(
            base.folder,
            config=for_transformers(base.config),
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=family_of(base.config).attention,
            **_SAFELY,
        )
    return freeze(_named(model, base)).eval()


def _named(model: Any, base: Base) -> Any:
    """Set the name that `adapters` writes into saved files: the base's name, not the path of a folder."""
    model.config.name_or_path = base.ref.name
    return model


def freeze(model: Any) -> Any:
    """`model` with gradients off for every parameter it has now."""
    return model.requires_grad_(False)


@contextmanager
def _opening(base: Base, what: str) -> Iterator[None]:
    """Errors of transformers about a base's files become one of ours; its advice about layers we replace is hidden."""
    try:
        with without_warnings("transformers"):
            yield
    except BadxError:
        raise
    except Exception as error:  # Its loaders, and tokenizers' Rust code, raise whatever comes up, `Exception` too.
        raise IntegrityError(
            f"The {what} of {base.ref.name} cannot be opened: {first_line(error)}. Get the base again."
        ) from error


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

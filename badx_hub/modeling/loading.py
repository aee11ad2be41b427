"""Loading a base into memory, frozen: once with its masked-language-model head, once for stacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as progress

from badx_hub.errors import BadxError, IntegrityError, UsageError, is_panic
from badx_hub.hub.transport import download_bars_kept
from badx_hub.modeling.base import Base
from badx_hub.modeling.base_file_names import TOKENIZER_FILE, has_tokenizer
from badx_hub.modeling.families import family_of, for_transformers
from badx_hub.modeling.init_adapters import init_adapters
from badx_hub.modeling.tokenizer_files import too_many_tokens
from badx_hub.remedies import Advice
from badx_hub.tensor_files import FLOATS, read_header, shown_name

_SAFELY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is fetched and no code of a base is run, whatever its files ask for."""

_TRIED = "A word, 1 \ufb01ne \uff37ord; \u014b \u4f60 \u200d \u0301 \U0001f600 \U0010fffd"
"""Letters of several kinds, and what no base knows."""
_MOST_PIECES = 1000


def load_tokenizer(base: Base) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a base.

    Raises:
        UsageError: the base has no fast tokenizer, or one without tokens for masking, beginning and end.
        IntegrityError: it cannot be read, or has more tokens than the base has embeddings.
    """
    names = {path.name for path in base.folder.iterdir()}
    if not has_tokenizer(names):
        raise _no_tokenizer(base)
    try:
        with _opening(base, "tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(
                base.folder, use_fast=True, config=for_transformers(base.config), **_SAFELY
            )
    except IntegrityError as error:
        if TOKENIZER_FILE in names:
            raise
        raise _no_tokenizer(base) from error  # Not every class makes one of lists of words.
    if not tokenizer.is_fast:
        raise UsageError(f"{base.ref.name} has no fast tokenizer (tokenizer.json). Save it as one and try again.")
    _suit(tokenizer, base)
    tokens = {name: getattr(tokenizer, f"{name}_token_id") for name in ("mask", "cls", "sep", "pad")}
    if missing := [name for name, number in tokens.items() if number is None]:
        raise UsageError(
            f"The tokenizer of {base.ref.name} has no {' and no '.join(missing)} token. Take another base."
        )
    count = max(len(tokenizer), *(1 + number for number in tokenizer.added_tokens_decoder))
    if count > base.config.vocab_size:
        raise IntegrityError(too_many_tokens(base.ref.name, count, base.config))
    with _opening(base, "tokenizer"):
        fault = _fault_in_reading(tokenizer, base)
    if fault is not None:
        raise IntegrityError(
            f"The tokenizer of {base.ref.name} does not fit: {fault}. Give the base the tokenizer that it was trained "
            "with."
        )
    return tokenizer


def _no_tokenizer(base: Base) -> IntegrityError:
    return IntegrityError(
        f"{base.ref.name} has no tokenizer that is read here ({TOKENIZER_FILE}). Save its tokenizer as a fast one "
        "(`AutoTokenizer.from_pretrained(...).save_pretrained(...)`) and put the files beside its weights."
    )


def _fault_in_reading(tokenizer: Any, base: Base) -> str | None:
    """What is wrong with the numbers of a text and of a pair, as part of a sentence; None for a sound tokenizer."""
    if tokenizer.mask_token_id in (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id):
        return "its mask stands for something else as well"
    for texts in ((_TRIED,), (_TRIED, _TRIED)):
        read = tokenizer(*texts, verbose=False)
        if max(read["input_ids"], default=0) >= base.config.vocab_size:
            return f"it gives numbers of tokens that the base has no embeddings for ({max(read['input_ids'])})"
        if max(read.get("token_type_ids", (0,)), default=0) >= base.config.token_types:
            return "it tells more texts apart than the base does (token_type_ids)"
        if len(read["input_ids"]) > _MOST_PIECES:
            return "it makes thousands of sub-words of a short text"
        places = list(zip(read.sequence_ids(), read.word_ids(), strict=True))
        for number in range(len(texts)):
            words = [word for text, word in places if text == number and word is not None]
            if not words or words != sorted(words):
                return "it does not give the words of a text once and in their order"
    return None


def _suit(tokenizer: Any, base: Base) -> None:
    """Let a tokenizer name the special tokens that its family has under other names, and the inputs that it takes."""
    for missing, other in family_of(base.config).stands_in.items():
        if getattr(tokenizer, missing) is None and getattr(tokenizer, other) is not None:
            setattr(tokenizer, missing, getattr(tokenizer, other))
    typed = base.config.token_types > 1 and "token_type_ids" in tokenizer.model_input_names
    tokenizer.model_input_names = ["input_ids", *(["token_type_ids"] if typed else []), "attention_mask"]


def load_masked_lm(base: Base) -> PreTrainedModel:
    """The base with its pretrained masked-language-model head, ready for adapters, every weight frozen.

    Raises:
        UsageError: the checkpoint has no such head, so training would start with a random one.
        IntegrityError: its weights cannot be read, or do not fit.
    """
    _check_stored_head(base)
    with _opening(base, "weights"):
        model, report = AutoModelForMaskedLM.from_pretrained(
            base.folder,
            config=for_transformers(base.config),
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=family_of(base.config).attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **_SAFELY,
        )
    _check_encoder(report, base)
    _check_head(report, base)
    head = [key for key in report["missing_keys"] if not key.startswith(model.base_model_prefix)]
    if head:
        raise UsageError(
            f"{base.ref.name} has no masked-language-model head ({head[0]} is missing), so no adapter can be "
            "trained on text with it.",
            remedies=(Advice("Take a base pretrained by masked-language modelling, such as {}.", (("base", "demo"),)),),
        )
    init_adapters(model)
    return freeze(_named(model, base))


def _check_encoder(report: Mapping[str, Any], base: Base) -> None:
    """Raises IntegrityError if transformers did not find weights that are there, and left random numbers."""
    prefix, wanted = family_of(base.config).prefix, base.config.shapes()
    if missing := [key for key in report["missing_keys"] if key.removeprefix(prefix) in wanted]:
        raise IntegrityError(
            f"The weights of {base.ref.name} do not fit: {shown_name(missing[0])} was not loaded. Get the base again."
        )


def _check_head(report: Mapping[str, Any], base: Base) -> None:
    """The encoder is known to be right. Raises IntegrityError for a head of another shape."""
    if other := report["mismatched_keys"]:
        raise IntegrityError(
            f"The weights of {base.ref.name} do not fit: {shown_name(other[0])} has another shape in the file than in "
            "the model. Get the base again."
        )


def _check_stored_head(base: Base) -> None:
    """Raises IntegrityError for weights beside the encoder's that transformers would fail at."""
    prefix, encoder = family_of(base.config).prefix, {name.partition(".")[0] for name in base.config.shapes()}
    stored = {name: one for file in base.weights for name, one in read_header(file).items()}
    beside = [name for name in stored if name.partition(".")[0] not in {prefix.rstrip("."), "pooler", *encoder}]
    if typed := [name for name in beside if stored[name].dtype not in {*FLOATS, "F64"}]:
        raise IntegrityError(
            f"The weights of {base.ref.name} do not fit: {shown_name(typed[0])} is of type {stored[typed[0]].dtype}, "
            "and weights are F32, F16 or BF16. Get the base again."
        )
    if beside and not any(name.startswith(prefix) for name in stored):
        raise IntegrityError(
            f"The weights of {base.ref.name} do not fit: beside a head ({shown_name(beside[0])}), those of the encoder "
            f"have the prefix '{prefix}'. Get the base again."
        )


def load_encoder(base: Base) -> PreTrainedModel:
    """The base without any head, for a stack of adapters; every weight frozen, in evaluation mode."""
    with _opening(base, "weights"):
        # Its configuration names no architecture: `adapters` would add a head for it (a whole decoder, and active).
        module, name = family_of(base.config).adapter_model
        model, report = getattr(import_module(module), name).from_pretrained(
            base.folder,
            config=for_transformers(base.config),
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=family_of(base.config).attention,
            output_loading_info=True,
            **_SAFELY,
        )
    _check_encoder(report, base)
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
        with without_warnings("transformers"), _without_bars():
            yield
    except BadxError:
        raise
    except BaseException as error:  # Its loaders, and tokenizers' Rust code, raise whatever comes up, `Exception` too.
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise IntegrityError(
            f"The {what} of {base.ref.name} cannot be opened: {_reason(error)}. Get the base again."
        ) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """No bar of transformers, which draws one for every base in parts; those for downloads are of another library."""
    had_bars = progress.is_progress_bar_enabled()
    with download_bars_kept():  # Transformers switches these too.
        progress.disable_progress_bar()
        try:
            yield
        finally:
            if had_bars:
                progress.enable_progress_bar()


def _reason(error: BaseException) -> str:
    """The first line that says something: torch begins with "Error(s) in loading"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.rstrip().endswith(":")]
    return shown_name(lines[0].rstrip(". ")) if lines else type(error).__name__


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

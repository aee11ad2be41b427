"""The files of a base as strangers may have made them, checked before anything loads them. Loads no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from badx_hub.documents import MIB, read_json
from badx_hub.errors import BadxError, DataError, IntegrityError, StorageError
from badx_hub.manifest_fields import first_problem
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.families import checked_config, family_of
from badx_hub.plain_files import read_regular
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home
from badx_hub.tensor_files import StoredTensor, differences, read_header, shown_name

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
INDEX_FILE = "model.safetensors.index.json"
WEIGHTS = "model*.safetensors"
MAX_TOKENIZER_BYTES = 64 * MIB
"""That of XLM-V, with 901,629 words, has 40 MB."""

# Values of tokenizer.json: a word of a Unigram model is three (a list, a text and a number).
_MAX_TOKENIZER_VALUES = 2**23
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens")
_SPECIAL = ("cls_token", "sep_token", "mask_token", "pad_token", "unk_token")
_SWITCHES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space")
# Names that TensorFlow gave; transformers renames them too.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_Special = str | dict[str, Any] | None


class _TokenizerConfig(BaseModel):
    """What transformers reads from tokenizer_config.json and acts on. Other fields are texts for other programs."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False, defer_build=True)

    auto_map: None = None
    tokenizer_class: str | None = None
    model_max_length: Annotated[float, Field(gt=0)] | None = None
    cls_token: _Special = None
    sep_token: _Special = None
    mask_token: _Special = None
    pad_token: _Special = None
    unk_token: _Special = None
    added_tokens_decoder: Annotated[dict[Annotated[str, Field(pattern=r"\A[0-9]{1,7}\z")], Any], Field()] = {}
    additional_special_tokens: list[_Special] | None = None


@dataclass(frozen=True)
class Vocabulary:
    """`digest` identifies how text becomes numbers; `size` is the largest number of a token, and one."""

    digest: str
    size: int


def read_config(folder: Path) -> BaseConfig:
    """The configuration in a base's folder. Raises DataError and UsageError as `checked_config`."""
    try:
        content = read_json(read_regular(folder / CONFIG_FILE, limit=MIB), f"{folder.name}/{CONFIG_FILE}")
    except BadxError as error:
        raise DataError(
            f"{folder.name}/{CONFIG_FILE} does not describe a transformer ({error.fact.rstrip('.')}).",
            remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
        ) from error
    return checked_config(content, folder.name)


def most_bytes(config: BaseConfig) -> int:
    """The most that the weights of such a base can have: the encoder twice in float32, for a decoder of its own."""
    return 8 * sum(math.prod(shape) for shape in config.shapes().values()) + 64 * MIB


def most_beside(name: str) -> int:
    """The most bytes that a file other than weights can have."""
    return MIB if name == CONFIG_FILE else MAX_TOKENIZER_BYTES


def check_weights(weights: Sequence[Path], config: BaseConfig, base: str) -> None:
    """Raises IntegrityError unless the files hold the whole encoder that the configuration describes."""
    stored: dict[str, StoredTensor] = {}
    names = [file.name for file in weights]
    for file in weights:
        try:
            tensors = read_header(file)
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error.fact}", remedies=error.remedies) from error
        for name, tensor in tensors.items():
            if name in stored:
                raise IntegrityError(f"{base}: {shown_name(name)} is in two of its files of weights.")
            stored[name] = tensor
    found = _of_encoder(stored, config)
    if fault := differences(config.shapes(), found):
        raise IntegrityError(f"{base}: its weights are not those of its config.json: {fault}.")
    size = sum(tensor.end - tensor.start for tensor in stored.values())
    if size > most_bytes(config):
        raise IntegrityError(f"{base}: its weights have {size:,} bytes, more than its config.json accounts for.")
    _check_index(weights[0].parent, names, base)


def _of_encoder(stored: Mapping[str, StoredTensor], config: BaseConfig) -> Mapping[str, StoredTensor]:
    """The encoder's weights by the names that `BaseConfig.shapes` has; heads and poolers left out."""
    wanted, found, prefix = config.shapes(), dict[str, StoredTensor](), family_of(config).prefix
    for name, tensor in stored.items():
        plain = name.removeprefix(prefix)
        for old, new in _OLD_NAMES.items():
            plain = plain.replace(old, new)
        if plain in wanted:
            found[plain] = tensor
    return found


def _check_index(folder: Path, names: list[str], base: str) -> None:
    """An index leads to the files that were checked, and to no others."""
    if not (folder / INDEX_FILE).is_file() or "model.safetensors" in names:
        return  # transformers reads it only in absence of one file with all weights.
    index = read_json(read_regular(folder / INDEX_FILE, limit=4 * MIB), f"{base}/{INDEX_FILE}", limit=4 * MIB)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(name, str) and name in names for name in places.values()):
        raise IntegrityError(f"{base}: {INDEX_FILE} leads to other files than {', '.join(names)}.")


def read_vocabulary(folder: Path, config: BaseConfig) -> Vocabulary | None:
    """The identity of a base's fast tokenizer; None without tokenizer.json.

    It is the same for two files that make the same numbers of a text: how JSON is written and how inputs were padded
    last do not count.

    Raises DataError (it cannot be read, or brings code), IntegrityError (more tokens than embeddings).
    """
    settings = _tokenizer_config(folder, config)
    path = folder / TOKENIZER_FILE
    if not path.exists():
        return None
    vocabulary = _remembered(path, settings)
    if vocabulary.size > config.vocab_size:
        raise IntegrityError(too_many_tokens(folder.name, vocabulary.size, config))
    return vocabulary


def too_many_tokens(base: str, count: int, config: BaseConfig) -> str:
    """The error about a tokenizer whose `count` of tokens is more than the base has embeddings for."""
    return (
        f"The tokenizer of {base} has {count:,} tokens, and the base has embeddings for {config.vocab_size:,}. "
        "Give the base the tokenizer that it was trained with."
    )


def _tokenizer_config(folder: Path, config: BaseConfig) -> Mapping[str, Any]:
    """The fields of tokenizer_config.json that change the numbers of a text."""
    path = folder / TOKENIZER_CONFIG_FILE
    if not path.exists():
        return {}
    shown = f"{folder.name}/{TOKENIZER_CONFIG_FILE}"
    content = read_json(read_regular(path, limit=8 * MIB), shown, limit=8 * MIB)
    try:
        read = _TokenizerConfig.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{shown} does not describe a tokenizer: {shown_name(first_problem(error))}.") from error
    family = family_of(config)
    known = (None, "PreTrainedTokenizerFast", *family.tokenizers)
    if read.tokenizer_class not in known:
        raise DataError(
            f"{shown} names a tokenizer that no {family.title} has "
            f"({shown_name(str(read.tokenizer_class))}): {', '.join(map(str, known[1:]))} are taken."
        )
    specials = {field: _token(getattr(read, field)) for field in _SPECIAL}
    return {**specials, **{switch: content[switch] for switch in _SWITCHES if content.get(switch) is not None}}


def _token(value: _Special) -> str | None:
    return str(value.get("content")) if isinstance(value, dict) else value


def _remembered(path: Path, settings: Mapping[str, Any]) -> Vocabulary:
    """What was found out once about a file of this content is kept: large ones take a second."""
    if not path.is_file():
        raise DataError(f"{path.parent.name}/{TOKENIZER_FILE} is not a regular file.")
    memory = home() / "cache" / "tokenizers" / f"{digest_of([cached_sha256(path), dict(settings)])}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(memory.read_bytes())
        return Vocabulary(str(known["digest"]), int(known["size"]))
    found = _vocabulary(path, settings)
    with suppress(StorageError):
        atomic_write_text(memory, canonical_json({"digest": found.digest, "size": found.size}))
    return found


def _vocabulary(path: Path, settings: Mapping[str, Any]) -> Vocabulary:
    shown = f"{path.parent.name}/{TOKENIZER_FILE}"
    content = read_json(
        read_regular(path, limit=MAX_TOKENIZER_BYTES), shown, limit=MAX_TOKENIZER_BYTES, values=_MAX_TOKENIZER_VALUES
    )
    try:
        words, added = content["model"]["vocab"], content.get("added_tokens") or []
        numbers = words.values() if isinstance(words, dict) else range(len(words))
        largest = max([*numbers, *(token["id"] for token in added)])
        if type(largest) is not int or largest < 0:
            raise ValueError("a token's number is none")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{shown} is not a tokenizer: it has no vocabulary.") from error
    parts = {part: content.get(part) for part in _PARTS}
    return Vocabulary(digest_of({**parts, "settings": dict(settings)}), largest + 1)

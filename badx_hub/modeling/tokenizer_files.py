"""The words of a base: the files of its tokenizer as strangers may have made them, and what identifies them.

Loads no torch.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from badx_hub.errors import DataError, IntegrityError, StorageError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.manifest_fields import first_problem
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.base_file_names import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from badx_hub.modeling.base_files import MAX_TOKENIZER_BYTES, file_of_base
from badx_hub.modeling.families import family_of
from badx_hub.modeling.sentencepiece_charsmap import check_characters_map
from badx_hub.modeling.tokenizer_patterns import fault_of_steps
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home
from badx_hub.tensor_files import shown_name

# Values of tokenizer.json: a word of a Unigram model is three (a list, a text and a number).
_MAX_TOKENIZER_VALUES = 2**23
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens")
_SPECIAL = ("cls_token", "sep_token", "mask_token", "pad_token", "unk_token")
_NEEDED = ("cls_token", "sep_token", "mask_token", "pad_token")
_SWITCHES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space")
# Beside tokenizer_config.json: special tokens by their names, and the numbers of added ones.
_MAP_FILE, _ADDED_FILE = "special_tokens_map.json", "added_tokens.json"
_MORE, _NUMBERED, _NAMED = "more", "numbered", "named"
_CHECKED = 3
"""The version of the checks that a remembered tokenizer has passed."""
_WORD_LISTS = ("vocab.txt", "vocab.json", "merges.txt")
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
    added_tokens_decoder: dict[Annotated[str, Field(pattern=r"\A[0-9]{1,7}\z")], Any] = {}
    additional_special_tokens: list[_Special] | None = None
    extra_special_tokens: dict[str, _Special] | list[_Special] | None = None
    model_input_names: list[str] | None = None


@dataclass(frozen=True)
class Vocabulary:
    """`digest` identifies how text becomes numbers; `size` is the largest number of a token plus one."""

    digest: str
    size: int


def read_vocabulary(folder: Path, config: BaseConfig, base: str) -> Vocabulary | None:
    """The identity of a base's fast tokenizer; None without tokenizer.json.

    It is the same for two files that make the same numbers of a text: how JSON is written and how inputs were padded
    last do not count.

    Raises DataError (it cannot be read, or brings code), IntegrityError (more tokens than embeddings).
    """
    read, settings = _tokenizer_config(folder, config, base)
    mapped, numbered = _beside(folder, _MAP_FILE, base), {*_tokens(read.added_tokens_decoder)}
    named = {*numbered, *_tokens(read.additional_special_tokens), *_tokens(read.extra_special_tokens)}
    named |= {*_tokens(mapped), *(added := _beside(folder, _ADDED_FILE, base))}
    path = folder / TOKENIZER_FILE
    if not path.exists():
        for name in filter(lambda one: (folder / one).exists(), _WORD_LISTS):
            file_of_base(folder, name, base, limit=MAX_TOKENIZER_BYTES)
        return None
    beside = {
        _MORE: sorted(named - set(map(str, settings.values()))),
        _NUMBERED: sorted({*numbered, *added}),
        _NAMED: {field: settings.get(field) or next(_tokens([mapped.get(field)]), None) for field in _NEEDED},
    }
    vocabulary = _remembered(path, {**settings, **beside}, base)
    if vocabulary.size > config.vocab_size:
        raise IntegrityError(too_many_tokens(base, vocabulary.size, config))
    return vocabulary


def _beside(folder: Path, name: str, base: str) -> dict[str, Any]:
    """The table in a file beside tokenizer.json; empty if there is none. Raises DataError."""
    if not (folder / name).exists():
        return {}
    content = read_json(file_of_base(folder, name, base, limit=MIB), f"{base}/{name}")
    if not isinstance(content, dict):
        raise DataError(f"{base}/{name} is not a table of tokens.")
    return content


def _tokens(named: Any) -> Iterator[str]:
    """The tokens in a table or a list of them, or in lists of a table."""
    for one in named.values() if isinstance(named, dict) else named or ():
        if isinstance(one, list):
            yield from _tokens(one)
        elif isinstance(one, str | dict) and (token := _token(one)):
            yield token


def too_many_tokens(base: str, count: int, config: BaseConfig) -> str:
    """The error about a tokenizer whose `count` of tokens is more than the base has embeddings for."""
    return (
        f"The tokenizer of {base} has {count:,} tokens, and the base has embeddings for {config.vocab_size:,}. "
        "Give the base the tokenizer that it was trained with."
    )


def _tokenizer_config(folder: Path, config: BaseConfig, base: str) -> tuple[_TokenizerConfig, Mapping[str, Any]]:
    """tokenizer_config.json, and its fields that change the numbers of a text."""
    path = folder / TOKENIZER_CONFIG_FILE
    if not path.exists():
        return _TokenizerConfig(), {}
    shown = f"{base}/{TOKENIZER_CONFIG_FILE}"
    content = read_json(file_of_base(folder, TOKENIZER_CONFIG_FILE, base, limit=8 * MIB), shown, limit=8 * MIB)
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
    switches = {switch: content[switch] for switch in _SWITCHES if content.get(switch) is not None}
    return read, {**specials, **switches}


def _token(value: _Special) -> str | None:
    return str(value.get("content")) if isinstance(value, dict) else value


def _remembered(path: Path, settings: Mapping[str, Any], base: str) -> Vocabulary:
    """What was found out once about a file of this content is kept: large ones take a second."""
    if not path.is_file():
        raise DataError(f"{base}/{TOKENIZER_FILE} is not a regular file.")
    memory = home() / "cache" / "tokenizers" / f"{digest_of([_CHECKED, cached_sha256(path), dict(settings)])}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(memory.read_bytes())
        return Vocabulary(str(known["digest"]), int(known["size"]))
    found = _vocabulary(path, settings, base)
    with suppress(StorageError):
        atomic_write_text(memory, canonical_json({"digest": found.digest, "size": found.size}))
    return found


def _characters_maps(normaliser: Any) -> Iterator[str]:
    """Those in a normaliser, at whatever depth."""
    if isinstance(normaliser, dict):
        if characters := normaliser.get("precompiled_charsmap"):
            yield characters
        for one in normaliser.get("normalizers") or ():
            yield from _characters_maps(one)


def _check_special(words: Any, added: Collection[str], named: Mapping[str, str | None], shown: str) -> None:
    """Raises IntegrityError for a special token that has no number: it would get a new one, with a stranger's row."""
    plain = words if isinstance(words, dict) else {str(word[0]) for word in words if isinstance(word, list) and word}
    for field, token in named.items():
        if token is not None and token not in plain and token not in added:
            raise IntegrityError(
                f"{shown} lacks {shown_name(token)}, the {field} that another file names. Give the base the "
                "tokenizer that it was trained with."
            )


def _vocabulary(path: Path, settings: Mapping[str, Any], base: str) -> Vocabulary:
    shown = f"{base}/{TOKENIZER_FILE}"
    text = file_of_base(path.parent, TOKENIZER_FILE, base, limit=MAX_TOKENIZER_BYTES)
    content = read_json(text, shown, limit=MAX_TOKENIZER_BYTES, values=_MAX_TOKENIZER_VALUES)
    try:
        words, added = content["model"]["vocab"], content.get("added_tokens") or []
        numbers = words.values() if isinstance(words, dict) else range(len(words))
        largest = max([*numbers, *(token["id"] for token in added)])
        if type(largest) is not int or largest < 0:
            raise ValueError("a token's number is none")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{shown} is not a tokenizer: it has no vocabulary.") from error
    try:
        for characters in _characters_maps(content.get("normalizer")):
            check_characters_map(base64.b64decode(characters, validate=True))
    except (TypeError, ValueError) as error:
        raise DataError(f"{shown} is not a tokenizer: its map of characters is damaged.") from error
    if (fault := fault_of_steps(content)) is not None:
        raise DataError(f"{shown} is not opened: {fault}. Take a base with another tokenizer.")
    there = {str(token.get("content")) for token in added}
    _check_special(words, {*there, *settings[_NUMBERED]}, settings[_NAMED], shown)
    parts = {part: content.get(part) for part in _PARTS}
    kept = {key: one for key, one in settings.items() if key not in (_MORE, _NUMBERED, _NAMED)}
    # Tokens that only the files beside it name are taken out of a text as well; a base as it was saved has none.
    more = sorted(set(settings[_MORE]) - there)
    return Vocabulary(digest_of({**parts, "settings": kept, **({_MORE: more} if more else {})}), largest + 1)

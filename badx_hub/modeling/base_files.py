"""The files of a base as strangers may have made them, checked before anything loads them. Loads no torch."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from badx_hub.documents import MIB, read_json
from badx_hub.errors import BadxError, DataError, IntegrityError, StorageError
from badx_hub.manifest import BaseRef
from badx_hub.manifest_fields import first_problem
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.base_layout import (
    CONFIG_FILE,
    INDEX_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from badx_hub.modeling.characters_map import check_characters_map
from badx_hub.modeling.families import checked_config, family_of
from badx_hub.plain_files import read_regular
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home, storage_errors
from badx_hub.tensor_files import StoredTensor, differences, read_header, shown_name

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


def read_config(folder: Path, base: str) -> BaseConfig:
    """The configuration in the folder of the base called `base`. Raises as `checked_config`."""
    try:
        content = read_json(read_regular(folder / CONFIG_FILE, limit=MIB), f"{base}/{CONFIG_FILE}")
    except BadxError as error:
        raise DataError(
            f"{base}/{CONFIG_FILE} does not describe a transformer ({error.fact.rstrip('.')}).",
            remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
        ) from error
    return checked_config(content, base)


RIGHT_BASE = Advice("Give the right base with {}.", (("base", None),))
_MADE_BY = {"weights": "weights", "settings": "settings in config.json", "words": "words in its tokenizer"}


def another(what: str, ref: BaseRef, found_as: str, wanted: str | None, found: str | None) -> IntegrityError:
    """The error about a base with other weights, settings or words than those of `ref`; both digests are told."""
    shown = [one[:12] if one else "unknown" for one in (wanted, found)]
    return IntegrityError(
        f"The adapter was trained on base {ref.name} ({shown[0]}), but {found_as} has other {_MADE_BY[what]} "
        f"({shown[1]}).",
        remedies=(RIGHT_BASE,),
    )


def most_bytes(config: BaseConfig) -> int:
    """The most that the weights of such a base can have: the encoder twice in float32, for a decoder of its own."""
    return 8 * sum(math.prod(shape) for shape in config.shapes().values()) + 64 * MIB


def most_beside(name: str) -> int:
    """The most bytes that a file other than weights can have."""
    return MIB if name == CONFIG_FILE else MAX_TOKENIZER_BYTES


def parts_are_whole(folder: Path, parts: Sequence[str]) -> bool:
    """Whether the index in a folder is there and leads to these parts and no others."""
    try:
        return places_in_index(folder, INDEX_FILE, folder.name) == set(parts)
    except BadxError:
        return False


def places_in_index(folder: Path, name: str, base: str) -> set[str]:
    """The files that an index of parts leads to. Raises DataError, IntegrityError, StorageError."""
    index = read_json(read_regular(folder / name, limit=4 * MIB), f"{base}/{name}", limit=4 * MIB)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise IntegrityError(f"{base}: {name} does not say where weights are. Get the base again.")
    return set(places.values())


@dataclass(frozen=True)
class EncoderTensor:
    """A tensor of the encoder, and the file it is in."""

    file: Path
    stored: StoredTensor


def encoder_tensors(weights: Sequence[Path], config: BaseConfig, base: str) -> Mapping[str, EncoderTensor]:
    """The encoder in these files, by the names that `BaseConfig.shapes` has; `base` is its name in errors.

    Raises IntegrityError unless it is the whole encoder that the configuration describes.
    """
    stored, places = dict[str, StoredTensor](), dict[str, Path]()
    names = [file.name for file in weights]
    for file in weights:
        try:
            tensors = read_header(file)
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error.fact}", remedies=error.remedies) from error
        for name, tensor in tensors.items():
            if name in stored:
                raise IntegrityError(f"{base}: {shown_name(name)} is in two of its files of weights.")
            stored[name], places[name] = tensor, file
    own = names_in_encoder(stored, config, base)
    if fault := differences(config.shapes(), {name: stored[one] for name, one in own.items()}):
        raise IntegrityError(f"{base}: its weights are not those of its config.json: {fault}.")
    size = sum(tensor.end - tensor.start for tensor in stored.values())
    if size > most_bytes(config):
        raise IntegrityError(f"{base}: its weights have {size:,} bytes, more than its config.json accounts for.")
    _check_index(weights[0].parent, names, base)
    return {name: EncoderTensor(places[one], stored[one]) for name, one in own.items()}


def names_in_encoder(stored: Iterable[str], config: BaseConfig, base: str) -> Mapping[str, str]:
    """For each weight of the encoder the name it has in the file; heads and poolers are left out.

    With and without the prefix, or with old and new names, it would be transformers' choice which of two is loaded.
    """
    wanted, found, prefix = config.shapes(), dict[str, str](), family_of(config).prefix
    prefixed = bool(prefix) and any(name.startswith(prefix.rstrip(".")) for name in stored)
    for name in stored:
        plain = name.removeprefix(prefix)
        for old, new in _OLD_NAMES.items():
            plain = plain.replace(old, new)
        if plain not in wanted:
            continue
        if plain in found or (prefixed and not name.startswith(prefix)):
            raise IntegrityError(f"{base} has weights under two kinds of names ({shown_name(name)}). Get it again.")
        found[plain] = name
    return found


def tensors_digest(tensors: Mapping[str, EncoderTensor]) -> str:
    """The identity of an encoder: name, type, shape and bytes of each of its tensors, wherever and in whatever order.

    It is remembered for files of the same content, as reading them takes seconds.
    """
    files = {file.name: cached_sha256(file) for file in {one.file for one in tensors.values()}}
    memory = home() / "cache" / "encoders" / f"{digest_of([files, sorted(tensors)])}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(memory.read_bytes())["digest"])
    digest = digest_of(
        {name: [one.stored.dtype, list(one.stored.shape), _sha256_of(one)] for name, one in tensors.items()}
    )
    with suppress(StorageError):
        atomic_write_text(memory, canonical_json({"digest": digest}))
    return digest


def _sha256_of(tensor: EncoderTensor) -> str:
    digest, left = hashlib.sha256(), tensor.stored.end - tensor.stored.start
    with storage_errors(tensor.file), tensor.file.open("rb") as stream:
        stream.seek(tensor.stored.start)
        while left and (chunk := stream.read(min(left, MIB))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _check_index(folder: Path, names: list[str], base: str) -> None:
    """An index leads to the files that were checked, and to no others."""
    if WEIGHTS_FILE in names:
        return  # transformers reads an index only in absence of one file with all weights.
    if not (folder / INDEX_FILE).is_file():
        raise IntegrityError(f"{base} has its weights in parts and no {INDEX_FILE}. Get the base again.")
    if not places_in_index(folder, INDEX_FILE, base) <= set(names):
        raise IntegrityError(f"{base}: {INDEX_FILE} leads to other files than {', '.join(names)}.")


def read_vocabulary(folder: Path, config: BaseConfig, base: str) -> Vocabulary | None:
    """The identity of a base's fast tokenizer; None without tokenizer.json.

    It is the same for two files that make the same numbers of a text: how JSON is written and how inputs were padded
    last do not count.

    Raises DataError (it cannot be read, or brings code), IntegrityError (more tokens than embeddings).
    """
    settings = _tokenizer_config(folder, config, base)
    path = folder / TOKENIZER_FILE
    if not path.exists():
        return None
    vocabulary = _remembered(path, settings, base)
    if vocabulary.size > config.vocab_size:
        raise IntegrityError(too_many_tokens(base, vocabulary.size, config))
    return vocabulary


def too_many_tokens(base: str, count: int, config: BaseConfig) -> str:
    """The error about a tokenizer whose `count` of tokens is more than the base has embeddings for."""
    return (
        f"The tokenizer of {base} has {count:,} tokens, and the base has embeddings for {config.vocab_size:,}. "
        "Give the base the tokenizer that it was trained with."
    )


def _tokenizer_config(folder: Path, config: BaseConfig, base: str) -> Mapping[str, Any]:
    """The fields of tokenizer_config.json that change the numbers of a text."""
    path = folder / TOKENIZER_CONFIG_FILE
    if not path.exists():
        return {}
    shown = f"{base}/{TOKENIZER_CONFIG_FILE}"
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


def _remembered(path: Path, settings: Mapping[str, Any], base: str) -> Vocabulary:
    """What was found out once about a file of this content is kept: large ones take a second."""
    if not path.is_file():
        raise DataError(f"{base}/{TOKENIZER_FILE} is not a regular file.")
    memory = home() / "cache" / "tokenizers" / f"{digest_of([cached_sha256(path), dict(settings)])}.json"
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


def _vocabulary(path: Path, settings: Mapping[str, Any], base: str) -> Vocabulary:
    shown = f"{base}/{TOKENIZER_FILE}"
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
    try:
        for characters in _characters_maps(content.get("normalizer")):
            check_characters_map(base64.b64decode(characters, validate=True))
    except (TypeError, ValueError) as error:
        raise DataError(f"{shown} is not a tokenizer: its map of characters is damaged.") from error
    parts = {part: content.get(part) for part in _PARTS}
    return Vocabulary(digest_of({**parts, "settings": dict(settings)}), largest + 1)

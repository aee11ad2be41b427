"""A fast tokenizer from the sentencepiece model of an XLM-R, as strangers may have made it.

transformers makes it (`XLMRobertaConverter`), from the file alone: the sentencepiece library, written in C++, never
reads what a stranger wrote. The file's pieces are counted first, as a few bytes of each become many in memory.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from badx_hub.errors import BadxError, IntegrityError, UsageError
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.sentencepiece_charsmap import check_characters_map

_FIRST = ("<unk>", "<s>", "</s>")
_NUMBERS = {"<s>": 0, "</s>": 2}  # fairseq's, which XLM-R was trained with
_UNIGRAM = 1
_PIECES = 1  # the field's number in ModelProto
_MAX_PIECE = 1024  # bytes of a piece with its score and kind
_MAX_CHARACTERS_MAP = 2**22
_ADDED = 2  # <pad> and <mask>, which the model lacks
_TRIED = "A word, 1 \ufb01ne \uff37ord; \u014b \u4f60 \u200d \u0301 \U0001f600"


def write_fast_tokenizer(model: Path, target: Path, config: BaseConfig, base: str) -> None:
    """Write tokenizer.json to `target`; `model` is a file of a size that was checked, which nobody else writes to.

    Raises IntegrityError (it is no model of an XLM-R's words, or does not fit the embeddings), UsageError (protobuf is
    not installed).
    """
    try:
        from transformers.convert_slow_tokenizer import XLMRobertaConverter

        _count_pieces(model.read_bytes(), config.vocab_size)
        made = XLMRobertaConverter(SimpleNamespace(vocab_file=str(model), convert_tokens_to_ids=_NUMBERS.__getitem__))
        _check(made.proto, config)
        tokenizer = made.converted()
        tokenizer.encode(_TRIED)
        tokenizer.save(str(target))
    except BadxError:
        raise
    except ImportError as error:
        raise UsageError(
            "A sentencepiece model is read with protobuf, which is not installed. Install it (`pip install protobuf`)."
        ) from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # protobuf and tokenizers' Rust code raise whatever comes up, panics too.
        raise _refused(base, f"it cannot be read ({type(error).__name__})") from error


def _refused(base: str, reason: str) -> IntegrityError:
    return IntegrityError(f"The sentencepiece model of {base} is not taken: {reason}. Get the base again.")


def _count_pieces(content: bytes, most: int) -> None:
    """Refuses more pieces than embeddings, and long ones, by the lengths that stand before each."""
    place, pieces = 0, 0
    while place < len(content):
        tag, place = _varint(content, place)
        if tag & 7 != 2:
            raise ValueError("a field that no model has")
        size, place = _varint(content, place)
        place += size
        if tag >> 3 == _PIECES:
            pieces += 1
            if size > _MAX_PIECE or pieces > most:
                raise ValueError("more or longer pieces than the base has embeddings for")
    if place != len(content):
        raise ValueError("it is cut off")


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")


def _check(proto: Any, config: BaseConfig) -> None:
    pieces = proto.pieces
    if proto.trainer_spec.model_type != _UNIGRAM or tuple(one.piece for one in pieces[:3]) != _FIRST:
        raise ValueError("it is not of the kind that XLM-R has")
    if len(pieces) + _ADDED > config.vocab_size:
        raise ValueError("more pieces than the base has embeddings for")
    if len(proto.normalizer_spec.precompiled_charsmap) > _MAX_CHARACTERS_MAP:
        raise ValueError("its map of characters is too large")
    if characters := proto.normalizer_spec.precompiled_charsmap:
        check_characters_map(characters)
    if not all(math.isfinite(one.score) for one in pieces):
        raise ValueError("a score is no number")

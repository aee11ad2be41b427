"""Sub-words that a tokenizer gets in addition to its own: the list of them as a file, and putting them in place.

The list may be a stranger's. It can name sub-words and how they are found in a text, and nothing else: what a tokenizer
does to a text before and after that stays its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from badx_hub.adapter_files import MAX_SUBWORDS, VOCABULARY_FILE
from badx_hub.control_characters import steering
from badx_hub.errors import BadxError, DataError, IntegrityError, UsageError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.manifest_fields import first_problem
from badx_hub.storage import atomic_write_text, canonical_json, digest_of
from badx_hub.tensor_files import differences, read_header
from badx_hub.untrusted_files import read_plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MAX_VOCABULARY_BYTES = 4 * MIB
ROWS, BIAS = "embeddings", "bias"
"""The tensors of the sub-words: [sub-words, size], and the biases of a decoder, [sub-words]."""
_MAX_VALUES = 6 * MAX_SUBWORDS
LONGEST = 100
"""Characters of a sub-word."""

Kind = Literal["WordPiece", "Unigram", "BPE"]
SubWord = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class SubWords(BaseModel):
    """Sub-words that follow those of a tokenizer, in the order of their numbers.

    Attributes:
        kind: the model of the tokenizer, as `tokenizers` calls it.
        first: the number of the first one; the tokenizer has those below.
        words: as the tokenizer's model writes them, such as "##ga" or "▁nga".
        scores: of a Unigram model alone, the logarithm of how frequent each is.
        merges: of a BPE model alone, the pairs that are joined, in order; they come after the tokenizer's own.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    kind: Kind
    first: Annotated[int, Field(ge=1, lt=2**31)]
    words: Annotated[tuple[SubWord, ...], Field(min_length=1, max_length=MAX_SUBWORDS)]
    scores: Annotated[tuple[Annotated[float, Field(le=0.0, ge=-1e6)], ...], Field(max_length=MAX_SUBWORDS)] = ()
    merges: Annotated[tuple[tuple[SubWord, SubWord], ...], Field(max_length=MAX_SUBWORDS)] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if len(set(self.words)) < len(self.words):
            raise ValueError("a sub-word is there twice")
        if (found := steering("".join(self.words))) is not None:
            raise ValueError(f"a sub-word has the control character {found}")
        if len(self.scores) != (len(self.words) if self.kind == "Unigram" else 0):
            raise ValueError("scores are for a Unigram model, one for each sub-word")
        if self.merges and self.kind != "BPE":
            raise ValueError("merges are for a BPE model")
        words = set(self.words)
        if any(one + other not in words for one, other in self.merges):
            raise ValueError("a merge makes none of the sub-words")
        return self

    @property
    def size(self) -> int:
        """Tokens of the tokenizer and these together."""
        return self.first + len(self.words)

    @property
    def digest(self) -> str:
        """Identifies the list."""
        return digest_of(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Raises StorageError."""
        atomic_write_text(path, canonical_json(self.model_dump(mode="json")))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises DataError (no such list, or out of bounds), StorageError."""
        try:
            content = read_plain(path, limit=MAX_VOCABULARY_BYTES)
            value = read_json(content, path.name, limit=MAX_VOCABULARY_BYTES, values=_MAX_VALUES)
            # Python's types are strict, and JSON has lists for tuples.
            return cls.model_validate_json(json.dumps(value))
        except ValidationError as error:
            raise DataError(f"{path.name} is no list of sub-words: {first_problem(error)}.") from error


def check_rows(path: Path, subwords: SubWords, size: int | None = None) -> None:
    """Raises IntegrityError unless a file has a row and a bias for each of the sub-words; rows have any `size` if None.

    Its header alone is read.
    """
    count, stored = len(subwords.words), read_header(path)
    width = size or next((one.shape[-1] for name, one in stored.items() if name == ROWS and one.shape), 0)
    if fault := differences({ROWS: (count, width), BIAS: (count,)}, stored):
        raise IntegrityError(f"{path.name} does not fit: {fault}.")


def model_of(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The model of a fast tokenizer as tokenizer.json has it. Raises UsageError for one that is not extended."""
    model: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model.get("type") not in ("WordPiece", "Unigram", "BPE"):
        raise UsageError(
            f"The tokenizer of this base ({model.get('type')}) takes no more sub-words; WordPiece, Unigram and BPE do. "
            "Leave out extend_vocabulary, or take another base."
        )
    if model.get("continuing_subword_prefix") not in (None, "", "##") or model.get("end_of_word_suffix"):
        raise UsageError(
            "The tokenizer of this base marks the parts of words in a way that takes no more sub-words. "
            "Leave out extend_vocabulary, or take another base."
        )
    words, first = model["vocab"], first_free(tokenizer)
    numbers = range(len(words)) if isinstance(words, list) else words.values()
    if isinstance(words, list) and len(words) != first:
        raise UsageError(
            "The tokenizer of this base has special tokens outside of its sub-words and takes no more of them. "
            "Leave out extend_vocabulary, or take another base."
        )
    if max(numbers, default=0) >= first:
        raise UsageError("The numbers of this base's sub-words have gaps. Leave out extend_vocabulary.")
    return model


def first_free(tokenizer: PreTrainedTokenizerFast) -> int:
    """The number after the largest one that a tokenizer knows."""
    return int(max(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values())) + 1


def extend_tokenizer(tokenizer: PreTrainedTokenizerFast, added: SubWords) -> None:
    """Let a fast tokenizer read text with these sub-words too.

    Raises IntegrityError if they were learned for another tokenizer; UsageError if it takes none.
    """
    from tokenizers import Tokenizer

    model, known = model_of(tokenizer), tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True)
    if (model["type"], first_free(tokenizer)) != (added.kind, added.first) or not known.keys().isdisjoint(added.words):
        raise _other_tokenizer()
    parts = {part for merge in added.merges for part in merge}
    if not parts <= known.keys() | set(added.words):
        raise _other_tokenizer()
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["model"] = _extended(model, added)
    try:
        tokenizer.backend_tokenizer.model = Tokenizer.from_str(json.dumps(content)).model
    except BadxError:
        raise
    except Exception as error:  # What `tokenizers` raises has no other type.
        raise IntegrityError(f"{VOCABULARY_FILE} does not fit this tokenizer. Get the adapter again.") from error


def _extended(model: Mapping[str, Any], added: SubWords) -> dict[str, Any]:
    """The model with the sub-words in it. The card of an adapter tells how to do the same by hand."""
    vocabulary = model["vocab"]
    if added.kind == "Unigram":
        return {**model, "vocab": [*vocabulary, *zip(added.words, added.scores, strict=True)]}
    numbered = {word: added.first + index for index, word in enumerate(added.words)}
    merges = {"merges": [*model["merges"], *added.merges]} if added.kind == "BPE" else {}
    return {**model, **merges, "vocab": {**vocabulary, **numbered}}


def _other_tokenizer() -> IntegrityError:
    return IntegrityError(f"{VOCABULARY_FILE} was made for another tokenizer. Get the adapter again, or its base.")

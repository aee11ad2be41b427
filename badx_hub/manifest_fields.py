"""The fields of manifests: texts, numbers and names of strangers, each checked and limited."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
)

from badx_hub.adapter_files import check_file_names
from badx_hub.control_characters import PLAIN, steering
from badx_hub.json_toml_yaml import check_plain

_TIME = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\z"


def _is_base_name(name: str) -> str:
    parts = name.split("/")
    if len(parts) > 2 or "\\" in name or any(part in ("", ".", "..", "~") for part in parts):
        raise ValueError("a base is a Hub id (org/name) or a plain name, never a path")
    if not name.isprintable() or re.match(r"[A-Za-z]:", name):
        raise ValueError("a base name has no drive letter and no control characters")
    return name


def _is_time(text: str) -> str:
    try:
        datetime.fromisoformat(text.removesuffix("Z"))  # The pattern was checked before, and strptime is slow.
    except ValueError:
        raise ValueError(f"time data {text!r} does not match format '%Y-%m-%dT%H:%M:%SZ'") from None
    return text


def _is_whole(value: object) -> object:
    if type(value) is not int:  # `True == 1`
        raise ValueError("a whole number was expected")
    return value


def _are_files(files: dict[str, str]) -> dict[str, str]:
    check_file_names(files)
    return files


def _is_bounded(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if (found := steering("".join(check_plain(value)))) is not None:
        raise ValueError(_steered(found))
    return value


def _steered(character: str | None) -> str:
    return f"a text has the control character {character}"


Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
Commit = Annotated[str, StringConstraints(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\z")]
# A pattern and no function: a list of adapters reads some ten thousand texts.
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=PLAIN)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PLAIN)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Time = Annotated[str, StringConstraints(pattern=_TIME), AfterValidator(_is_time)]
"""UTC, as "2026-01-01T00:00:00Z"."""
BaseName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_is_base_name)]
Schema = Annotated[Literal[1], BeforeValidator(_is_whole)]
Settings = Annotated[dict[Word, JsonValue], Field(max_length=1000), AfterValidator(_is_bounded)]
Files = Annotated[dict[str, Digest], Field(max_length=200), AfterValidator(_are_files)]


class ManifestPart(BaseModel):
    """A part of a manifest. Its schema is built when it is first needed: most commands need only that of the whole."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)


class EvaluationRef(ManifestPart):
    """A file of annotated data. The scores of `language` in `metrics[split]` were measured on it after training."""

    split: Word
    language: Word
    name: Text
    digest: Digest
    examples: Count


class Annotations(ManifestPart):
    """Annotated data of several languages, or a part of one's, that a task adapter learned from.

    `mixture` has the languages with their weights: so many batches of each, in turn. `sentences` are the examples of
    each language that were there to learn from. The development data of `selected_on` decided which step was kept.
    """

    mixture: Annotated[tuple[tuple[Word, Count], ...], Field(min_length=1, max_length=100)]
    sentences: Annotated[dict[Word, Count], Field(max_length=100)]
    selected_on: Word


class Calibration(ManifestPart):
    """What sets a task adapter's probabilities right: its scores are divided by `temperature` before the softmax.

    It was fitted on the development data of `language`. `output` says what the probabilities are of: "tag", "head" or
    "class". `error` and `error_before` are the expected calibration errors on the same data, 15 bins, with and without
    the temperature, over `count` words or pairs.
    """

    output: Word
    temperature: Annotated[float, Field(ge=0.01, le=100.0, allow_inf_nan=False)]
    language: Word
    count: Count
    error_before: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
    error: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Training(ManifestPart):
    """The cost of training: optimizer steps, the step whose weights were kept, tokens or sentences seen, seconds."""

    steps: Count
    best_step: Count
    tokens: Count | None = None
    sentences: Count | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MergedRef(ManifestPart):
    """One of the adapters whose weighted mean another one is; the weights of all of them add up to 1."""

    name: Text
    digest: Digest
    weight: Annotated[float, Field(gt=0, le=1)]


def first_problem(error: ValidationError) -> str:
    """The first thing that a schema refused, as one short line."""
    problems = error.errors(include_url=False)
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    if first.get("ctx", {}).get("pattern") == PLAIN:
        message = _steered(steering(first["input"]))
    return " ".join(f"{place + ': ' if place else ''}{message}{more}".split())[:300]


class BaseRef(ManifestPart):
    """The frozen transformer. `name` is a Hub id, "demo" or a folder's name; `digest` identifies its weights.

    `digest` is that of the encoder's tensors, however they are stored, and `files` that of the files they are in.
    `config` and `tokenizer` are digests of what else decides what is computed of a text. `revision` is a commit on the
    Hub. Manifests made before these were known lack them; where `files` is missing, `digest` is that of the files.
    """

    name: BaseName
    digest: Digest
    model_type: Word
    hidden_size: Count
    num_layers: Count
    vocab_size: Count
    config: Digest | None = None
    tokenizer: Digest | None = None
    files: Digest | None = None
    revision: Commit | None = None

    @property
    def digests(self) -> frozenset[str]:
        """Each of these identifies the weights."""
        return frozenset((self.digest, self.files or self.digest))

    def has_weights_of(self, other: BaseRef) -> bool:
        """Whether both are of the same weights: of the same files, if one of them does not say more."""
        both_say = self.files is not None and other.files is not None
        return self.digest == other.digest if both_say else not self.digests.isdisjoint(other.digests)

    @model_serializer(mode="wrap")
    def _known_alone(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = serialise(self)
        return {key: one for key, one in value.items() if one is not None}

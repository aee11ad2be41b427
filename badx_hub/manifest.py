"""badx.json: what an adapter is, where it comes from, and the digest of every file beside it.

Manifests come from other people's folders. Every value is checked and limited, and no file name leads out of the
folder. Unknown keys are ignored, as a later minor version may add some. A newer `schema_version` is refused.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic_core
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator
from typing_extensions import Self

from badx_hub.adapter_files import MANIFEST_FILE, VOCABULARY_FILES, needed_files, weights_digest
from badx_hub.deprecated import keeps_old_attributes, module_getattr
from badx_hub.errors import DataError, IntegrityError, NotFoundError, StorageError
from badx_hub.languages import Mixture
from badx_hub.manifest_fields import (
    Annotations,
    Calibration,
    Count,
    Digest,
    EvaluationRef,
    Files,
    ManifestPart,
    MergedRef,
    Number,
    Schema,
    Settings,
    Text,
    Time,
    Word,
    first_problem,
)
from badx_hub.manifest_fields import BaseRef as BaseRef
from badx_hub.manifest_fields import Training as Training
from badx_hub.names import AdapterKind, AdapterName, few_label, plain_label
from badx_hub.remedies import RemoveAdapter
from badx_hub.setups import SETUPS, LanguageAdapterRole, Setup
from badx_hub.storage import digest_of
from badx_hub.untrusted_files import read_plain

SCHEMA = 1
MAX_MANIFEST_BYTES = 4 * 2**20
_LATER = ("cycle", "annotations", "calibration", "merged", "initial")
"""Left out of a manifest where they hold nothing, as in those made before these fields were known."""
TRAINED = "trained"
IMPORTED = "imported"
MERGED = "merged"


def utc_now() -> str:
    """The time now, written as in manifests: "2026-01-01T00:00:00Z"."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class LanguageAdapterRef(ManifestPart):
    """A language adapter that a task adapter was trained on. `digest` identifies it; `name` is for people.

    `vocabulary` is there if it reads text with sub-words of its own (`Manifest.vocabulary`).
    """

    name: Text
    digest: Digest
    vocabulary: Digest | None = None

    @model_serializer(mode="wrap")
    def _known_alone(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = serialise(self)
        return value if self.vocabulary else {"name": self.name, "digest": self.digest}


class SourceRef(ManifestPart):
    """One source of training data; `counts` are those of its reader (lines, kept, duplicates, ...)."""

    language: Word
    name: Text
    digest: Digest
    counts: Annotated[dict[Word, Count], Field(max_length=100)]


@keeps_old_attributes
class ManifestDraft(ManifestPart):
    """What training knows of an adapter. `prepare` hashes the files beside it and makes it a `Manifest`.

    `parent` is the language adapter that a task adapter was trained on. In its place, `cycle` lists the language
    adapters that took turns, one a step, in the order of the mixture's cycle (setup "tlr"). `run` is the key of the
    training run: a digest of everything that decided the weights. `created` is the time of making by default.
    `annotations` is there if a task adapter learned from other data than all of the source's. `origin` "imported"
    means that others trained it, and `imported_from` says where it was taken from; "merged", that it is the weighted
    mean of `merged`. `initial` is the language adapter whose weights training began with.
    """

    name: Text
    base: BaseRef
    parent: LanguageAdapterRef | None = None
    cycle: Annotated[tuple[LanguageAdapterRef, ...], Field(max_length=10_000)] = ()
    recipe: Settings
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)]
    data: Annotated[tuple[SourceRef, ...], Field(max_length=1000)]
    labels: Annotated[tuple[Word, ...], Field(max_length=10_000)] | None = None
    run: Digest | None = None
    training: Training
    metrics: Annotated[dict[Word, Annotated[dict[Text, Number], Field(max_length=10_000)]], Field(max_length=100)]
    versions: Annotated[dict[Word, Word], Field(max_length=100)]
    created: Time = Field(default_factory=utc_now)
    licence: Word | None = None
    evaluations: Annotated[tuple[EvaluationRef, ...], Field(max_length=1000)] = ()
    origin: Word = TRAINED
    imported_from: Text | None = None
    annotations: Annotations | None = None
    calibration: Calibration | None = None
    merged: Annotated[tuple[MergedRef, ...], Field(max_length=1000)] = ()
    initial: LanguageAdapterRef | None = None

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """The draft of these values. Raises DataError for one that no manifest may have, such as an endless label."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise DataError(
                f"{values.get('name')} cannot be published as it is: {first_problem(error)}. Change that first."
            ) from error

    @cached_property
    def adapter_name(self) -> AdapterName:
        """`name`, parsed."""
        return AdapterName.parse(self.name)

    @model_validator(mode="after")
    def _name_is_canonical(self) -> Self:
        if str(self.adapter_name) != self.name:
            raise ValueError(f"name {self.name!r} is not written as {str(self.adapter_name)!r}")
        return self

    @model_validator(mode="after")
    def _label_tells_sentences(self) -> Self:
        label = self.adapter_name.label
        if self.annotations and (told := few_label(self.target_sentences, plain_label(label))) != label:
            raise ValueError(f"{self.name!r} learned from sentences of a target, so its label is {told}")
        return self

    @model_validator(mode="after")
    def _language_adapters_fit(self) -> Self:
        name = self.adapter_name
        setup = SETUPS.get(name.setup or "")
        if name.task is None or (setup is not None and setup.training is None):
            if self.language_adapters:
                raise ValueError(f"{self.name!r} is trained on the base alone and has no parent")
            return self
        self._check_which(setup)
        for language_adapter in self.language_adapters:
            one = AdapterName.parse(language_adapter.name)
            if one.task is not None or one.base != name.base:
                raise ValueError(f"{language_adapter.name!r} cannot be the parent of {self.name!r}")
            if name.setup is None and one.mixture != name.mixture:
                raise ValueError(
                    f"{self.name!r} is trained on an adapter of its own mixture, not {language_adapter.name!r}"
                )
        if setup is not None and setup.training is LanguageAdapterRole.EACH:
            self._check_cycle()
        return self

    def _check_which(self, setup: Setup | None) -> None:
        """The setup decides between a parent and a cycle; a setup that is unknown here may have either."""
        if self.parent is not None and self.cycle:
            raise ValueError(f"{self.name!r} has a parent or a cycle, not both")
        if setup is not None and setup.training is LanguageAdapterRole.EACH:
            if not self.cycle:
                raise ValueError(f"{self.name!r} names the adapters that it was trained on in turn (cycle)")
        elif self.cycle and (setup is not None or self.adapter_name.setup is None):
            raise ValueError(f"{self.name!r} is trained on one adapter (parent) and has no cycle")
        elif not self.language_adapters:
            raise ValueError("a task adapter names the adapter it was trained on (parent)")

    def _check_cycle(self) -> None:
        """One LA a step, in the order of the mixture, and always the same LA for a language."""
        expected = self.languages
        for names, languages in (
            ([ref.name for ref in self.cycle], expected.cycle),
            ([ref.name for ref in self.language_adapters], expected.languages),
        ):
            if [AdapterName.parse(one).mixture.parts for one in names] != [((tag, 1),) for tag in languages]:
                raise ValueError(
                    f"the cycle of {self.name!r} is of one adapter each of {', '.join(languages)}, not {names[:9]}"
                )

    @property
    def language_adapters(self) -> tuple[LanguageAdapterRef, ...]:
        """The language adapters that a task adapter was trained on, each once; empty for the bare base."""
        return tuple(dict.fromkeys((*((self.parent,) if self.parent else ()), *self.cycle)))

    @property
    def languages(self) -> Mixture:
        """The mixture, as a value."""
        return self.adapter_name.mixture

    @property
    def target_sentences(self) -> Mapping[str, int]:
        """How many annotated sentences it learned from, of each language but the source; empty for zero-shot."""
        known = self.annotations.sentences if self.annotations else {}
        return {language: count for language, count in known.items() if language != self.languages.source}

    @model_serializer(mode="wrap")
    def _without_what_came_later(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = serialise(self)
        return {key: one for key, one in value.items() if key not in _LATER or one}


class Manifest(ManifestDraft):
    """badx.json.

    `kind`, `mixture`, `task` and `setup` are those of `name`, for readers that do not parse names. `files` has the
    sha256 of every file but badx.json, and `digest` is `weights_digest(files)`.
    """

    schema_version: Schema = 1
    kind: AdapterKind
    mixture: Annotated[tuple[tuple[Word, Count], ...], Field(min_length=1, max_length=100)]
    task: Word | None = None
    setup: Word | None = None
    created: Time
    digest: Digest
    files: Files

    @classmethod
    def of(cls, draft: ManifestDraft, files: Mapping[str, str]) -> Self:
        """The manifest of what `draft` describes, with the sha256 of each of `files`."""
        name = draft.adapter_name
        known = {field: getattr(draft, field) for field in ManifestDraft.model_fields}
        return cls(
            **known,
            kind=name.kind,
            mixture=name.mixture.parts,
            task=name.task,
            setup=name.setup,
            digest=weights_digest(files),
            files=dict(files),
        )

    @model_validator(mode="after")
    def _name_says_the_same(self) -> Self:
        name = self.adapter_name
        said = (name.kind, name.mixture.parts, name.task, name.setup)
        if said != (self.kind, self.mixture, self.task, self.setup):
            raise ValueError(f"kind, mixture, task and setup do not agree with the name {self.name!r}")
        return self

    @model_validator(mode="after")
    def _weights_are_complete(self) -> Self:
        if missing := [name for name in needed_files(self.kind) if name not in self.files]:
            raise ValueError(f"files lack {', '.join(missing)}")
        beside = [name for name in VOCABULARY_FILES if name in self.files]
        if beside and (len(beside) < len(VOCABULARY_FILES) or self.kind in ("task", "model")):
            raise ValueError(f"a language adapter has both of {' and '.join(VOCABULARY_FILES)}, and others have none")
        if self.digest != weights_digest(self.files):
            raise ValueError("digest is not the digest of the weight files")
        return self

    @property
    def vocabulary(self) -> str | None:
        """The digest of the sub-words that it brings along and of their embeddings; None if it has none."""
        found = {name: self.files[name] for name in VOCABULARY_FILES if name in self.files}
        return digest_of(found) if found else None

    def to_json(self) -> str:
        """The text of badx.json: indented, keys sorted, one line feed at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path, *, below: Path | None = None) -> Manifest:
        """The manifest of an adapter's folder; `below` as in `read_manifest_text`.

        Raises NotFoundError (no badx.json), DataError (malformed), IntegrityError (newer schema, no plain file).
        """
        return cls.from_json(read_manifest_text(folder, below=below), str(folder / MANIFEST_FILE))

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """Parse and check badx.json; errors call it `where`. Raises DataError and IntegrityError like `read`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            _refuse_newer_schema(text, where)
            raise DataError(
                f"{where} is not a valid badx.json: {first_problem(error)}.",
                remedies=(RemoveAdapter("NAME", renew=True),),
            ) from error


def read_manifest_text(folder: Path, *, below: Path | None = None) -> str:
    """The text of `folder`/badx.json, a plain file of at most 4 MiB.

    `below`: the registry's root, if it is in one; nothing between the two may be a link.

    Raises NotFoundError (there is none), IrregularFile (link, pipe, too large), DataError (not UTF-8), StorageError.
    """
    path = folder / MANIFEST_FILE
    try:
        return read_plain(path, limit=MAX_MANIFEST_BYTES, below=below).decode("utf-8")
    except StorageError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        raise NotFoundError(f"{folder} holds no adapter: {MANIFEST_FILE} is missing.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}). Get the adapter again.") from error


def _refuse_newer_schema(text: str, where: str) -> None:
    try:
        value = pydantic_core.from_json(text)
    except (ValueError, TypeError):  # TypeError: half a surrogate pair
        return
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise IntegrityError(
            f"{where} has schema {version} and this badx_hub reads up to {SCHEMA}: "
            "update badx_hub (`pip install -U badx-hub`)."
        )


if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)

"""The annotated data of a task adapter: of the source alone, or of several languages in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from badx_hub.data.splits import DataReference, Split
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.languages import Mixture, normalise
from badx_hub.manifest import SourceRef
from badx_hub.manifest_fields import Annotations
from badx_hub.remedies import Advice
from badx_hub.tasks import Task
from badx_hub.user_paths import source_text

_KEPT = 6
"""Splits in memory: many runs in a row use the same few files."""


@dataclass(frozen=True)
class AnnotatedData:
    """Where the annotated data is, and how much of it counts.

    Attributes:
        sources: what the task reads, by language; the source language is the first.
        mixture: these languages, with the batches of each in turn.
        limit: only the first N training examples of a language.
        select_on: the language whose development data decides which step is kept. None: the first target that has
            development data, else the source.
    """

    sources: Mapping[str, str]
    mixture: Mixture
    limit: Mapping[str, int]
    select_on: str | None = None

    @classmethod
    def of(
        cls,
        data: str | Path | Mapping[str, str | Path],
        languages: Mixture,
        *,
        ratio: str | None = None,
        limit: Mapping[str, int] | None = None,
        select_on: str | None = None,
    ) -> AnnotatedData:
        """The data that a user gives for the languages of a mixture: of the source, or by language in any spelling.

        Raises UsageError for a language that is not in the mixture or has no data, without data of the source, for a
        ratio that does not fit, and for a limit below 1.
        """
        given = data if isinstance(data, Mapping) else {languages.source: data}
        known = _by_language("data", given, languages.languages)
        if languages.source not in known:
            raise UsageError(
                f"There is no data of the source, {languages.source}; a task adapter learns from it, too.",
                remedies=(Advice("Add {}.", (("data", (languages.source, "SOURCE")),)),),
            )
        ordered = {
            language: source_text(known[language], f"data of {language}")
            for language in languages.languages
            if language in known
        }
        mixture = Mixture.of(*ordered)
        if ratio is not None and len(ordered) < 2:
            raise UsageError("A ratio of the data needs data of two languages or more. Leave it out.")
        limits = _by_language("limit", limit or {}, tuple(ordered))
        for language, count in limits.items():
            if count < 1:
                raise UsageError(f"The limit of {language} is {count}; expected 1 or more sentences.")
        selected = None if select_on is None else normalise(select_on)
        if selected not in (None, *ordered):
            raise UsageError(f"{selected} has no data to select on. Name one of: {', '.join(ordered)}.")
        return cls(ordered, mixture.with_ratio(ratio), limits, selected)

    @property
    def files(self) -> str:
        """The sources in words: "ud:UD_English-EWT", "en: ud:UD_English-EWT, wo: my.conllu (the first 100)"."""
        if len(self.sources) == 1 and not self.limit:
            return next(iter(self.sources.values()))
        first = {language: f" (the first {count:,})" for language, count in self.limit.items()}
        return ", ".join(f"{one}: {source}{first.get(one, '')}" for one, source in self.sources.items())


@dataclass(frozen=True)
class Examples:
    """The examples that were read, as the head's labels name their gold labels.

    `train` is by language; `dev` is of `dev_language`; `mixture` says how the languages take turns.
    """

    train: Mapping[str, Sequence[Any]]
    dev: Sequence[Any]
    dev_language: str
    mixture: Mixture

    def aligned(self, task: Task, labels: tuple[str, ...]) -> Examples:
        """The examples with their gold labels renamed to `labels`. Raises DataError for others."""
        train = {language: task.aligned(examples, labels) for language, examples in self.train.items()}
        return Examples(train, task.aligned(self.dev, labels), self.dev_language, self.mixture)

    @property
    def labels_from(self) -> tuple[Any, ...]:
        """All training examples, of which a task makes the labels of its head."""
        return tuple(example for examples in self.train.values() for example in examples)

    def annotations(self, data: AnnotatedData) -> Annotations | None:
        """What a manifest and the key of a run say of it; None for all the data of the source and no other."""
        if len(self.train) == 1 and not data.limit:
            return None
        counts = {language: len(examples) for language, examples in self.train.items()}
        return Annotations(mixture=self.mixture.parts, sentences=counts, selected_on=self.dev_language)


def read_examples(task: Task, data: AnnotatedData) -> tuple[Examples, tuple[SourceRef, ...]]:
    """The examples and the files they are from. Raises what `Task.read` does, and UsageError for a limit too high."""
    files: list[tuple[str, DataReference]] = []
    train = {}
    for language, source in data.sources.items():
        references, examples = _read(task, source, "train")
        train[language] = _limited(examples, language, source, data.limit.get(language))
        files += [(language, file) for file in references]
    dev_language = data.select_on or _dev_language(task, data)
    references, dev = _read(task, data.sources[dev_language], "dev")
    files += [(dev_language, file) for file in references]
    refs = tuple(SourceRef(language=one, name=file.name, digest=file.digest, counts={}) for one, file in files)
    return Examples(train, dev, dev_language, data.mixture), refs


def _dev_language(task: Task, data: AnnotatedData) -> str:
    """The first target with development data, else the source."""
    source, *targets = data.sources
    for language in targets:
        try:
            task.references(data.sources[language], "dev")
        except NotFoundError:
            continue
        return language
    return source


def _read(task: Task, source: str, split: Split) -> tuple[tuple[DataReference, ...], tuple[Any, ...]]:
    files = tuple(task.references(source, split))
    hashable: Any = task  # as every frozen dataclass is
    return files, _examples(hashable, source, split, files)


@lru_cache(maxsize=_KEPT)
def _examples(task: Task, data: str, split: Split, _files: tuple[DataReference, ...]) -> tuple[Any, ...]:
    """The examples of a split, kept because many runs in a row use the same data; read again if its files change."""
    return task.read(data, split)


def _limited(examples: tuple[Any, ...], language: str, source: str, limit: int | None) -> tuple[Any, ...]:
    if limit is not None and limit > len(examples):
        raise UsageError(
            f"{source} has {len(examples):,} sentences to learn from, and the limit of {language} is {limit:,}.",
            remedies=(Advice("Lower {}, or leave it out to take them all.", (("limit", None),)),),
        )
    return examples[:limit]


def _by_language(what: str, given: Mapping[str, Any], languages: Sequence[str]) -> dict[str, Any]:
    """The values by canonical tags. Raises UsageError for a language that is there twice or not expected."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        language = normalise(key)
        if language not in languages:
            raise UsageError(
                f"The {what} of {language} cannot be used: expected {' or '.join(languages)}. "
                "Correct the language, or name another pair."
            )
        if language in found:
            raise UsageError(f"The {what} of {language} is given twice. Give it once.")
        found[language] = value
    return found

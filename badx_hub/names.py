"""The names of adapters: for people, for the Hub, and inside the model. Pure; each form can be parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, total_ordering
from typing import Literal

from badx_hub.arguments import checked
from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.setups import SETUPS

MAX_REPO_NAME = 96
DEFAULT_BASE = "bert-base-multilingual-cased"
"""mBERT, the base of the paper (BAD-X)."""

LANGUAGE_SIDE = "mlm"

_LEGAL_TEXT = "mbert/en-wo, mbert/en-wo@5:1/pos, mbert/en/pos@ta-only, mbert/en-wo/pos#seed2"
_LEGAL_REPO = "mbert.en-wo, mbert.en-wo.5-1.pos, mbert.en.pos-ta-only, mbert.en-wo.mlm.seed2"
_LEGAL_MODULE = "mbert:en-wo:::::, mbert:en-wo:5-1:pos::seed2:"
_LEGAL_SLUG = "lower-case letters and digits, single hyphens between them"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TASK = re.compile(r"[a-z][a-z0-9]*")
_RATIO_FIELD = re.compile(r"[0-9]+(-[0-9]+)+")
_HUB_ENDINGS = ("git", "ipynb")  # the Hub refuses names that end in ".git" or ".ipynb"
_KNOWN_BASES = {
    "bert-base-multilingual-cased": "mbert",
    "google-bert/bert-base-multilingual-cased": "mbert",
    "xlm-roberta-base": "xlmr-base",
    "FacebookAI/xlm-roberta-base": "xlmr-base",
    "xlm-roberta-large": "xlmr-large",
    "FacebookAI/xlm-roberta-large": "xlmr-large",
}

_FEW = re.compile(r"(?:(?P<plain>.+)-)?few(?P<languages>(?:-[a-z][a-z0-9]*-[1-9][0-9]{0,8})+)")

AdapterKind = Literal["language", "bilingual", "multilingual", "task", "model"]


@keeps_old_attributes
@total_ordering
@dataclass(frozen=True)
class AdapterName:
    """Which adapter: on which base, trained on which mixture, for which task.

    ``base`` is a slug ("mbert", "xlmr-base"). ``task`` is None for a language adapter. ``setup`` needs a task and is
    None if the task adapter was trained on the adapter of this mixture; otherwise it names an entry of
    `badx_hub.setups`. With "ta-only" the mixture is the source language alone. ``label`` (a slug such as "seed2") tells
    apart adapters that are otherwise the same.

    Raises UsageError for anything else, and for names that the Hub refuses: longer than 96 characters, or ending in
    ".git" or ".ipynb".
    """

    base: str
    mixture: Mixture
    task: str | None = None
    setup: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        _check("base", self.base, _SLUG, _LEGAL_SLUG)
        if self.task is not None:
            _check_task(self.task)
        if self.setup is not None:
            self._check_setup(self.setup)
        if self.label is not None:
            _check("label", self.label, _SLUG, _LEGAL_SLUG)
            _refuse_hub_ending("label", self.label)
        if len(self.repo_name) > MAX_REPO_NAME:
            raise UsageError(
                f"{self} makes a repository name of {len(self.repo_name)} characters, {MAX_REPO_NAME} at most "
                "are legal: use a shorter base name or label, or fewer languages."
            )

    @property
    def kind(self) -> AdapterKind:
        """The kind of the mixture (LA, BA or MA), "task", or "model" if the whole base was trained."""
        if self.task is None:
            return self.mixture.kind
        known = SETUPS.get(self.setup or "")
        return "model" if known is not None and known.trains_base else "task"

    @property
    def language_adapter(self) -> AdapterName | None:
        """The language adapter of the same base, mixture and label, on which this task adapter was trained.

        None for a language adapter, and for a name with a setup: it was trained on other adapters or on none.
        """
        if self.task is None or self.setup is not None:
            return None
        return AdapterName(self.base, self.mixture, label=plain_label(self.label))

    @property
    def sentences(self) -> Mapping[str, int]:
        """How many annotated sentences of languages other than the source it learned from; empty for zero-shot."""
        return {} if self.task is None else sentences_in(self.label, self.mixture)

    def __str__(self) -> str:
        text = f"{self.base}/{self.mixture}"
        if self.task:
            text += f"/{self.task}"
        if self.setup:
            text += f"@{self.setup}"
        if self.label:
            text += f"#{self.label}"
        return text

    @cached_property
    def repo_name(self) -> str:
        """The name of a repository on the Hub (without its owner) and of a folder in a local registry."""
        fields = [self.base, _languages_field(self.mixture)]
        if ratio := _ratio_field(self.mixture):
            fields.append(ratio)
        if self.task:
            fields.append(f"{self.task}-{self.setup}" if self.setup else self.task)
        elif self.label or fields[-1] in _HUB_ENDINGS:  # "git" is also the tag of a language, Gitxsan
            fields.append(LANGUAGE_SIDE)
        if self.label:
            fields.append(self.label)
        return ".".join(fields)

    @property
    def module_name(self) -> str:
        """The name inside the model: six fields, each ended by ":", which makes no name a prefix of another."""
        optional = (_ratio_field(self.mixture), self.task, self.setup, self.label)
        fields = (self.base, _languages_field(self.mixture), *(field or "" for field in optional))
        return "".join(f"{field}:" for field in fields)

    @classmethod
    @checked()
    def parse(cls, text: str) -> AdapterName:
        """Read the form for people, "mbert/en-wo@5:1/pos#seed2"; a language may have any of its codes or names."""
        return _parse(text)

    @classmethod
    def from_repo_name(cls, text: str) -> AdapterName:
        """Read ``repo_name`` back. Only the one canonical spelling is accepted."""
        fields = text.split(".")
        if not 2 <= len(fields) <= 5:
            raise _malformed(text, "a repository name of an adapter", _LEGAL_REPO)
        base, languages, *rest = fields
        ratio = rest.pop(0) if rest and _RATIO_FIELD.fullmatch(rest[0]) else None
        role = rest.pop(0) if rest else LANGUAGE_SIDE
        label = rest.pop(0) if rest else None
        task, _, setup = role.partition("-")
        name = cls(
            base, _mixture_from_fields(languages, ratio), None if role == LANGUAGE_SIDE else task, setup or None, label
        )
        if name.repo_name != text:
            raise _malformed(text, "a repository name of an adapter", f"{name.repo_name} ({name})")
        return name

    @classmethod
    def from_module_name(cls, text: str) -> AdapterName:
        """Read ``module_name`` back. Only the one canonical spelling is accepted."""
        fields = text.split(":")
        if len(fields) != 7 or fields[-1]:
            raise _malformed(text, "a module name of an adapter", _LEGAL_MODULE)
        base, languages, ratio, *optional = fields[:-1]
        name = cls(base, _mixture_from_fields(languages, ratio or None), *(field or None for field in optional))
        if name.module_name != text:
            raise _malformed(text, "a module name of an adapter", f"{name.module_name} ({name})")
        return name

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, AdapterName):
            return NotImplemented
        return self._sort_key() < other._sort_key()

    def _sort_key(self) -> tuple[str, Mixture, str, str, str]:
        return self.base, self.mixture, self.task or "", self.setup or "", self.label or ""

    def _check_setup(self, setup: str) -> None:
        _check("setup", setup, _SLUG, _LEGAL_SLUG)
        if self.task is None:
            raise UsageError(f"The setup {setup} needs a task: write for example {self.base}/en/pos@{setup}.")
        known = SETUPS.get(setup)
        if known is not None and known.in_name and known.mixture(self.mixture) != self.mixture:
            raise UsageError(
                f"{setup} trains on the source language alone, not on {self.mixture}: "
                f"write {self.base}/{self.mixture.source.replace('-', '_')}/{self.task}@{setup}."
            )


@lru_cache(maxsize=4096)
def _parse(text: str) -> AdapterName:
    body, hash_sign, label = text.strip().partition("#")
    fields = body.split("/")
    if len(fields) not in (2, 3) or (hash_sign and not label):
        raise _malformed(text, "an adapter name", _LEGAL_TEXT)
    task, at, setup = fields[2].partition("@") if len(fields) == 3 else (None, "", "")
    if at and not setup:
        raise _malformed(text, "an adapter name", _LEGAL_TEXT)
    return AdapterName(fields[0], Mixture.parse(fields[1]), task, setup or None, label or None)


def few_label(sentences: Mapping[str, int], plain: str | None = None) -> str | None:
    """The label of a task adapter that also learned from annotated sentences of languages other than the source.

    "few-wo-100" for 100 Wolof sentences, "seed2-few-wo-100" on language adapters with the label "seed2". Without such
    sentences it is the plain label.
    """
    if not sentences:
        return plain
    counted = "-".join(f"{_label_tag(language)}-{count}" for language, count in sentences.items())
    return "-".join(part for part in (plain, "few", counted) if part)


def plain_label(label: str | None) -> str | None:
    """The label without the part that `few_label` adds: that of the language adapters below a task adapter."""
    found = _FEW.fullmatch(label or "")
    return found["plain"] if found else label


def sentences_in(label: str | None, mixture: Mixture | None = None) -> Mapping[str, int]:
    """The sentences that `few_label` put into a label; empty if it did not make the label.

    Languages are written as in `mixture`; those it lacks stay as in the label, lower-case letters and digits.
    """
    found = _FEW.fullmatch(label or "")
    if found is None:
        return {}
    known = {_label_tag(language): language for language in (mixture.languages if mixture else ())}
    fields = found["languages"].split("-")[1:]
    return {known.get(tag, tag): int(count) for tag, count in zip(fields[::2], fields[1::2], strict=True)}


def _label_tag(language: str) -> str:
    return language.lower().replace("-", "")


def base_slug(base: str) -> str:
    """The short name of a base model: "mbert" and "xlmr-base" for the paper's, else made from the end of its path.

    ``base`` is a Hub id, a folder or "demo". Raises UsageError if it has no Latin letters or digits.
    """
    known = _KNOWN_BASES.get(base)
    if known:
        return known
    last = re.split(r"[/\\]", base.rstrip("/\\"))[-1]
    slug = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")
    if not slug:
        raise UsageError(
            f"{base!r} has no Latin letters or digits, and adapters are named by their base. Rename the folder."
        )
    return slug


def _check(field: str, value: str, pattern: re.Pattern[str], legal: str) -> None:
    if not pattern.fullmatch(value):
        raise UsageError(f"{value!r} is not a legal {field} ({legal}): adapter names look like {_LEGAL_TEXT}.")


def _check_task(task: str) -> None:
    _check("task", task, _TASK, "a lower-case letter, then lower-case letters and digits")
    _refuse_hub_ending("task", task)
    if task == LANGUAGE_SIDE:
        raise UsageError(f"{LANGUAGE_SIDE!r} is not a task: a language adapter has none, as in mbert/en-wo.")


def _refuse_hub_ending(field: str, value: str) -> None:
    if value in _HUB_ENDINGS:
        raise UsageError(f"{value!r} cannot be a {field}, the Hub refuses names that end in .{value}: choose another.")


def _malformed(text: str, what: str, legal: str) -> UsageError:
    return UsageError(f"{text!r} is not {what}: write {legal}.")


def _languages_field(mixture: Mixture) -> str:
    return "-".join(tag.replace("-", "_") for tag in mixture.languages)


def _ratio_field(mixture: Mixture) -> str | None:
    return None if mixture.is_balanced else mixture.ratio.replace(":", "-")


def _mixture_from_fields(languages: str, ratio: str | None) -> Mixture:
    mixture = Mixture.of(*languages.split("-"))
    return mixture.with_ratio(ratio.replace("-", ":") if ratio else None)

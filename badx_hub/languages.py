"""Languages as BCP-47 tags, and mixtures of languages: what a language adapter is trained on."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from langcodes import tag_distance

from badx_hub.errors import UsageError
from badx_hub.language_lookup import english_name, known_tag, shown, tag_of_name, unknown

MAX_WEIGHT = 1000
UNRELATED = 80
MixtureKind = Literal["language", "bilingual", "multilingual"]

_LEGAL_MIXTURES = "en-wo, en-wo@5:1, en:5,wo:1, wo, en+bm+wo, en-zh_Hant"
_LOCALE_LIKE = re.compile(r"([a-z]{2,3})-([A-Z]{2})")
_MAX_SPELLING = 200
_OTHER_JOINTS = re.compile(r"\s*(?:->|=>|[,;/_|>\s\u2010-\u2015\u2192])\s*")


def normalise(tag: str) -> str:
    """The canonical BCP-47 tag of a language: "wol", "WO" and "Wolof" give "wo", "aym" gives "ay".

    Accepts tags (with "-" or "_", any case), English names and the language's own name; where a text is both
    a code and a name, the code wins. Script, region and variants are kept ("zh-Hant", "pt-BR"), and so are
    collections ("nah"). Private use, extensions and unassigned codes are refused.

    Raises UsageError that offers the nearest known languages, also for what is no text.
    """
    if not isinstance(tag, str):
        raise UsageError(f"{shown(str(tag))} is no language: expected text, a BCP-47 tag such as 'wo' or a name.")
    return _normalised(tag)


@lru_cache(maxsize=4096)
def _normalised(tag: str) -> str:
    text = unicodedata.normalize("NFC", tag.strip())
    if len(text) > _MAX_SPELLING:
        raise UsageError(f"{shown(text)} is too long for a language: expected a BCP-47 tag such as wo, or a name.")
    known = known_tag(text) or tag_of_name(text)
    if known is None:
        raise UsageError(unknown(text))
    return known


def name_of(tag: str) -> str:
    """The English name of a language: "Wolof", "Chinese (Traditional)"; with the tag where it would be read as another.

    `normalise` reads all of them.
    """
    known = normalise(tag)
    name = english_name(known)
    return name if (known_tag(name) or tag_of_name(name)) == known else f"{name} ({known})"


@lru_cache(maxsize=4096)
def distance(wanted: str, other: str) -> int:
    """The distance of `other` for somebody who asks for `wanted`, from 0 (the same) to 134 (`langcodes`).

    Not symmetric. Unrelated languages have a distance of UNRELATED or more.
    """
    return int(tag_distance(wanted, other))


@dataclass(frozen=True, order=True)
class Mixture:
    """Languages with integer weights, in cycle order. BA, LA and MA training differ in nothing else.

    ``parts`` holds (tag, weight) pairs: normalised tags, all different, weights from 1 to 1,000, the source
    first. A single language has weight 1. Anything else raises UsageError.
    """

    parts: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError(f"A mixture needs at least one language, such as {_LEGAL_MIXTURES}.")
        for tag, weight in self.parts:
            _check_part(tag, weight)
        if repeated := [tag for tag, count in Counter(self.languages).items() if count > 1]:
            raise UsageError(f"{name_of(repeated[0])} ({repeated[0]}) is named twice: name each language once.")
        if len(self.parts) == 1 and self.weights != (1,):
            raise UsageError(f"A ratio needs two languages or more: write {self.source} alone.")

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The tags, the source first."""
        return tuple(tag for tag, _ in self.parts)

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """Consecutive batches of each language in one cycle."""
        return tuple(weight for _, weight in self.parts)

    @property
    def source(self) -> str:
        """The first language, the one with task data."""
        return self.parts[0][0]

    @property
    def targets(self) -> tuple[str, ...]:
        """All languages but the source; for a single language, that language."""
        return self.languages[1:] or self.languages

    @property
    def kind(self) -> MixtureKind:
        """What an adapter trained on this mixture is: LA, BA or MA."""
        if len(self.parts) == 1:
            return "language"
        return "bilingual" if len(self.parts) == 2 else "multilingual"

    @property
    def cycle(self) -> tuple[str, ...]:
        """The language of each step of one cycle: ("en", "en", "wo") for en:2,wo:1."""
        return tuple(tag for tag, weight in self.parts for _ in range(weight))

    @property
    def ratio(self) -> str:
        """The weights as text: "5:1"."""
        return ":".join(map(str, self.weights))

    @property
    def is_balanced(self) -> bool:
        """Whether every language has the weight 1."""
        return set(self.weights) == {1}

    @property
    def balanced(self) -> Mixture:
        """The same languages, each with the weight 1."""
        return Mixture.of(*self.languages)

    def with_ratio(self, ratio: str | None) -> Mixture:
        """The same languages with the weights of ``ratio`` ("5:1": one a language); None keeps them."""
        if ratio is None:
            return self
        if not isinstance(ratio, str):
            raise UsageError(f"The ratio {ratio!r} is no text: expected one such as '5:1'.")
        weights = tuple(_weight(text, ratio) for text in ratio.strip().split(":"))
        if len(weights) != len(self.parts):
            raise UsageError(
                f"The ratio {shown(ratio)} does not fit {', '.join(self.languages)}: "
                "give one number a language, such as 5:1."
            )
        return Mixture(tuple(zip(self.languages, weights, strict=True)))

    @classmethod
    def of(cls, *languages: str) -> Mixture:
        """The mixture of these languages (tags or names), each with the weight 1; the source first."""
        return cls(tuple((normalise(language), 1) for language in languages))

    @classmethod
    def parse(cls, text: str) -> Mixture:
        """Read "en-wo", "wo", "en+bm+wo", "en-wo@5:1" or "en:5,wo:1".

        Between languages stands "-" (two of them) or "+" (two or more), so a tag writes its own subtags with
        "_": "en-zh_Hant". Raises UsageError with the legal spellings.
        """
        if not isinstance(text, str):
            raise UsageError(f"{shown(str(text))} is no text: expected a language or a pair, {_LEGAL_MIXTURES}.")
        return _parse_mixture(text.strip())

    def __str__(self) -> str:
        joint = "-" if len(self.parts) == 2 else "+"
        languages = joint.join(tag.replace("-", "_") for tag in self.languages)
        return languages if self.is_balanced else f"{languages}@{self.ratio}"


def pair(source: str, target: str, ratio: str | None = None) -> Mixture:
    """The mixture of a source and a target language, 1:1 unless a ratio such as "5:1" is given."""
    return Mixture.of(source, target).with_ratio(ratio)


@lru_cache(maxsize=4096)
def _parse_mixture(text: str) -> Mixture:
    body, at, ratio = text.partition("@")
    try:
        if not at and (":" in text or "," in text):
            return _parse_weighted(text)
        return Mixture.of(*_split_languages(body)).with_ratio(ratio if at else None)
    except UsageError as error:
        if (meant := _meant(body)) is None:
            raise
        raise UsageError(f"{shown(text)} is no pair: write {meant}.") from error


def _meant(body: str) -> str | None:
    """The pair that somebody means who writes it with another sign between ("en_wo", "en->wo") or as an adapter's name.

    None where there is no such sign, or something that is no code of a language.
    """
    fields = body.split("/")  # base/pair/task
    named = len(fields) in (2, 3) and "-" in fields[1]
    parts = fields[1].split("-") if named else _OTHER_JOINTS.split(body)
    if len(parts) < 2 or not all(map(known_tag, parts)):
        return None
    return ("-" if len(parts) == 2 else "+").join(part.strip() for part in parts)


def _check_part(tag: str, weight: int) -> None:
    if normalise(tag) != tag:
        raise UsageError(f"{shown(tag)} is not a canonical language tag: write {normalise(tag)}.")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= MAX_WEIGHT:
        raise UsageError(f"The weight {weight!r} of {tag} is not a whole number from 1 to {MAX_WEIGHT}.")


def _weight(text: str, ratio: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > MAX_WEIGHT:
        raise UsageError(f"{shown(ratio)} is not a ratio: expected whole numbers from 1 to {MAX_WEIGHT}, such as 5:1.")
    return int(text)


def _parse_weighted(text: str) -> Mixture:
    parts = []
    for part in text.split(","):
        tag, colon, weight = part.partition(":")
        if not colon:
            raise UsageError(
                f"{shown(part)} has no weight: give each language one, such as en:5,wo:1, "
                "or none, such as en-wo or en+bm+wo."
            )
        parts.append((normalise(tag), _weight(weight.strip(), text)))
    return Mixture(tuple(parts))


def _split_languages(body: str) -> list[str]:
    if "+" in body:
        if "-" in body:
            raise UsageError(f"{shown(body)} mixes '+' and '-': write {_LEGAL_MIXTURES}.")
        return body.split("+")
    pieces = body.split("-")
    if len(pieces) > 2 or not all(pieces):
        raise UsageError(_too_many_hyphens(body))
    if len(pieces) == 2:
        _refuse_one_language(body)
    return pieces


def _too_many_hyphens(body: str) -> str:
    hint = f" ({english_name(body)}, one language, is {body.replace('-', '_')})" if known_tag(body) else ""
    return f"{shown(body)} is not a language or a pair{hint}: write {_LEGAL_MIXTURES}."


def _refuse_one_language(body: str) -> None:
    """Refuse "zh-Hant" and "pt-BR": tags of one language that "-" would silently make into two."""
    tag = known_tag(body)
    if tag is None:
        return
    first, second = body.split("-")
    if known_tag(second) is None:
        raise UsageError(f"{shown(body)} is one language, {english_name(tag)}: write {first}_{second}.")
    if _LOCALE_LIKE.fullmatch(body):
        raise UsageError(
            f"{shown(body)} can be {english_name(tag)} or the pair {name_of(first)} and {name_of(second)}: "
            f"write {first}_{second} or {first}-{second.lower()}."
        )

"""Languages as BCP-47 tags, and mixtures of languages: what a language adapter is trained on."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import inf
from typing import Literal

from langcodes import Language, LanguageTagError, tag_distance
from language_data.names import load_trie, normalize_name
from language_data.util import data_filename

from badx_hub.errors import UsageError

MAX_WEIGHT = 1000
UNRELATED = 80
MixtureKind = Literal["language", "bilingual", "multilingual"]

_LEGAL_MIXTURES = "en-wo, en-wo@5:1, en:5,wo:1, wo, en+bm+wo, en-zh_Hant"
_NO_LANGUAGE = frozenset({"und", "mul", "zxx", "mis"})
_PRIVATE_USE = re.compile(r"q[a-t][a-z]")
_NO_TERRITORY = re.compile(r"AA|Q[M-Z]|X[A-JL-Z]|ZZ")
_NO_SCRIPT = re.compile(r"Qa[ab][a-x]|Z(inh|mth|sye|sym|xxx|yyy|zzz)")
_LOCALE_LIKE = re.compile(r"([a-z]{2,3})-([A-Z]{2})")
_SHOWN = 60
_MAX_SPELLING = 200

# Names that speakers use for languages of AmericasNLI; language_data lacks them.
_MORE_NAMES = {
    "náhuatl": "nah",
    "otomí": "oto",
    "rarámuri": "tar",
    "shipibo konibo": "shp",
    "wixarika": "hch",
    "wixárika": "hch",
}


@lru_cache(maxsize=4096)
def normalise(tag: str) -> str:
    """The canonical BCP-47 tag of a language: "wol", "WO" and "Wolof" give "wo", "aym" gives "ay".

    Accepts tags (with "-" or "_", any case), English names and the language's own name; where a text is both
    a code and a name, the code wins. Script, region and variants are kept ("zh-Hant", "pt-BR"), and so are
    collections ("nah"). Private use, extensions and unassigned codes are refused.

    Raises UsageError that offers the nearest known languages.
    """
    text = unicodedata.normalize("NFC", tag.strip())
    if len(text) > _MAX_SPELLING:
        raise UsageError(f"{_shown(text)} is too long for a language: expected a BCP-47 tag such as wo, or a name.")
    known = _known_tag(text) or _tag_of_name(text)
    if known is None:
        raise UsageError(_unknown(text))
    return known


def name_of(tag: str) -> str:
    """The English name of a language: "Wolof", "Chinese (Traditional)"."""
    return _english_name(normalise(tag))


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
        weights = tuple(_weight(text, ratio) for text in ratio.strip().split(":"))
        if len(weights) != len(self.parts):
            raise UsageError(
                f"The ratio {_shown(ratio)} does not fit {', '.join(self.languages)}: "
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
    if not at and (":" in text or "," in text):
        return _parse_weighted(text)
    return Mixture.of(*_split_languages(body)).with_ratio(ratio if at else None)


def _check_part(tag: str, weight: int) -> None:
    if normalise(tag) != tag:
        raise UsageError(f"{_shown(tag)} is not a canonical language tag: write {normalise(tag)}.")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= MAX_WEIGHT:
        raise UsageError(f"The weight {weight!r} of {tag} is not a whole number from 1 to {MAX_WEIGHT}.")


def _weight(text: str, ratio: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > MAX_WEIGHT:
        raise UsageError(f"{_shown(ratio)} is not a ratio: expected whole numbers from 1 to {MAX_WEIGHT}, such as 5:1.")
    return int(text)


def _parse_weighted(text: str) -> Mixture:
    parts = []
    for part in text.split(","):
        tag, colon, weight = part.partition(":")
        if not colon:
            raise UsageError(
                f"{_shown(part)} has no weight: give each language one, such as en:5,wo:1, "
                "or none, such as en-wo or en+bm+wo."
            )
        parts.append((normalise(tag), _weight(weight.strip(), text)))
    return Mixture(tuple(parts))


def _split_languages(body: str) -> list[str]:
    if "+" in body:
        if "-" in body:
            raise UsageError(f"{_shown(body)} mixes '+' and '-': write {_LEGAL_MIXTURES}.")
        return body.split("+")
    pieces = body.split("-")
    if len(pieces) > 2 or not all(pieces):
        raise UsageError(_too_many_hyphens(body))
    if len(pieces) == 2:
        _refuse_one_language(body)
    return pieces


def _too_many_hyphens(body: str) -> str:
    hint = f" ({_english_name(body)}, one language, is {body.replace('-', '_')})" if _known_tag(body) else ""
    return f"{_shown(body)} is not a language or a pair{hint}: write {_LEGAL_MIXTURES}."


def _refuse_one_language(body: str) -> None:
    """Refuse "zh-Hant" and "pt-BR": tags of one language that "-" would silently make into two."""
    tag = _known_tag(body)
    if tag is None:
        return
    first, second = body.split("-")
    if _known_tag(second) is None:
        raise UsageError(f"{_shown(body)} is one language, {_english_name(tag)}: write {first}_{second}.")
    if _LOCALE_LIKE.fullmatch(body):
        raise UsageError(
            f"{_shown(body)} can be {_english_name(tag)} or the pair {name_of(first)} and {name_of(second)}: "
            f"write {first}_{second} or {first}-{second.lower()}."
        )


def _known_tag(text: str) -> str | None:
    try:
        language = Language.get(text)
    except LanguageTagError:
        return None
    if not language.is_valid() or not _names_a_language(language):
        return None
    return str(_without_default_script(language).to_tag())


def _without_default_script(language: Language) -> Language:
    """`wol_Latn`, as FLORES and NLLB write Wolof, is `wo`: a script says something only where another is usual."""
    plain = Language.make(language=language.language)
    if language != Language.make(language=language.language, script=language.script):
        return language
    return plain if plain.maximize().script == language.script else language


def _names_a_language(language: Language) -> bool:
    """Whether a valid tag is of a real language: not private, technical or unknown."""
    code = language.language or ""
    return not (
        not re.fullmatch(r"[a-z]{2,3}", code)  # langcodes lets "419" and "x-foo" pass as languages
        or code in _NO_LANGUAGE
        or _PRIVATE_USE.fullmatch(code)
        or language.extlangs
        or language.extensions
        or language.private
        or _NO_TERRITORY.fullmatch(language.territory or "")
        or _NO_SCRIPT.fullmatch(language.script or "")
    )


def _english_name(tag: str) -> str:
    return str(Language.get(tag).display_name("en"))


def _tag_of_name(text: str) -> str | None:
    name = normalize_name(text)
    # Other English names come last: in them "Kiswahili" is swh, one of the two parts of Swahili.
    code = _MORE_NAMES.get(name) or _main_names().get(name) or _english_names().get(name)
    return _known_tag(code) if code else None


@cache
def _english_names() -> dict[str, str]:
    """English names, alternatives included, in the look-up spelling of language_data -> code."""
    trie = load_trie(data_filename("trie/en/name_to_language.marisa"))
    return {name: code.decode() for name, code in trie.items()}


@cache
def _main_names() -> dict[str, str]:
    """The main English name of each language and, where free, its name in itself, spelt as above -> code."""
    from language_data.name_data import CODE_TO_NAMES  # slow to load

    # Longest codes first: if two languages have the same name, the shorter tag overwrites the longer one.
    codes = sorted((code for code in CODE_TO_NAMES if code[0].islower()), key=lambda code: (-len(code), code))
    own = {
        normalize_name(name): code
        for code in codes
        for locale, name in CODE_TO_NAMES[code].items()
        if locale.partition("-")[0] == code.partition("-")[0]
    }
    english = {normalize_name(CODE_TO_NAMES[code]["en"]): code for code in codes if "en" in CODE_TO_NAMES[code]}
    return own | english


def _unknown(text: str) -> str:
    if _PRIVATE_USE.fullmatch(text.lower()):
        return (
            f"{_shown(text)} is a private-use code, as UD has for code-switching (qhe) and others: it means what its "
            "users agree on. Name a language of the text instead, such as hi for qhe."
        )
    tags = dict.fromkeys([*_spoken_in(text), *_nearest(text)])
    offers = [f"{_english_name(tag)} ({tag})" for tag in tags][:3]
    if not offers:
        return f"Unknown language {_shown(text)}: expected a BCP-47 tag such as wo or a name such as Wolof."
    return f"Unknown language {_shown(text)}: did you mean {', '.join(offers)}?"


def _spoken_in(text: str) -> list[str]:
    """The main language of a country whose code was given in place of a language: "jp" -> ja."""
    if not re.fullmatch(r"[a-z]{2}", text, re.ASCII | re.IGNORECASE):
        return []
    country = Language.get(f"und-{text}")
    if not country.is_valid() or _NO_TERRITORY.fullmatch(country.territory or ""):
        return []
    tag = _known_tag(country.maximize().language or "und")
    return [tag] if tag else []


def _nearest(text: str, most: int = 3) -> list[str]:
    """Known languages whose name or code is nearest to ``text``; the most spoken first if equally near."""
    wanted = normalize_name(text)[:_SHOWN]
    # A code is near to any text of its length, so only codes of languages with known numbers of speakers are offered.
    near = [(name, _known_tag(code)) for name, code in _matches(wanted, _english_names(), 0.75)]
    near += [(code, tag) for code, tag in _matches(wanted, _spoken_codes(), 0.66)]
    best: dict[str, float] = {}
    for spelling, tag in near:
        if tag is not None:
            likeness = difflib.SequenceMatcher(None, wanted, spelling).ratio()
            best[tag] = max(likeness, best.get(tag, -inf))
    return sorted(best, key=lambda tag: (-best[tag], -Language.get(tag).speaking_population(), tag))[:most]


def _matches(wanted: str, spellings: dict[str, str], cutoff: float) -> list[tuple[str, str]]:
    return [(found, spellings[found]) for found in difflib.get_close_matches(wanted, spellings, 20, cutoff)]


@cache
def _spoken_codes() -> dict[str, str]:
    from language_data.population_data import LANGUAGE_SPEAKING_POPULATION

    plain = (code for code in LANGUAGE_SPEAKING_POPULATION if code.isalpha())
    return {code: tag for code in plain if (tag := _known_tag(code)) is not None}


def _shown(text: str) -> str:
    """User text for an error message: quoted, on one line, at most 60 characters."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

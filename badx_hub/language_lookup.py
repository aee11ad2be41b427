"""From what people write for a language to its BCP-47 tag: codes, English names, own names, and what comes nearest."""

from __future__ import annotations

import difflib
import re
from functools import cache
from math import inf

from langcodes import Language, LanguageTagError
from language_data.names import load_trie, normalize_name
from language_data.util import data_filename

_NO_LANGUAGE = frozenset({"und", "mul", "zxx", "mis"})
_PRIVATE_USE = re.compile(r"q[a-t][a-z]")
_NO_TERRITORY = re.compile(r"AA|Q[M-Z]|X[A-JL-Z]|ZZ")
_NO_SCRIPT = re.compile(r"Qa[ab][a-x]|Z(inh|mth|sye|sym|xxx|yyy|zzz)")
_SHOWN = 60
_AGAIN = re.compile(r"( \([^()]+\))\1+\Z")
_IN_BRACKETS = re.compile(r"(.+\S) +\(([^()]+)\)")

# Scripts that FLORES and NLLB write although they are the usual ones; CLDR names no or another usual script.
_USUAL_SCRIPTS = {
    "acm": ("Arab",),
    "acq": ("Arab",),
    "ajp": ("Arab",),
    "azb": ("Arab",),
    "ko": ("Hang", "Kore"),
    "pbt": ("Arab",),
}

# Names that speakers use for languages of AmericasNLI; language_data lacks them.
_MORE_NAMES = {
    "náhuatl": "nah",
    "otomí": "oto",
    "rarámuri": "tar",
    "shipibo konibo": "shp",
    "wixarika": "hch",
    "wixárika": "hch",
}


def known_tag(text: str) -> str | None:
    """The canonical tag of a code of a real language; None for anything else."""
    try:
        language = Language.get(text)
    except LanguageTagError:
        return None
    if not language.is_valid() or not _names_a_language(language):
        return None
    return str(_without_default_script(language).to_tag())


def is_written_language(text: str) -> str | None:
    """The canonical tag of a code of a language with a known number of speakers: many words are codes of others."""
    tag = known_tag(text)
    return tag if tag is not None and tag.partition("-")[0] in {*_spoken_codes().values()} else None


def _without_default_script(language: Language) -> Language:
    """`wol_Latn`, as FLORES and NLLB write Wolof, is `wo`: a script says something only where another is usual."""
    plain = Language.make(language=language.language)
    if language != Language.make(language=language.language, script=language.script):
        return language
    usual = _USUAL_SCRIPTS.get(language.language or "") or (plain.maximize().script,)
    return plain if language.script in usual else language


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


def english_name(tag: str) -> str:
    """The English name of a tag."""
    return str(Language.get(tag).display_name("en"))


def tag_of_name(text: str) -> str | None:
    """The tag of a language by its English name or its name in itself; None for an unknown name.

    What is in brackets after a name is a script, a region or the tag itself: "Chinese (Traditional)", "Ga (gaa)".
    """
    if text.strip("-_") != text:
        return None  # The look-up spelling has none of these: "en-" is no name.
    if match := _IN_BRACKETS.fullmatch(_AGAIN.sub(r"\1", text)):
        return _in_full(match[1], match[2])
    name = normalize_name(text)
    # Other English names come last: in them "Kiswahili" is swh, one of the two parts of Swahili.
    code = _MORE_NAMES.get(name) or _main_names().get(name) or _english_names().get(name)
    return known_tag(code) if code else None


def _in_full(name: str, inside: str) -> str | None:
    tag = known_tag(inside)
    if tag is not None and _named(tag, name):
        return tag
    plain = known_tag(name) or tag_of_name(name)
    if plain is None:
        return None
    codes = [
        _codes_of(kind).get(normalize_name(part)) for part in inside.split(",") for kind in ("script", "territory")
    ]
    given = [code for code in codes if code]
    return known_tag("-".join([plain, *given])) if len(given) == inside.count(",") + 1 else None


def _named(tag: str, name: str) -> bool:
    """Whether a language is called so, script and region aside."""
    return normalize_name(english_name(tag)) == normalize_name(name) or tag_of_name(name) == tag.partition("-")[0]


@cache
def _codes_of(kind: str) -> dict[str, str]:
    """English names of scripts, or of territories -> code."""
    trie = load_trie(data_filename(f"trie/en/name_to_{kind}.marisa"))
    return {name: code.decode() for name, code in trie.items()}


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


def unknown(text: str) -> str:
    """Why a text is no language, with the nearest that there are: an error's message."""
    if _PRIVATE_USE.fullmatch(text.lower()):
        return (
            f"{shown(text)} is a private-use code, as UD has for code-switching (qhe) and others: it means what its "
            "users agree on. Name a language of the text instead, such as hi for qhe."
        )
    if text.lower() in _NO_LANGUAGE:
        return f"{shown(text)} stands for no one language (ISO 639). Name the language of the text, such as wo."
    tags = dict.fromkeys([*_spoken_in(text), *_nearest(text)])
    offers = [f"{english_name(tag)} ({tag})" for tag in tags][:3]
    if not offers:
        return f"Unknown language {shown(text)}: expected a BCP-47 tag such as wo or a name such as Wolof."
    return f"Unknown language {shown(text)}: did you mean {', '.join(offers)}?"


def _spoken_in(text: str) -> list[str]:
    """The main language of a country whose code was given in place of a language: "jp" -> ja."""
    if not re.fullmatch(r"[a-z]{2}", text, re.ASCII | re.IGNORECASE):
        return []
    country = Language.get(f"und-{text}")
    if not country.is_valid() or _NO_TERRITORY.fullmatch(country.territory or ""):
        return []
    tag = known_tag(country.maximize().language or "und")
    return [tag] if tag else []


def _nearest(text: str, most: int = 3) -> list[str]:
    """Known languages whose name or code is nearest to ``text``; the most spoken first if equally near."""
    wanted = normalize_name(text)[:_SHOWN]
    # A code is near to any text of its length, so only codes of languages with known numbers of speakers are offered.
    near = [(name, known_tag(code)) for name, code in _matches(wanted, _english_names(), 0.75)]
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
    return {code: tag for code in plain if (tag := known_tag(code)) is not None}


def shown(text: str) -> str:
    """User text for an error message: quoted, on one line, at most 60 characters."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

"""How near two languages are: by their families, where `urielplus` is installed, else by what langcodes knows.

`urielplus` (the extra "typology"; CC BY-SA 4.0) brings the lineage of some 8,000 languages, from which this reads two
tables. langcodes has the pairs of languages that people are offered in place of one another: few, and by contact as
much as by family.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import takewhile

from badx_hub.languages import UNRELATED, distance

_PACKAGE = "urielplus"
_TABLES = "database", "urielplus_csvs"


def relatedness(one: str, other: str) -> float:
    """From 0 (unrelated, or nothing is known) to 1 (the same language); symmetric.

    Where both lineages are known: twice the steps they have in common over the steps of both, the language itself being
    the last one. Else from langcodes' distance, the smaller one of the two directions.
    """
    if one == other:
        return 1.0
    ours, theirs = _lineage(one), _lineage(other)
    if ours and theirs:
        common = next(
            (step for step, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        return 2 * common / (len(ours) + len(theirs))
    return max(0.0, 1 - min(distance(one, other), distance(other, one)) / UNRELATED)


def nearest_first(language: str, others: Iterable[str]) -> Mapping[str, float]:
    """The others with their `relatedness`, the nearest first; those that are not related are left out."""
    known = {other: relatedness(language, other) for other in others}
    order = sorted((other for other, value in known.items() if value > 0), key=lambda other: (-known[other], other))
    return {other: known[other] for other in order}


def source_of_knowledge() -> str:
    """What `relatedness` goes by on this machine: "lineages of URIEL+" or "langcodes"."""
    return "lineages of URIEL+" if has_lineages() else "langcodes"


def has_lineages() -> bool:
    """Whether `urielplus` is installed."""
    return find_spec(_PACKAGE) is not None


@lru_cache(maxsize=4096)
def _lineage(language: str) -> tuple[str, ...]:
    """From the family down to the language; empty if it is not known.

    The tables leave out macrolanguages, such as Swahili or Malay: these have the lineage of their standard language or,
    where there is none, what the lineages of their languages have in common.
    """
    from langcodes import Language
    from langcodes.data_dicts import MACROLANGUAGES, NORMALIZED_MACROLANGUAGES

    found = Language.get(language)
    if known := _lineages().get(found.to_alpha3()):
        return known
    for table in (NORMALIZED_MACROLANGUAGES, MACROLANGUAGES):
        members = (Language.get(one).to_alpha3() for one, macro in table.items() if macro == found.language)
        if lineages := [lineage for one in members if (lineage := _lineages().get(one))]:
            steps = takewhile(lambda step: len(set(step)) == 1, zip(*lineages, strict=False))
            return tuple(step[0] for step in steps)
    return ()


@lru_cache(maxsize=1)
def _lineages() -> Mapping[str, tuple[str, ...]]:
    """By ISO 639-3 code."""
    if not has_lineages():
        return {}
    families = {row["language_id"]: row["lineage"] for row in _rows("lang_fam_geo.csv")}
    codes = {row["iso_code"]: row["glottocode"] for row in _rows("uriel_glottocode_map.csv")}
    return {
        code: (*(step.strip() for step in families[glottocode].split(",")), glottocode)
        for code, glottocode in codes.items()
        if families.get(glottocode)
    }


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files(_PACKAGE).joinpath(*_TABLES, name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())

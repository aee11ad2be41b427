"""What stands in for the LA that a target lacks, and how near languages are."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from badx_hub import typology
from badx_hub.errors import NotFoundError
from badx_hub.registry import resolve
from badx_hub.typology import nearest_first, relatedness
from tests.refusals import refused
from tests.registry.test_resolve import LA_EN, TA_EN, entry, want

ICELANDIC, DANISH, FRENCH = (entry(f"mbert/{tag}") for tag in ("is", "da", "fr"))
THERE = (LA_EN, TA_EN, ICELANDIC, DANISH, FRENCH)

lineages = pytest.mark.skipif(
    find_spec("urielplus") is None, reason="urielplus, the extra `typology`, is not installed"
)


@lineages
def test_the_nearest_la_stands_in() -> None:
    found = resolve(THERE, want("en-fo"), fallback="nearest-la")
    assert (found.entry, found.language_adapter, found.setup) == (TA_EN, ICELANDIC, "mad-x")
    own = entry("mbert/fo")
    assert resolve((*THERE, own), want("en-fo"), fallback="nearest-la").language_adapter == own
    elsewhere = entry("xlmr-base/is")
    assert resolve((LA_EN, TA_EN, DANISH, elsewhere), want("en-fo"), fallback="nearest-la").language_adapter == DANISH


@lineages
def test_a_mean_of_related_las_stands_in_once_it_is_made() -> None:
    command = r"badx-hub merge mbert/is mbert/da mbert/en --weights 88,67,40 --name 'mbert/fo#proxy'"
    with refused(NotFoundError, command):
        resolve(THERE, want("en-fo"), fallback="proxy-la")
    proxy = entry("mbert/fo#proxy")
    assert resolve((*THERE, proxy), want("en-fo"), fallback="proxy-la").language_adapter == proxy
    with refused(NotFoundError, "only mbert/fr is.*--fallback nearest-la"):
        resolve(
            (entry("mbert/wo"), entry("mbert/wo/pos", on=entry("mbert/wo")), FRENCH), want("wo-es"), fallback="proxy-la"
        )


@lineages
def test_a_language_without_relatives_gets_none() -> None:
    with refused(
        NotFoundError, r"\(da, en, fr, is\) is known to be related to wo .*\. To train it: `badx-hub train wo"
    ):
        resolve(THERE, want("en-wo"), fallback="nearest-la")


@lineages
def test_lineages_say_how_near_languages_are() -> None:
    assert list(nearest_first("fo", ["en", "da", "wo", "is"])) == ["is", "da", "en"]
    assert relatedness("fo", "is") == relatedness("is", "fo")
    assert relatedness("ug", "uz") > relatedness("ug", "tr") > relatedness("ug", "en") == 0
    assert relatedness("wo", "wo") == 1
    assert relatedness("wo", "sw") > 0, "a macrolanguage, which is in no table"


def test_without_lineages_langcodes_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    typology._lineages.cache_clear()
    typology._lineage.cache_clear()
    monkeypatch.setattr(typology, "find_spec", lambda _name: None)
    assert typology.source_of_knowledge() == "langcodes"
    assert list(nearest_first("fo", ["en", "da", "wo"])) == ["da"]
    typology._lineages.cache_clear()
    typology._lineage.cache_clear()

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture, name_of, normalise, pair
from tests.strategies import TAGS, mixtures, tags

SUBTAGS = st.from_regex(r"[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?", fullmatch=True)


@pytest.mark.parametrize(
    ("given_text", "tag"),
    [
        ("wol", "wo"),
        ("WO", "wo"),
        ("Wolof", "wo"),
        (" wolof ", "wo"),
        ("wo", "wo"),
        ("aym", "ay"),
        ("nah", "nah"),
        ("ZH_hant", "zh-Hant"),
        ("pt-br", "pt-BR"),
        ("es-419", "es-419"),
        ("Huichol", "hch"),
        ("Wixárika", "hch"),
        ("Shipibo-Konibo", "shp"),
        ("Deutsch", "de"),
        ("føroyskt", "fo"),
        ("Kiswahili", "sw"),
        ("Pulaar", "fuc"),  # English first: it is also what ff calls itself
        ("中文", "zh"),
        ("Traditional Chinese", "zh-Hant"),
        ("iw", "he"),
        ("zh-yue", "yue"),
        *(("kor_Hang", "ko"), ("acm_Arab", "acm"), ("zho_Hans", "zh"), ("zho_Hant", "zh-Hant"), ("kmr_Latn", "kmr")),
        ("ga", "ga"),  # the code of Irish, though also the name of gaa
    ],
)
def test_normalise(given_text: str, tag: str) -> None:
    assert normalise(given_text) == tag


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "xx", "qqq", "qaa", "und", "mul", "zxx", "mis", "x-foo", "en-x-foo", "en-u-co-phonebk"),
        *("419", "1901", "en-ZZ", "en-XA", "en-Zzzz", "en-Qaaa", "zh-pro", "ar-arb", "en_US.UTF-8", "a" * 500),
        *("Proto-Chimakuan", "private use", "United States", "wo\x00", "w\no", "\uff57\uff4f", "en-", "_a"),
        *(None, False, 5, float("nan"), b"wo", ["wo"]),
    ],
)
def test_what_is_no_known_language_is_refused_in_one_line(text: Any) -> None:
    with pytest.raises(UsageError) as caught:
        normalise(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("typo", "offer"),
    [("wolow", "Wolof (wo)"), ("Englsh", "English (en)"), ("Swahilli", "Swahili (sw)"), ("jp", "Japanese (ja)")],
)
def test_an_unknown_language_offers_the_nearest(typo: str, offer: str) -> None:
    with pytest.raises(UsageError, match="did you mean") as caught:
        normalise(typo)
    assert offer in str(caught.value)


def test_offers_are_known_languages() -> None:
    with pytest.raises(UsageError) as caught:
        normalise("bambarra")
    offered = [part.rsplit("(", 1)[1] for part in str(caught.value).split(")")[:-1]]
    assert offered
    for tag in offered:
        assert normalise(tag) == tag


@given(st.one_of(tags(), SUBTAGS, st.text(max_size=20)))
def test_normalise_is_idempotent_and_refuses_only_with_usage_errors(text: str) -> None:
    try:
        tag = normalise(text)
    except UsageError:
        return
    assert normalise(tag) == tag
    assert normalise(tag.lower()) == normalise(tag.upper()) == tag
    assert normalise(tag.replace("-", "_")) == tag
    assert "Unknown" not in name_of(tag)


def test_names_are_english() -> None:
    assert name_of("wol") == "Wolof"
    assert name_of("zh-Hant") == "Chinese (Traditional)"


def test_import_does_not_load_the_slow_name_tables() -> None:
    code = "import sys, badx_hub.languages; print('language_data.name_data' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("text", "canonical", "parts"),
    [
        ("wo", "wo", (("wo", 1),)),
        ("wo@1", "wo", (("wo", 1),)),
        ("en-wo", "en-wo", (("en", 1), ("wo", 1))),
        ("English-Wolof", "en-wo", (("en", 1), ("wo", 1))),
        ("EN-WO", "en-wo", (("en", 1), ("wo", 1))),
        ("en+wo", "en-wo", (("en", 1), ("wo", 1))),
        ("en-wo@1:1", "en-wo", (("en", 1), ("wo", 1))),
        ("en-wo@5:1", "en-wo@5:1", (("en", 5), ("wo", 1))),
        ("en-wo@05:1", "en-wo@5:1", (("en", 5), ("wo", 1))),
        ("en:5,wo:1", "en-wo@5:1", (("en", 5), ("wo", 1))),
        ("en: 5, wo: 1", "en-wo@5:1", (("en", 5), ("wo", 1))),
        ("en:2,wo:2", "en-wo@2:2", (("en", 2), ("wo", 2))),
        ("en+bm+wo", "en+bm+wo", (("en", 1), ("bm", 1), ("wo", 1))),
        ("en-zh_Hant", "en-zh_Hant", (("en", 1), ("zh-Hant", 1))),
        ("zh_hant", "zh_Hant", (("zh-Hant", 1),)),
        ("pt-br", "pt-br", (("pt", 1), ("br", 1))),
    ],
)
def test_parse(text: str, canonical: str, parts: tuple[tuple[str, int], ...]) -> None:
    mixture = Mixture.parse(text)
    assert mixture.parts == parts
    assert str(mixture) == canonical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("en-en", "named twice"),
        ("en-eng", "named twice"),
        ("en-xx", "Unknown language 'xx'"),
        ("", "not a language or a pair"),
        ("-", "not a language or a pair"),
        ("en-", "not a language or a pair"),
        ("en-bm-wo", r"en\+bm\+wo"),
        ("en-zh-Hant", "en-zh_Hant"),
        ("en+wo-bm", "mixes"),
        ("zh-Hant", "one language, Chinese"),
        ("es-419", "write es_419"),
        ("zh-Hant-TW", "zh_Hant_TW"),
        ("pt-BR", "write pt_BR or pt-br"),
        ("en,wo", "write en-wo"),
        ("en:5,wo", "no weight"),
        *((f"en{sign}wo", r"is no pair: write en-wo\.") for sign in ("_", " ", "/", "->", "\u2013", "\u2192", "; ")),
        ("en bm wo", r"write en\+bm\+wo"),
        ("mbert/en-wo/pos", "is no pair: write en-wo"),
        ("en_xx", "Unknown language 'en_xx'"),
        ("en-wo@", "not a ratio"),
        ("en-wo@0:1", "not a ratio"),
        ("en-wo@-1:1", "not a ratio"),
        ("en-wo@1.5:1", "not a ratio"),
        ("en-wo@\u0665:1", "not a ratio"),
        ("en-wo@1001:1", "not a ratio"),
        ("en-wo@" + "9" * 5000 + ":1", "not a ratio"),
        ("en:0,wo:1", "not a ratio"),
        ("en-wo@5", "does not fit"),
        ("en-wo@5:1:2", "does not fit"),
        ("wo@2", "write wo alone"),
    ],
)
def test_parse_refuses(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Mixture.parse(text)


@given(mixtures())
def test_text_parses_back(mixture: Mixture) -> None:
    assert Mixture.parse(str(mixture)) == mixture
    weighted = ",".join(f"{tag}:{weight}" for tag, weight in mixture.parts)
    assert Mixture.parse(weighted) == mixture


@given(st.text(max_size=30))
def test_parse_of_any_text_gives_a_mixture_or_a_usage_error(text: str) -> None:
    try:
        mixture = Mixture.parse(text)
    except UsageError:
        return
    assert Mixture.parse(str(mixture)) == mixture


@given(mixtures())
def test_cycle_holds_each_language_in_order_as_often_as_its_weight(mixture: Mixture) -> None:
    assert len(mixture.cycle) == sum(mixture.weights)
    assert tuple(dict.fromkeys(mixture.cycle)) == mixture.languages
    assert tuple(mixture.cycle.count(tag) for tag in mixture.languages) == mixture.weights


def test_roles() -> None:
    single, bilingual, multi = Mixture.parse("wo"), Mixture.parse("en-wo@5:1"), Mixture.parse("en+bm+wo")
    assert [single.kind, bilingual.kind, multi.kind] == ["language", "bilingual", "multilingual"]
    assert [single.source, bilingual.source, multi.source] == ["wo", "en", "en"]
    assert [single.targets, bilingual.targets, multi.targets] == [("wo",), ("wo",), ("bm", "wo")]
    assert bilingual.cycle == ("en", "en", "en", "en", "en", "wo")


def test_direction_counts() -> None:
    assert pair("en", "wo") != pair("wo", "en")


def test_pair_takes_whole_tags_and_a_ratio() -> None:
    assert str(pair("English", "zh-Hant", "1:2")) == "en-zh_Hant@1:2"
    with pytest.raises(UsageError, match="named twice"):
        pair("en", "eng")


def test_with_ratio_replaces_the_weights_and_none_keeps_them() -> None:
    mixture = Mixture.parse("en-wo@5:1")
    assert mixture.with_ratio(None) == mixture
    assert mixture.with_ratio("1:1") == pair("en", "wo")


@given(mixtures())
def test_a_ratio_taken_away_can_be_given_back(mixture: Mixture) -> None:
    assert mixture.balanced == Mixture.of(*mixture.languages)
    assert mixture.balanced.with_ratio(mixture.ratio) == mixture
    assert mixture.is_balanced == (mixture == mixture.balanced)


@pytest.mark.parametrize(
    "parts",
    [(), (("EN", 1),), (("en", 0),), (("en", 1), ("wo", 0)), (("en", 1), ("wo", True)), (("en", 2),), (("xx", 1),)],
)
def test_no_illegal_mixture_can_be_made(parts: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(UsageError):
        Mixture(parts)


def test_the_generated_tags_are_canonical() -> None:
    assert [normalise(tag) for tag in TAGS] == list(TAGS)


@pytest.mark.parametrize(
    "tag",
    [
        "wo",
        "zh-Hant",
        "sr-Latn",
        "pt-BR",
        "es-419",
        "uz-Cyrl",
        "gaa",
        "dnj",
        "mni-Mtei",
        "be-tarask",
        "nah",
        "luo",
        "swh",
    ],
)
def test_a_name_that_is_shown_is_a_name_that_is_read(tag: str) -> None:
    assert normalise(name_of(tag)) == normalise(f"{name_of(tag)} ({tag})") == normalise(tag)


@pytest.mark.parametrize("text", ["Nonsense (wo)", "Wolof (fr)", "Wolof (Klingon)", "(wo)"])
def test_brackets_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        normalise(text)

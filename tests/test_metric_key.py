"""Metric keys: text <-> value both ways, and what a key says about its values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.metric_key import MetricKey, Unit

PARTS = st.text().filter(lambda text: "/" not in text)


@given(st.text())
def test_every_text_is_a_key_and_is_written_as_it_was_read(text: str) -> None:
    assert str(MetricKey.parse(text)) == text


@given(st.text(alphabet="a/", max_size=8))
def test_slashes_alone_are_kept_too(text: str) -> None:
    assert str(MetricKey.parse(text)) == text


@given(PARTS, PARTS, st.none() | st.text())
def test_every_key_of_a_language_is_read_as_it_was_written(name: str, language: str, label: str | None) -> None:
    key = MetricKey(name, language, label)
    assert MetricKey.parse(str(key)) == key


@given(PARTS)
def test_a_name_alone_is_a_key(name: str) -> None:
    assert MetricKey.parse(name) == MetricKey(name)


@pytest.mark.parametrize("parts", [("a/b",), ("f1", "w/o"), ("f1", None, "NOUN")])
def test_what_could_not_be_read_back_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"slash|language"):
        MetricKey(*parts)


@pytest.mark.parametrize(
    ("text", "key", "unit", "title", "value", "shown"),
    [
        ("wo/perplexity", MetricKey("perplexity", "wo"), Unit.PERPLEXITY, "perplexity", 12.345, "12.35"),
        ("targets/perplexity", MetricKey("perplexity", "targets"), Unit.PERPLEXITY, "perplexity", 9, "9.00"),
        ("en/accuracy", MetricKey("accuracy", "en"), Unit.FRACTION, "accuracy", 0.9125, "91.2 %"),
        ("wo/f1/NOUN", MetricKey("f1", "wo", "NOUN"), Unit.FRACTION, "F1", 1, "100.0 %"),
        ("wo/f1/a/b", MetricKey("f1", "wo", "a/b"), Unit.FRACTION, "F1", 0, "0.0 %"),
        ("macro_f1", MetricKey("macro_f1"), Unit.FRACTION, "macro F1", 0.5, "50.0 %"),
        ("uas", MetricKey("uas"), Unit.FRACTION, "UAS", 0.5, "50.0 %"),
    ],
)
def test_a_key_knows_its_values(text: str, key: MetricKey, unit: Unit, title: str, value: float, shown: str) -> None:
    found = MetricKey.parse(text)
    assert (found, found.unit, found.title, found.shown(value)) == (key, unit, title, shown)
    assert found.larger_is_better is (unit is Unit.FRACTION)


def test_the_perplexity_that_counts_is_the_target_s_or_the_mean_of_several() -> None:
    assert str(MetricKey.target_perplexity(("wo",))) == "wo/perplexity"
    assert str(MetricKey.target_perplexity(("bm", "wo"))) == "targets/perplexity"


def test_a_picture_shows_a_metric_of_all_languages_and_of_no_label() -> None:
    keys = ["en/f1", "wo/f1", "wo/f1/NOUN", "wo/accuracy", "targets/perplexity"]
    assert MetricKey("f1", "wo").alike(keys) == ["en/f1", "wo/f1"]

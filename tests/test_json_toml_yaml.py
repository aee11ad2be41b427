"""Documents of strangers: plain data comes back as it was written, everything else is one DataError, and soon."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import DataError
from badx_hub.json_toml_yaml import MAX_DEPTH, read_json, read_toml, read_yaml

READERS = {"json": read_json, "toml": read_toml, "yaml": read_yaml}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
WORDS = st.text("abc é-:#'\"", max_size=9)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_data_comes_back(value: object) -> None:
    assert read_json(json.dumps(value), "x") == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode(), "x") == value


@given(
    st.dictionaries(
        WORDS, st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc é-:#'\"", max_size=9)
    )
)
def test_yaml_that_was_dumped_comes_back(value: dict[str, Any]) -> None:
    assert read_yaml(yaml.safe_dump(value, allow_unicode=True), "x") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no: norwegian.txt", {"no": "norwegian.txt"}),
        ("a: yes", {"a": "yes"}),
        ("a: 2001-99-99", {"a": "2001-99-99"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 5e-4", {"a": 5e-4}),
        ("a: 0x1F", {"a": "0x1F"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a:", {"a": None}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("true: 1.", {True: 1.0}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("", None),
    ],
)
def test_words_of_yaml_mean_what_people_mean(text: str, value: object) -> None:
    assert read_yaml(text, "x") == value


BILLION_LAUGHS = "a: &a [x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in pairwise("abcdefghijklmnopqrst"))
HOSTILE = [
    ("json", "[" * 100_000, "deep"),
    ("json", "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "deep"),
    ("json", "1" * 4400, "digits"),
    ("json", "NaN", "NaN is not a number"),
    ("json", "1e999", "infinite"),
    ("json", r'"\ud800"', "half a surrogate pair"),
    ("json", r'{"a\u0000": 1}', "NUL"),
    ("json", b"\xff", "UTF-8"),
    ("json", "{", "not JSON"),
    ("json", " " * (2**20 + 1), "bytes"),
    ("toml", "a" + ".a" * 100_000 + "=1", "dots"),
    ("toml", "a=" + "[" * 50_000, "deep"),
    ("toml", "a=2001-01-01", "date"),
    ("toml", "a=2001-99-99", "not TOML"),
    ("toml", "a=inf", "infinite"),
    ("toml", "a={" + "b={" * 5000, "not TOML"),
    ("toml", "a=" + "1" * 4400, "not TOML"),
    ("yaml", "[" * 50_000, "deep"),
    ("yaml", "a: &a [*a]", "deep"),
    (
        "yaml",
        "a: &a [x,x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a},*{a}]\n" for a, b in pairwise("abcdefghijklmnop")),
        "many",
    ),
    ("yaml", "a: !!python/object:os.system x", "not YAML"),
    ("yaml", "a: !!timestamp 2001-01-01", "not"),
    ("yaml", "a: !!binary aGk=", "binary"),
    ("yaml", "a: !!set {b}", "set"),
    ("yaml", "a: " + "9" * 5000, "digits"),
    ("yaml", "a: \x00", "not YAML"),
    ("yaml", "? [a, b]\n: c", "not YAML"),
    ("yaml", "- " * 10_000, "deep"),
    ("yaml", "a: {wo: 1, en: 2, wo: 3}", r"the key wo is there twice \(line 1\)"),
]


@pytest.mark.parametrize(
    ("kind", "content", "said"), HOSTILE, ids=[f"{kind}-{said}-{n}" for n, (kind, _, said) in enumerate(HOSTILE)]
)
def test_what_is_no_plain_data_is_refused_by_name(kind: str, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)\Amine .*{said}") as caught:
        READERS[kind](content, "mine")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=200) | st.text(max_size=200))
def test_nothing_but_our_own_error_comes_out(kind: str, content: str | bytes) -> None:
    reader: Callable[..., object] = READERS[kind]
    try:
        reader(content, "mine")
    except DataError as error:
        assert str(error).startswith("mine ")

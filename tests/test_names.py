from __future__ import annotations

import re
from dataclasses import replace

import pytest
from huggingface_hub.utils._validators import validate_repo_id
from hypothesis import assume, given
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.names import AdapterName, base_slug
from tests.strategies import mixtures

SLUGS = st.one_of(
    st.sampled_from(["mbert", "xlmr-base", "demo", "en-wo", "5-1", "mlm", "git", "ta-only", "seed2"]),
    st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,2}", fullmatch=True),
)
TASKS = st.one_of(st.sampled_from(["pos", "dp", "nli"]), st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True))


@st.composite
def names(draw: st.DrawFn) -> AdapterName:
    task = draw(st.none() | TASKS)
    mixture = draw(mixtures(max_size=4))
    label = draw(st.none() | SLUGS)
    setup = draw(st.none() | SLUGS) if task else None
    assume(task not in ("mlm", "git", "ipynb") and label not in ("git", "ipynb"))
    if setup == "ta-only":
        mixture = Mixture(((mixture.source, 1),))
    return AdapterName(draw(SLUGS), mixture, task, setup, label)


def by_hand(text: str, **fields: str) -> AdapterName:
    return AdapterName("mbert", Mixture.parse(text), **fields)


EXAMPLES = [
    (by_hand("en-wo"), "mbert/en-wo", "mbert.en-wo", "mbert:en-wo:::::"),
    (by_hand("wo"), "mbert/wo", "mbert.wo", "mbert:wo:::::"),
    (by_hand("en-wo@5:1"), "mbert/en-wo@5:1", "mbert.en-wo.5-1", "mbert:en-wo:5-1::::"),
    (by_hand("en+bm+wo"), "mbert/en+bm+wo", "mbert.en-bm-wo", "mbert:en-bm-wo:::::"),
    (
        by_hand("en-wo@5:1", task="pos"),
        "mbert/en-wo@5:1/pos",
        "mbert.en-wo.5-1.pos",
        "mbert:en-wo:5-1:pos:::",
    ),
    (
        by_hand("en", task="pos", setup="ta-only"),
        "mbert/en/pos@ta-only",
        "mbert.en.pos-ta-only",
        "mbert:en::pos:ta-only::",
    ),
    (
        by_hand("en-wo", task="pos", label="seed2"),
        "mbert/en-wo/pos#seed2",
        "mbert.en-wo.pos.seed2",
        "mbert:en-wo::pos::seed2:",
    ),
    (by_hand("en-wo", label="seed2"), "mbert/en-wo#seed2", "mbert.en-wo.mlm.seed2", "mbert:en-wo::::seed2:"),
    (by_hand("en-zh_Hant"), "mbert/en-zh_Hant", "mbert.en-zh_Hant", "mbert:en-zh_Hant:::::"),
    # The Hub refuses names that end in ".git", which here is Gitxsan.
    (by_hand("git"), "mbert/git", "mbert.git.mlm", "mbert:git:::::"),
]


@pytest.mark.parametrize(("name", "text", "repo", "module"), EXAMPLES)
def test_the_three_forms(name: AdapterName, text: str, repo: str, module: str) -> None:
    assert (str(name), name.repo_name, name.module_name) == (text, repo, module)


@given(names())
def test_each_form_parses_back(name: AdapterName) -> None:
    assert AdapterName.parse(str(name)) == name
    assert AdapterName.from_repo_name(name.repo_name) == name
    assert AdapterName.from_module_name(name.module_name) == name


@given(names())
def test_repo_names_are_legal_for_the_hub(name: AdapterName) -> None:
    repo = name.repo_name
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", repo)
    assert len(repo) <= 96
    assert "--" not in repo
    assert ".." not in repo
    assert not repo.endswith((".git", ".ipynb"))
    validate_repo_id(f"owner/{repo}")


@given(names())
def test_module_names_have_no_dot_and_no_comma(name: AdapterName) -> None:
    assert not set(".,") & set(name.module_name)


@given(names(), names())
def test_distinct_names_stay_distinct_in_each_form(one: AdapterName, other: AdapterName) -> None:
    assume(one != other)
    assert str(one) != str(other)
    # Some file systems do not tell upper case from lower case.
    assert one.repo_name.lower() != other.repo_name.lower()
    assert not one.module_name.startswith(other.module_name)


@given(names())
def test_a_shorter_name_is_never_a_prefix_of_a_longer_one(name: AdapterName) -> None:
    """Two independent names hardly ever share a beginning: compare with a name's own relatives."""
    for field in ("label", "setup", "task"):
        if field == "task" and name.setup:
            continue
        relative = replace(name, **{field: None})
        if relative != name:
            assert not name.module_name.startswith(relative.module_name)
            assert not relative.module_name.startswith(name.module_name)


@given(names(), names())
def test_names_sort(one: AdapterName, other: AdapterName) -> None:
    assert (one < other) + (other < one) + (one == other) == 1


@given(names())
def test_the_language_adapter_has_the_same_mixture(name: AdapterName) -> None:
    if name.task is None or name.setup is not None:
        assert name.language_adapter is None
        return
    assert name.kind == "task"
    below = name.language_adapter
    assert below is not None
    assert below.kind == name.mixture.kind
    assert (below.base, below.mixture, below.label) == (name.base, name.mixture, name.label)


@given(st.text(alphabet="abe-nw/o@:51#.mlposrt+_G", max_size=24))
def test_any_text_is_a_name_or_a_usage_error(text: str) -> None:
    for parse, form in (
        (AdapterName.parse, str),
        (AdapterName.from_repo_name, lambda name: name.repo_name),
        (AdapterName.from_module_name, lambda name: name.module_name),
    ):
        try:
            name = parse(text)
        except UsageError as error:
            assert "\n" not in str(error)
            continue
        assert parse(form(name)) == name


def test_parse_accepts_other_spellings_of_the_languages() -> None:
    assert str(AdapterName.parse("mbert/eng-Wolof@05:1/pos")) == "mbert/en-wo@5:1/pos"


@pytest.mark.parametrize(
    "text",
    [
        *("", "mbert", "mbert/", "/en-wo", "mbert/en-wo/", "mbert/en-wo/pos/x", "mbert/en-wo/pos@", "mbert/en-wo#"),
        *("mbert/en-wo#a#b", "mbert/en-wo@ta-only", "mbert/en-wo/mlm", "mbert/en-wo/POS", "mbert/en-wo/1pos"),
        *("mbert/en-wo/po-s", "m--b/en-wo", "mBERT/en-wo", "-mbert/en-wo", "m.b/en-wo", "mbert/en-wo#-x"),
        *("mbert/en-wo/git", "mbert/en-wo#git", "mbert/en-wo/ipynb", "mbert/en-wo/pos@x_y", "mbert/en-xx"),
    ],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        AdapterName.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "mbert.en-wo.mlm", "mbert.en-wo.1-1", "mbert.git", "mbert.en-wo.05-1", "mbert.en-WO"),
        *("mbert.en-wo.pos-", "mbert.en-wo.pos.", "mbert.en-wo.mlm-x", "mbert.en-wo.mlm.seed2.x", "o/mbert.en-wo"),
        *("mbert.en-wo.5", "mbert.en-wo.5-1-1", "mbert.English-wo", "mbert..pos", "mbert.en-wo.pos.seed2.x.y"),
    ],
)
def test_only_the_canonical_repo_name_is_read(text: str) -> None:
    with pytest.raises(UsageError):
        AdapterName.from_repo_name(text)


@pytest.mark.parametrize(
    "text", ["", "mbert", "mbert:en-wo::::", "mbert:en-wo::::::", "mbert:en-WO:::::", "mbert:en-wo:1-1::::"]
)
def test_only_the_canonical_module_name_is_read(text: str) -> None:
    with pytest.raises(UsageError):
        AdapterName.from_module_name(text)


def test_a_setup_needs_a_task() -> None:
    with pytest.raises(UsageError, match="needs a task"):
        by_hand("en", setup="ta-only")


def test_ta_only_has_the_source_language_alone() -> None:
    with pytest.raises(UsageError, match="write mbert/en/pos@ta-only"):
        by_hand("en-wo", task="pos", setup="ta-only")


def test_a_name_too_long_for_the_hub_is_refused() -> None:
    longest = "a" * (96 - len(".en-wo"))
    assert len(AdapterName.parse(f"{longest}/en-wo").repo_name) == 96
    with pytest.raises(UsageError, match="97 characters"):
        AdapterName.parse(f"{longest}a/en-wo")


@pytest.mark.parametrize(
    ("base", "slug"),
    [
        ("bert-base-multilingual-cased", "mbert"),
        ("google-bert/bert-base-multilingual-cased", "mbert"),
        ("someone/bert-base-multilingual-cased", "bert-base-multilingual-cased"),
        ("xlm-roberta-base", "xlmr-base"),
        ("FacebookAI/xlm-roberta-base", "xlmr-base"),
        ("FacebookAI/xlm-roberta-large", "xlmr-large"),
        ("demo", "demo"),
        ("../models/mini-mmt/", "mini-mmt"),
        ("C:\\models\\Mini MMT", "mini-mmt"),
        ("org/Weird__Name--v1.0", "weird-name-v1-0"),
    ],
)
def test_base_slug(base: str, slug: str) -> None:
    assert base_slug(base) == slug


@given(st.text(max_size=20))
def test_a_base_slug_can_name_adapters(base: str) -> None:
    try:
        slug = base_slug(base)
    except UsageError:
        return
    assert AdapterName(slug, Mixture.parse("en-wo")).base == slug


@pytest.mark.parametrize("base", ["", "/", ".", "..", "日本語"])
def test_a_base_without_letters_has_no_slug(base: str) -> None:
    with pytest.raises(UsageError):
        base_slug(base)

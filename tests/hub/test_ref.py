"""Places on a Hub: whatever is typed either is one, and then is written the same again, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.hub.ref import HubRef, adapter_at_commit, is_commit, parse_location
from badx_hub.names import AdapterName
from tests.test_names import names

OWNERS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]|\.[A-Za-z0-9]){0,20}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
COMMITS = st.from_regex(r"[0-9a-f]{40}|[0-9a-f]{64}", fullmatch=True)
REVISIONS = COMMITS | st.from_regex(r"[^@\s]{1,20}", fullmatch=True)


@st.composite
def refs(draw: st.DrawFn) -> HubRef:
    parts = draw(st.integers(0, 3))
    return HubRef(*(draw(part) for part in (OWNERS, NAMES, REVISIONS)[:parts]))


@given(refs())
def test_a_place_is_read_as_it_is_written(place: HubRef) -> None:
    assert HubRef.parse(str(place)) == place == parse_location(str(place))
    assert place.name is None or HubRef.parse(place.repo_at, bare=True) == place


@given(st.text(max_size=30) | st.text("hf:/@.-a0 \n", max_size=30))
def test_any_text_is_a_place_and_written_so_or_none(text: str) -> None:
    found = HubRef.parse(text)
    assert found is None or str(found) == text
    bare = HubRef.parse(text, bare=True)
    assert bare is None or str(bare).removeprefix("hf:") == text.removeprefix("hf:")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_place_can_be_made_that_does_not_parse_back(owner: str, name: str, revision: str) -> None:
    try:
        place = HubRef(owner, name, revision)
    except UsageError:
        return
    assert HubRef.parse(str(place)) == place


@pytest.mark.parametrize("fields", [(None, "name"), ("org", None, "main"), (None, None, "main"), ("",), ("org", "")])
def test_fields_stand_in_order(fields: tuple[str | None, ...]) -> None:
    with pytest.raises(UsageError, match="not a place on a Hub"):
        HubRef(*fields)


@given(OWNERS, names(), COMMITS)
def test_an_adapter_at_a_commit(owner: str, name: AdapterName, commit: str) -> None:
    place = adapter_at_commit(f"hf:{owner}/{name.repo_name}@{commit}")
    assert (place.owner, place.adapter, place.commit) == (owner, name, commit)


@pytest.mark.parametrize("text", ["hf:", "hf:org", "hf:org/mbert.en-wo", "hf:org/mbert.en-wo@main", "./mbert.en-wo"])
def test_other_places_are_no_adapter_at_a_commit(text: str) -> None:
    with pytest.raises(NotFoundError, match="no place on a Hub"):
        adapter_at_commit(text)


def test_commits_have_40_or_64_digits() -> None:
    assert [length for length in range(130) if is_commit("a" * length)] == [40, 64]
    assert HubRef("org", "name", "main").commit is None and HubRef("org", "name").at == "main"


@pytest.mark.parametrize("text", ["demo", "./hf:x", "/tmp/adapters", "org/name", "C:\\x"])
def test_what_is_not_on_a_hub_is_a_folder(text: str) -> None:
    assert parse_location(text) == Path(text)


@pytest.mark.parametrize("text", ["hf:-", "hf:a..b", "hf:org/", "hf:org@main", "hf:org/x/y", "hf:a b"])
def test_a_misspelt_place_says_how_it_is_written(text: str) -> None:
    with pytest.raises(UsageError, match=r"write `hf:ORG`"):
        parse_location(text)


def test_a_repository_is_no_namespace() -> None:
    assert HubRef().namespace is None and HubRef("org").namespace == "org"
    with pytest.raises(UsageError, match=r"'org/name' is not a user or an organisation"):
        _ = HubRef("org", "name").namespace
    with pytest.raises(UsageError, match="names no repository"):
        _ = HubRef("org").repo

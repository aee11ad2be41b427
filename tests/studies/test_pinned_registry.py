from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.errors import NotFoundError
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry, resolve
from badx_hub.studies.pinned_registry import Pinned
from tests.registry.conftest import build

BA = "mbert/en-wo"
WANTED = AdapterQuery(Mixture.parse("en-wo"))


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    """Two versions of a BA, and an LA."""
    registry = LocalRegistry(tmp_path / "registry")
    for day in (1, 2):
        folder = build(tmp_path / f"ba{day}", BA, weights=float(day), created=f"2026-01-0{day}T00:00:00Z")
        registry.publish(folder)
    registry.publish(build(tmp_path / "la", "mbert/wo"))
    return registry


@pytest.fixture
def older(registry: LocalRegistry) -> Entry:
    return registry.list()[0]


def test_the_pinned_version_is_the_only_one(registry: LocalRegistry, older: Entry) -> None:
    newer = registry.get(BA)
    assert newer != older
    pinned = Pinned(registry, [older])
    assert pinned.get(BA) == older
    assert resolve(pinned.list(), WANTED).entry == older
    assert resolve(pinned.candidates(WANTED), WANTED).entry == older
    assert set(registry.list()) - set(pinned.list()) == {newer}
    with pytest.raises(NotFoundError, match=older.version):
        pinned.get(BA, newer.version)


def test_what_is_not_pinned_is_as_it_is(registry: LocalRegistry, older: Entry, tmp_path: Path) -> None:
    pinned = Pinned(registry, [older])
    assert pinned.get("mbert/wo") == registry.get("mbert/wo")
    assert pinned.get(BA, older.version) == older
    assert pinned.by_digest(older.manifest.digest) == (older,)
    assert pinned.fetch(older) == registry.fetch(older)
    assert pinned.verify(older).ok
    published = pinned.publish(build(tmp_path / "new", "mbert/fo"))
    assert published in pinned.list()
    with pytest.raises(NotFoundError):
        pinned.get("mbert/gn")


def test_a_list_that_is_known_is_not_read_again(registry: LocalRegistry, older: Entry) -> None:
    assert Pinned(registry, (), (older,)).list() == (older,)


def test_problems_with_other_versions_of_what_is_pinned_are_none(registry: LocalRegistry, older: Entry) -> None:
    newer = registry.get(BA)
    (registry.fetch(newer) / "badx.json").write_text("{}")
    assert [problem.name for problem in registry.problems()] == [newer.name]
    assert Pinned(registry, [older]).problems() == ()
    assert len(Pinned(registry, []).problems()) == 1

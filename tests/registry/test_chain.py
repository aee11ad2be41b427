"""Several registries in order: which one an adapter comes from, and which ones are not even asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from badx_hub.errors import HubError, NotFoundError, UsageError
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.chain import RegistryChain, find, open_chain
from tests.refusals import refused
from tests.registry.conftest import Put
from tests.registry.double import UNREACHABLE, Double
from tests.registry.test_resolve import entry, want

BA = entry("mbert/en-wo")
TA = entry("mbert/en-wo/pos", on=BA)
NEWER = entry("mbert/en-wo/pos", on=BA, day=9)


def at(place: str, *entries: Entry) -> Double:
    return Double(place, (replace(one, location=f"{place}/{one.name}") for one in entries))


def test_what_is_near_is_used_and_nothing_farther_is_asked() -> None:
    own, hub = at("own", BA, TA), at("hf:org", BA, NEWER)
    chain = RegistryChain((own, hub))
    found = find(chain, want("en-wo"))
    assert found.entry.location == "own/mbert/en-wo/pos"
    assert (own.asked, hub.asked) == (1, 0)
    assert find(RegistryChain((hub, own)), want("en-wo")).entry.version == NEWER.version


def test_what_is_not_near_is_looked_for_farther_away() -> None:
    own, cache, hub = at("own", entry("mbert/en-fo")), at("hf:cache"), at("hf:org", BA, TA)
    chain = RegistryChain((own, cache, hub))
    found = find(chain, want("en-wo"))
    assert [one.location for one in found.entries] == ["hf:org/mbert/en-wo", "hf:org/mbert/en-wo/pos"]
    assert chain.fetch(found.entry) == Path("hf:org/mbert/en-wo/pos")


def test_a_ta_that_is_near_stays_the_one_though_its_ba_is_far() -> None:
    own, hub = at("own", TA), at("hf:org", BA, NEWER)
    found = find(RegistryChain((own, hub)), want("en-wo"))
    assert [one.location for one in found.entries] == ["hf:org/mbert/en-wo", "own/mbert/en-wo/pos"]


def test_a_place_out_of_reach_is_named_where_nothing_nearer_fits() -> None:
    own, hub = at("own", BA, TA), Double("hf:", failure=UNREACHABLE)
    assert find(RegistryChain((own, hub)), want("en-wo")).entry.manifest == TA.manifest
    with pytest.raises(NotFoundError) as caught:
        find(RegistryChain((own, hub)), want("en-wo@5:1"))
    text = str(caught.value)
    assert "another ratio" in text and "with_ratio(" in text
    assert f" is not here. Not looked into: {UNREACHABLE} " in text
    with pytest.raises(HubError, match="nobody answers"):
        find(RegistryChain((hub, own)), want("en-wo"))


def test_a_place_out_of_reach_is_not_passed_over() -> None:
    """What lies behind it may not be what the user's order means."""
    chain = RegistryChain((at("own"), Double("hf:a", failure=UNREACHABLE), at("hf:b", BA, TA)))
    with pytest.raises(NotFoundError, match="nobody answers"):
        find(chain, want("en-wo"))


def test_the_fallback_too_is_looked_for_in_order() -> None:
    en, wo = entry("mbert/en"), entry("mbert/wo")
    task = entry("mbert/en/pos", on=en)
    own, hub = at("own", task), at("hf:org", wo)
    found = find(RegistryChain((own, hub)), want("en-wo"), fallback="mad-x")
    assert found.setup == "mad-x"
    assert [one.location for one in found.entries] == ["hf:org/mbert/wo", "own/mbert/en/pos"]


def test_each_version_is_listed_once_and_asked_of_its_own_registry() -> None:
    own, hub = at("own", BA), at("hf:org", BA, TA)
    chain = RegistryChain((own, hub))
    assert [one.location for one in chain.list()] == ["own/mbert/en-wo", "hf:org/mbert/en-wo/pos"]
    assert [one.location for one in chain.by_digest(BA.manifest.digest)] == ["own/mbert/en-wo"]
    assert chain.get("mbert/en-wo/pos").location == "hf:org/mbert/en-wo/pos"
    assert chain.fetch(hub.entries[0]) == Path("hf:org/mbert/en-wo")
    with pytest.raises(NotFoundError, match="own, hf:org"):
        RegistryChain((own, at("hf:org"))).fetch(hub.entries[1])
    with pytest.raises(NotFoundError):
        chain.get("mbert/en-fo")


def test_what_is_removed_goes_from_where_it_is() -> None:
    own, hub = at("own", BA), at("hf:org", TA)
    chain = RegistryChain((own, hub))
    chain.remove(chain.get("mbert/en-wo/pos"))
    assert (len(own.entries), hub.entries) == (1, ())


def test_what_is_published_goes_into_the_first(put: Put, registry: LocalRegistry, make: object, tmp_path: Path) -> None:
    first = LocalRegistry(tmp_path / "first")
    kept = put("mbert/en-wo")
    published = RegistryChain((first, registry)).publish(Path(kept.location))
    assert Path(published.location).parent.parent == first.root


def test_the_default_is_ones_own_then_the_hub(home: Path) -> None:
    assert open_chain().given == (None, "hf-cache:", "hf:")
    assert open_chain("hf:org").given == ("hf:org",)
    assert open_chain(["demo", home]).given == ("demo", home)
    assert str(home / "registry") in open_chain().location
    with pytest.raises(UsageError, match="empty"):
        open_chain([])


def test_offline_the_hub_is_what_its_cache_holds() -> None:
    """Nothing listens to a Hub's address here: an answer can only come from the cache."""
    for where in (None, "hf:org", ["hf:org", "hf:"]):
        with refused(NotFoundError, "badx-hub train en-wo") as caught:
            find(open_chain(where, offline=True), want("en-wo"))
        assert "Not looked into" not in str(caught.value)

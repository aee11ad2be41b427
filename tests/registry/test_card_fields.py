"""Metadata of cards: what people set by hand stays, what is asked for is set, and what a Hub refuses is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import BadxError, DataError, UsageError
from badx_hub.hub.client import HubClient
from badx_hub.hub.ref import HubRef
from badx_hub.registry import LocalRegistry, copy
from badx_hub.registry.hub import HubRegistry, PushOptions
from badx_hub.registry.hub.card_fields import card_fields, set_card_fields
from badx_hub.registry.hub.readme import is_ours, merged, metadata_of, sealed, with_fields
from tests.hub.faults import Status
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.refusals import refused
from tests.registry.hubs import QUICK, open_org
from tests.registry.hubs import org as org

BA = "acme/mbert.en-wo"
LATER = "2026-01-02T00:00:00Z"


def card_of(hub: HubServer, repo: str = BA) -> dict[str, Any]:
    return metadata_of(hub.files(repo)["README.md"].decode())


def edit(hub: HubServer, changes: Mapping[str, str]) -> None:
    text = hub.files(BA)["README.md"].decode()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    hub.api().upload_file(path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id=BA)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"licence": "cc-by-4.0"}, {"license": "cc-by-4.0"}),
        ({"tags": "[a, b]"}, {"tags": ["a", "b"]}),
        ({"tags": "a"}, {"tags": ["a"]}),
        ({"thumbnail": "https://example.org/a.png"}, {"thumbnail": "https://example.org/a.png"}),
        ({}, {}),
    ],
)
def test_fields_are_yaml(given: dict[str, str], meant: dict[str, Any]) -> None:
    assert card_fields(given) == meant


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"model-index": "[]"}, UsageError, "badx.json alone"),
        ({"library_name": "peft"}, UsageError, "badx.json alone"),
        ({"base_model": "a/b"}, UsageError, "badx.json alone"),
        ({"a b": "c"}, UsageError, "no key of a card"),
        ({"license": "~"}, UsageError, "no value"),
        ({"license": "!!python/object:os.system x"}, DataError, "the value of license"),
    ],
)
def test_what_cannot_be_set(given: dict[str, str], error: type[BadxError], said: str) -> None:
    with pytest.raises(error, match=said):
        card_fields(given)


def test_fields_are_set_and_lists_grow() -> None:
    card = sealed("---\nlicense: mit\ntags:\n- badx\n---\n# Card\n\ntext\n")
    changed = with_fields(card, {"license": "cc-by-4.0", "tags": ["badx", "mine"], "thumbnail": "a.png"})
    assert metadata_of(changed) == {"license": "cc-by-4.0", "tags": ["badx", "mine"], "thumbnail": "a.png"}
    assert is_ours(changed) and with_fields(changed, {}) == changed
    assert metadata_of(with_fields("no metadata", {"license": "mit"})) == {"license": "mit"}


def test_by_hand_is_what_differs_from_the_card_that_was_published() -> None:
    before = {"license": "mit", "pipeline_tag": "token-classification", "library_name": "adapter-transformers"}
    ours = (
        "---\nlicense: apache-2.0\npipeline_tag: token-classification\nlibrary_name: adapter-transformers\n---\n# New\n"
    )
    theirs = "---\nlicense: {}\npipeline_tag: {}\nlibrary_name: peft\n---\n# Old\n"
    untouched = metadata_of(merged(theirs.format("mit", "token-classification"), ours, before))
    assert untouched["license"] == "apache-2.0" and untouched["library_name"] == "adapter-transformers"
    by_hand = metadata_of(merged(theirs.format("cc-by-4.0", "fill-mask"), ours, before))
    assert (by_hand["license"], by_hand["pipeline_tag"]) == ("cc-by-4.0", "fill-mask")
    assert by_hand["library_name"] == "adapter-transformers"


def test_a_licence_set_on_the_hub_stays(hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    copy(put("mbert/en-wo"), registry, org)
    assert card_of(hub)["library_name"] == "adapter-transformers"
    assert card_of(hub)["base_model_relation"] == "adapter"
    edit(hub, {"license: mit": "license: cc-by-4.0", "library_name: adapter-transformers": "library_name: adapters"})
    copy(put("mbert/en-wo", weights=2.0, created=LATER), registry, org)
    assert card_of(hub)["license"] == "cc-by-4.0"
    assert card_of(hub)["library_name"] == "adapter-transformers"


def test_a_push_sets_fields_and_later_ones_keep_them(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, put: Any
) -> None:
    chosen = PushOptions(card={"license": "cc-by-4.0", "tags": ["mine"]})
    copy(put("mbert/en-wo"), registry, open_org(hub, tmp_path / "c", options=chosen))
    copy(put("mbert/en-wo", weights=2.0, created=LATER), registry, org)
    assert card_of(hub)["license"] == "cc-by-4.0"
    assert {"mine", "badx", "badx-target:wo"} <= set(card_of(hub)["tags"])


def test_fields_of_a_version_that_is_there(hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    copy(put("mbert/en-wo"), registry, org)
    client, place = HubClient(token=hub.token, retries=QUICK), HubRef("acme", "mbert.en-wo")
    there = set_card_fields(client, place, {"license": "cc-by-4.0"})
    assert card_of(hub)["license"] == "cc-by-4.0" and is_ours(hub.files(BA)["README.md"].decode())
    assert there.revision == hub.refs(BA)["refs/heads/main"]
    assert hub.history(BA)[0] == "Set license in the card"
    assert org.verify(org.get("mbert/en-wo")).ok
    assert set_card_fields(client, place, {"license": "cc-by-4.0"}) == there
    assert len(hub.history(BA)) == 3
    with refused(DataError, '"license" must be one of'):
        set_card_fields(client, place, {"license": "my own"})


def test_what_the_hub_refuses_makes_no_repository(
    hub: HubServer, tmp_path: Path, registry: LocalRegistry, put: Any
) -> None:
    wrong = open_org(hub, tmp_path / "c", options=PushOptions(card={"license": "my own"}))
    with refused(DataError, r'"license" must be one of.*Nothing was published.*--card-field'):
        copy(put("mbert/en-wo"), registry, wrong)
    assert hub.repos() == ()


@pytest.mark.parametrize("status", [401, 404, 501])
def test_without_a_validator_the_library_checks(hub: HubServer, status: int) -> None:
    client = HubClient(token=hub.token, retries=QUICK)
    hub.fault("/api/validate-yaml", Status(status), times=None)
    client.check_card("---\nlicense: my own\n---\n", BA)
    with refused(DataError, "are refused"):
        client.check_card("---\n- a list\n---\n", BA)

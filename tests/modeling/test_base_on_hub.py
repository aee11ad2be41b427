"""A base that a stranger's manifest names is downloaded only if it can be right, and only as much as it can need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import DataError, IntegrityError
from badx_hub.manifest import BaseRef
from badx_hub.modeling.base import base_of, resolve_base
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.tiny import write_tiny_base

REPO = "acme/tiny"


@pytest.fixture
def ref(hub: HubServer, tiny_base: Path) -> BaseRef:
    """What a manifest says of a base that lies on the Hub, and that this machine has never seen."""
    publish(hub, tiny_base)
    known = resolve_base(str(tiny_base)).ref
    return known.model_copy(update={"name": REPO})


def publish(hub: HubServer, folder: Path) -> None:
    hub.api().create_repo(REPO, exist_ok=True)
    hub.api().upload_folder(repo_id=REPO, folder_path=folder)
    hub.requests.clear()


def fetched(hub: HubServer) -> set[str]:
    """The files whose content was asked for."""
    content = ("/resolve/", "/api/resolve-cache/", "/cdn/")
    asked = [seen.path for seen in hub.requests if seen.method == "GET"]
    return {path.rsplit("/", 1)[1] for path in asked if any(part in path for part in content)}


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders used before are forgotten."""
    monkeypatch.setattr("badx_hub.modeling.base._remembered", lambda digest: None)


def test_the_right_base_is_downloaded_as_far_as_it_is_needed(hub: HubServer, ref: BaseRef) -> None:
    hub.api().upload_file(path_or_fileobj=b"x", path_in_repo="pytorch_model.bin", repo_id=REPO)
    found = base_of(ref)
    assert (found.ref.digest, found.ref.config, found.ref.tokenizer) == (ref.digest, ref.config, ref.tokenizer)
    assert fetched(hub) >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert "pytorch_model.bin" not in fetched(hub)


def test_other_weights_are_seen_in_the_listing(hub: HubServer, ref: BaseRef, tmp_path: Path) -> None:
    publish(hub, write_tiny_base(tmp_path / "tiny", seed=7))
    with pytest.raises(IntegrityError, match="has other weights"):
        base_of(ref)
    assert not fetched(hub)


def change(hub: HubServer, **changes: Any) -> None:
    config = {**json.loads(hub.files(REPO)["config.json"]), **changes}
    hub.api().upload_file(path_or_fileobj=json.dumps(config).encode(), path_in_repo="config.json", repo_id=REPO)
    hub.requests.clear()


def test_a_config_that_asks_for_code_or_is_another_ends_it_before_the_weights(hub: HubServer, ref: BaseRef) -> None:
    for changes, error in (({"auto_map": {"AutoModel": "evil.M"}}, DataError), ({"hidden_size": 64}, IntegrityError)):
        change(hub, **{"auto_map": None, **changes})
        with pytest.raises(error, match=r"config\.json"):
            base_of(ref)
        assert fetched(hub) <= {"config.json"}


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_more_bytes_than_the_config_accounts_for_are_not_downloaded(
    hub: HubServer, ref: BaseRef, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("badx_hub.modeling.base_files.MAX_TOKENIZER_BYTES", 2**20)
    hub.api().upload_file(path_or_fileobj=b" " * (80 * 2**20), path_in_repo=file, repo_id=REPO)
    hub.requests.clear()
    with pytest.raises(IntegrityError, match="other weights" if "model" in file else "was not downloaded"):
        base_of(ref)
    with pytest.raises(IntegrityError, match="was not downloaded"):
        resolve_base(REPO)
    assert fetched(hub) <= {"config.json"}

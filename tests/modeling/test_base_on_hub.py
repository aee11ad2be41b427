"""A base that a stranger's manifest names is downloaded only if it can be right, and only as much as it can need."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, snapshot_download

from badx_hub.errors import BadxError, DataError, HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.client import HubClient
from badx_hub.hub.ref import HubRef
from badx_hub.manifest import BaseRef
from badx_hub.modeling.base import base_of, resolve_base
from tests.hub.faults import CutResponse, Longer, Status, WrongContent
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


def cached_bytes() -> int:
    return sum(path.stat().st_size for path in Path(constants.HF_HUB_CACHE).rglob("*") if not path.is_symlink())


def blobs() -> set[str]:
    return {path.name for path in Path(constants.HF_HUB_CACHE).glob("models--*/blobs/*")}


def test_a_hub_that_sends_more_than_it_lists_is_cut_off(hub: HubServer, ref: BaseRef) -> None:
    listed = sum(len(content) for content in hub.files(REPO).values())
    hub.fault("*model.safetensors", Longer(64 * 2**20), method="GET", times=None)
    with pytest.raises(IntegrityError, match="larger than it may be"):
        base_of(ref)
    assert cached_bytes() <= listed
    hub.clear_faults()
    assert base_of(ref).ref.digest == ref.digest


def test_what_is_not_as_listed_is_not_kept(hub: HubServer, ref: BaseRef) -> None:
    for file in ("model.safetensors", "tokenizer_config.json"):
        hub.fault(f"*{file}", WrongContent(), method="GET", times=None)
        before = blobs()
        with pytest.raises(IntegrityError, match="not what the Hub lists"):
            base_of(ref)
        hub.clear_faults()
        assert not any("incomplete" in name for name in blobs() - before)
        shutil.rmtree(constants.HF_HUB_CACHE)


def test_a_repository_that_moves_meanwhile_gives_the_files_of_one_commit(
    hub: HubServer, ref: BaseRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.refs(REPO)["refs/heads/main"]
    own = HubClient.files

    def files(self: HubClient, place: Any) -> Any:
        listed = own(self, place)
        publish(hub, write_tiny_base(tmp_path / "tiny", seed=7, layers=3))
        return listed

    monkeypatch.setattr(HubClient, "files", files)
    found = resolve_base(REPO)
    assert (found.ref.digest, found.ref.num_layers, found.ref.revision) == (ref.digest, 2, commit)
    assert hub.refs(REPO)["refs/heads/main"] != commit


def test_a_download_that_broke_off_goes_on(hub: HubServer, ref: BaseRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badx_hub.hub.transport.time.sleep", lambda seconds: None)
    hub.fault("*model.safetensors", CutResponse(100_000), method="GET", times=None)
    with pytest.raises(HubError):
        resolve_base(REPO)
    [part] = [name for name in blobs() if name.endswith(".incomplete")]
    hub.clear_faults()
    hub.requests.clear()
    assert resolve_base(REPO).ref.digest == ref.digest
    assert part not in blobs()
    ranges = {seen.headers["range"] for seen in hub.requests if "range" in seen.headers}
    assert len(ranges) == 1
    assert not ranges & {"bytes=0-"}


def test_the_cache_is_that_of_other_programs(hub: HubServer, ref: BaseRef) -> None:
    ours = resolve_base(REPO).folder
    assert Path(snapshot_download(REPO, local_files_only=True)) == ours
    shutil.rmtree(constants.HF_HUB_CACHE)
    theirs = Path(snapshot_download(REPO))
    hub.requests.clear()
    assert resolve_base(REPO).folder == theirs
    assert not fetched(hub)
    assert resolve_base(f"{REPO}@{theirs.name}", offline=True).folder == theirs


def test_any_revision_can_be_named(hub: HubServer, ref: BaseRef, tmp_path: Path) -> None:
    first, api = hub.refs(REPO)["refs/heads/main"], hub.api()
    api.create_tag(REPO, tag="v1", revision=first)
    api.create_branch(REPO, branch="a/branch", revision=first)
    publish(hub, write_tiny_base(tmp_path / "tiny", seed=7))
    done = api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO, create_pr=True)
    newest = resolve_base(REPO).ref
    for revision in ("v1", "a/branch", first):
        found = resolve_base(f"{REPO}@{revision}")
        assert (found.ref.digest, found.ref.revision, found.ref.name) == (ref.digest, first, REPO)
        assert found.slug == "tiny"
    assert newest.digest != ref.digest
    assert resolve_base(f"{REPO}@{done.pr_revision}").ref.digest == newest.digest
    assert base_of(ref.model_copy(update={"revision": first})).ref.revision == first
    gone = newest.model_copy(update={"revision": "0" * 40})
    assert base_of(gone).ref.revision == newest.revision


@pytest.mark.parametrize("revision", ["../../x", "/x", ".x", "a//b", "a b", "x:y", "a/../b"])
def test_what_is_no_revision_leads_nowhere(hub: HubServer, ref: BaseRef, revision: str) -> None:
    with pytest.raises((UsageError, NotFoundError), match=r"revision|No folder"):
        resolve_base(f"{REPO}@{revision}")
    assert not hub.requests


def test_an_unknown_revision_is_told(hub: HubServer, ref: BaseRef) -> None:
    with pytest.raises(NotFoundError, match="acme/tiny@v9"):
        resolve_base(f"{REPO}@v9")


def facts(act: Callable[[], Any]) -> str:
    with pytest.raises(BadxError) as caught:
        act()
    return caught.value.fact


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500])
def test_a_hubs_refusal_is_told_as_for_adapters(hub: HubServer, ref: BaseRef, code: int) -> None:
    hub.fault("/api/models/*", Status(code, "a reason", retry_after=100), times=None)
    of_base = facts(lambda: resolve_base(REPO))
    assert of_base.startswith(facts(lambda: HubClient().head(HubRef("acme", "tiny"))))
    assert "a reason" in of_base


def test_out_of_reach_the_cached_copy_is_used_and_that_is_said(
    hub: HubServer, ref: BaseRef, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("badx_hub.hub.transport.time.sleep", lambda seconds: None)
    here = resolve_base(REPO).ref
    hub.fault("*", Status(503), times=None)
    with caplog.at_level(logging.WARNING):
        assert resolve_base(REPO).ref == here
    assert "The copy of acme/tiny in the cache is used" in caplog.text
    hub.clear_faults()
    hub.fault("*", Status(403), times=None)
    with pytest.raises(HubError, match="403"):
        resolve_base(REPO)

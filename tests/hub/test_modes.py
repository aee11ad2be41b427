"""The modes of the test Hub, each as the unmodified client meets it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import requests
from huggingface_hub import CommitOperationAdd, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError

from tests.hub.behaviour import ENDLESS_PAGES, Behaviour
from tests.hub.errors import HUGE
from tests.hub.faults import CutHeaders, Freeze, Status
from tests.hub.fixture import hub as hub
from tests.hub.modes import BY_NAME, MODES, NAMELESS, STRANGE_NAMES, STRANGE_TAGS
from tests.hub.server import HubServer, running

REPO = "acme/x"
OLD, NEW = b"\0old", b"\0newer"


@pytest.fixture
def repo(hub: HubServer) -> str:
    hub.put(REPO, {"a.txt": "one\n", "w.safetensors": OLD})
    return REPO


def add(hub: HubServer, **files: bytes) -> str:
    """The id that the commit's answer names."""
    operations = [CommitOperationAdd(name.replace("_", "."), content) for name, content in files.items()]
    return str(hub.api().create_commit(REPO, operations, commit_message="new").oid)


def test_modes_have_names_of_their_own_and_the_first_is_the_hub() -> None:
    assert len(BY_NAME) == len(MODES)
    assert BY_NAME["as-the-hub"].behaviour == Behaviour()
    assert not BY_NAME["as-the-hub"].faults
    assert all(mode.faults or mode.behaviour != Behaviour() for mode in MODES[1:])


def test_a_mode_is_entered_and_left(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["cut-headers"])
    hub.enter(BY_NAME["long-ids"])
    assert len(hub.put(repo, {"b.txt": "two"})) == 64
    hub.enter(BY_NAME["as-the-hub"])
    assert len(hub.put(repo, {"b.txt": "three"})) == 40
    assert hf_hub_download(repo, "b.txt"), "no fault is left"
    hub.enter(BY_NAME["cut-headers"])
    for _ in range(2):
        requests.get(f"{hub.endpoint}/{repo}/resolve/main/badx.json", timeout=10)
    hub.enter(BY_NAME["cut-headers"])
    assert all(fault.times == 1 for fault in BY_NAME["cut-headers"].faults), "a mode itself never changes"


def test_ids_of_64_digits_are_told_everywhere(hub: HubServer) -> None:
    hub.enter(BY_NAME["long-ids"])
    api = hub.api()
    api.create_repo(REPO)
    oid = add(hub, a_txt=b"one")
    api.create_tag(REPO, tag="v1")
    refs = api.list_repo_refs(REPO)
    head = requests.head(f"{hub.endpoint}/{REPO}/resolve/main/a.txt", timeout=10)
    told = [oid, str(api.model_info(REPO).sha), head.headers["X-Repo-Commit"]]
    told += [one.target_commit for one in (*refs.branches, *refs.tags)]
    told += [next(iter(api.list_models(expand=["sha"]))).sha or "", api.list_repo_commits(REPO)[0].commit_id]
    assert set(told) == {oid}
    assert len(oid) == 64
    assert api.model_info(REPO, revision=oid[:12]).sha == oid
    assert Path(hf_hub_download(REPO, "a.txt", revision=oid)).read_bytes() == b"one"
    with pytest.raises(ValueError, match="valid commit OID"):
        api.create_commit(REPO, [], commit_message="x", parent_commit=oid)


def test_the_newest_digests_are_listed_at_every_commit(hub: HubServer, repo: str) -> None:
    old = hub.refs(repo)["refs/heads/main"]
    new = hub.put(repo, {"w.safetensors": NEW, "later.txt": "x"})
    hub.enter(BY_NAME["newest-listed"])
    api = hub.api()
    for revision in (old, new):
        tree = {item.path: item for item in api.list_repo_tree(repo, revision=revision)}
        paths = api.get_paths_info(repo, ["w.safetensors"], revision=revision)
        infos = api.model_info(repo, revision=revision, files_metadata=True).siblings or []
        sizes = {tree["w.safetensors"].size, paths[0].size, *(s.size for s in infos if s.rfilename == "w.safetensors")}  # type: ignore[union-attr]
        assert sizes == {len(NEW)}
        assert ("later.txt" in tree) == (revision == new), "paths are those of the commit"
    url = f"{hub.endpoint}/{repo}/resolve/{old}/w.safetensors"
    assert requests.get(url, timeout=10).content == OLD, "and so are contents"
    api.create_branch(repo, branch="draft", revision=old)
    api.upload_file(path_or_fileobj=b"\0draft", path_in_repo="w.safetensors", repo_id=repo, revision="draft")
    newest = api.get_paths_info(repo, ["w.safetensors"], revision=new)[0]
    assert newest.size == len(b"\0draft"), "the newest of whatever branch"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "says"), [("no-change-head", None), ("no-change-words", "no-changes"), ("no-change-empty", "")]
)
def test_a_commit_without_a_change_makes_none(hub: HubServer, repo: str, name: str, says: str | None) -> None:
    hub.enter(BY_NAME[name])
    before = hub.refs(repo)["refs/heads/main"]
    oid = add(hub, a_txt=b"one\n", w_safetensors=OLD)
    assert oid == (before if says is None else says)
    assert hub.refs(repo)["refs/heads/main"] == before
    assert any(seen.path.endswith("/commit/main") for seen in hub.requests), "it was asked for all the same"
    made = add(hub, a_txt=b"two\n", w_safetensors=OLD)
    assert made == hub.refs(repo)["refs/heads/main"] != before


def test_on_the_hub_the_client_leaves_out_what_has_not_changed(hub: HubServer, repo: str) -> None:
    assert add(hub, a_txt=b"one\n") == hub.refs(repo)["refs/heads/main"]
    assert not any(seen.path.endswith("/commit/main") for seen in hub.requests)


def test_skipped_files_stay_as_they_are(hub: HubServer, repo: str) -> None:
    hub.behaviour.skipped = ("*.txt",)
    oid = add(hub, a_txt=b"two", b_txt=b"new", w_safetensors=NEW)
    assert oid == hub.refs(repo)["refs/heads/main"]
    files = hub.files(repo)
    assert (files["a.txt"], files["w.safetensors"]) == (b"one\n", NEW)
    assert "b.txt" not in files


def test_what_another_branch_has_is_skipped(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["skips-known"])
    old = hub.refs(repo)["refs/heads/main"]
    hub.put(repo, {"w.safetensors": NEW, "b.txt": "new"}, revision="next")
    assert add(hub, w_safetensors=NEW, b_txt=b"new") == old, "nothing is left to commit"
    assert add(hub, w_safetensors=NEW, b_txt=b"newer") == hub.refs(repo)["refs/heads/main"]
    files = hub.files(repo)
    assert (files["w.safetensors"], files["b.txt"]) == (OLD, b"newer")


def test_a_commit_may_have_no_id(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["no-commit-id"])
    assert add(hub, a_txt=b"two") == ""
    assert hub.files(repo)["a.txt"] == b"two"


def test_a_frozen_server_takes_connections_and_says_nothing(hub: HubServer, repo: str) -> None:
    fault = hub.fault("*", Freeze(60.0))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{hub.endpoint}/api/models/{repo}", timeout=0.1)
    assert (fault.hits, hub.requests[-1].status) == (1, 0)
    hub.fault("*", Freeze(0.05))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{hub.endpoint}/api/models/{repo}", timeout=10)
    assert hub.api().model_info(repo).id == repo


def test_a_frozen_server_can_be_stopped(tmp_path: Path) -> None:
    with running(tmp_path / "own") as own:
        own.enter(BY_NAME["frozen"])
        with pytest.raises(requests.ReadTimeout):
            requests.get(own.endpoint, timeout=0.1)


@pytest.mark.parametrize("path", ["a.txt", "w.safetensors"])
def test_a_cut_in_the_headers_looks_like_an_empty_file(hub: HubServer, repo: str, path: str) -> None:
    url = f"{hub.endpoint}/{repo}/resolve/main/{path}"
    expected = hub.files(repo)[path]
    hub.fault(f"/api/resolve-cache/*/{path}", CutHeaders())
    hub.fault(f"/cdn/*/{path}", CutHeaders())
    got = requests.get(url, timeout=10)
    assert (got.status_code, got.content) == (200, b"")
    assert "Content-Length" not in got.headers
    assert "ETag" in got.headers
    assert requests.get(url, timeout=10).content == expected


def test_a_redirect_cut_in_its_headers_still_leads_on(hub: HubServer, repo: str) -> None:
    hub.fault(f"/{repo}/resolve/main/a.txt", CutHeaders(), method="GET")
    assert requests.get(f"{hub.endpoint}/{repo}/resolve/main/a.txt", timeout=10).content == b"one\n"


@pytest.mark.parametrize("name", ["error-gzip", "error-huge"])
def test_bodies_of_errors_may_be_compressed_or_huge(hub: HubServer, name: str) -> None:
    hub.enter(BY_NAME[name])
    answer = requests.get(f"{hub.endpoint}/api/models/acme/none", timeout=10)
    assert answer.json()["error"].startswith("Invalid username or password.")
    assert (len(answer.content) > HUGE) == (name == "error-huge")
    assert (answer.headers.get("Content-Encoding") == "gzip") == (name == "error-gzip")
    hub.fault("*", Status(503, "later"))
    assert requests.get(hub.endpoint, timeout=10).json()["error"].startswith("later")
    with pytest.raises(RepositoryNotFoundError):
        hub.api(token=False).model_info("acme/none")


def test_bodies_of_errors_may_be_compressed_and_cut(hub: HubServer) -> None:
    hub.enter(BY_NAME["error-broken-gzip"])
    with requests.get(f"{hub.endpoint}/api/models/acme/none", timeout=10, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
    with pytest.raises(EOFError):
        gzip.decompress(packed)


def test_endless_pages_are_empty_and_counted(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["pages-endless"])
    api = hub.api()
    lists: list[Callable[[], Iterable[object]]] = [
        api.list_models, lambda: api.list_repo_tree(repo), lambda: api.list_repo_commits(repo)
    ]  # fmt: skip
    for listing in lists:
        hub.requests.clear()
        assert len(list(listing())) in (1, 2, 3)
        assert len(hub.requests) == 1 + ENDLESS_PAGES
    assert hub.empty_pages == ENDLESS_PAGES


def test_the_next_page_may_be_elsewhere_and_a_token_that_goes_there_is_seen(hub: HubServer, repo: str) -> None:
    hub.put("acme/y", {"a.txt": "one"})
    hub.enter(BY_NAME["pages-elsewhere"])
    assert {model.id for model in hub.api(token=False).list_models()} == {repo, "acme/y"}
    assert hub.tokens_elsewhere() == ()
    assert {model.id for model in hub.api().list_models()} == {repo, "acme/y"}
    assert hub.tokens_elsewhere() == ("/api/models",), "the unmodified client takes it along"


def test_later_pages_may_be_refused(hub: HubServer, repo: str) -> None:
    hub.put("acme/y", {"a.txt": "one"})
    hub.enter(BY_NAME["pages-refused"])
    first = requests.get(f"{hub.endpoint}/api/models", timeout=10)
    assert len(first.json()) == 1
    second = requests.get(first.links["next"]["url"], timeout=10)
    assert second.status_code == 429


@pytest.mark.parametrize("name", ["strange-names", "strange-tags", "nameless"])
def test_strange_items_are_listed_as_they_stand(hub: HubServer, repo: str, name: str) -> None:
    hub.enter(BY_NAME[name])
    expected = {"strange-names": STRANGE_NAMES, "strange-tags": STRANGE_TAGS, "nameless": NAMELESS}[name]
    items = requests.get(f"{hub.endpoint}/api/models", timeout=10).json()
    assert items[:-1] == list(expected)
    assert items[-1]["id"] == repo
    if name == "nameless":
        with pytest.raises(KeyError):
            list(hub.api().list_models())
    else:
        assert [model.id for model in hub.api().list_models()] == [item["id"] for item in items]


def test_a_crowd_comes_first(hub: HubServer, repo: str) -> None:
    hub.behaviour.crowd = 2500
    found = [model.id for model in hub.api().list_models()]
    assert (len(found), len(set(found)), found[-1]) == (2501, 2501, repo)
    assert len(hub.requests) == 3
    with pytest.raises(RepositoryNotFoundError):
        hub.api().model_info(found[0])


@pytest.mark.parametrize("code", [401, 404])
def test_bare_refusals_of_what_is_private_or_absent(hub: HubServer, code: int) -> None:
    hub.put("acme/secret", {"a.txt": "a"}, private=True)
    hub.enter(BY_NAME[f"bare-{code}"])
    for api in (hub.api(token=False), hub.api(hub.other_token)):
        for repo in ("acme/secret", "acme/none"):
            with pytest.raises(HfHubHTTPError) as refused:
                api.model_info(repo)
            assert refused.value.response is not None and refused.value.response.status_code == code
            assert not isinstance(refused.value, RepositoryNotFoundError)
    assert hub.api().model_info("acme/secret").private
    with pytest.raises(HfHubHTTPError, match="404"):
        hub.api().model_info("acme/none")


def test_every_file_may_be_an_lfs_file(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["lfs-everything"])
    add(hub, a_txt=b"two\n", README_md=b"---\nlicense: mit\n---\n# Text\n")
    tree = {item.path: item for item in hub.api().list_repo_tree(repo)}
    assert all(tree[name].lfs is not None for name in ("a.txt", "README.md", "w.safetensors"))  # type: ignore[union-attr]
    snapshot = Path(snapshot_download(repo))
    assert (snapshot / "a.txt").read_bytes() == b"two\n"


def test_what_is_private_may_be_unsaid(hub: HubServer, repo: str) -> None:
    hub.enter(BY_NAME["private-unsaid"])
    assert hub.api().model_info(repo).private is None
    assert next(iter(hub.api().list_models())).private is None


def test_expand_may_be_unknown(hub: HubServer, repo: str) -> None:
    assert next(iter(hub.api().list_models(expand=["sha"]))).sha
    hub.enter(BY_NAME["expand-ignored"])
    listed = next(iter(hub.api().list_models(expand=["sha"])))
    assert (listed.sha, listed.private) == (None, False)
    hub.enter(BY_NAME["expand-refused"])
    with pytest.raises(BadRequestError, match="expand"):
        list(hub.api().list_models(expand=["sha"]))
    assert [model.id for model in hub.api().list_models()] == [repo]


def test_kohaku_hub_is_several_of_these_at_once(hub: HubServer) -> None:
    hub.enter(BY_NAME["kohaku"])
    hub.api().create_repo(REPO)
    first = add(hub, w_safetensors=OLD)
    add(hub, w_safetensors=NEW)
    assert len(first) == 64
    assert hub.api().get_paths_info(REPO, ["w.safetensors"], revision=first)[0].size == len(NEW)  # type: ignore[union-attr]
    assert Path(hf_hub_download(REPO, "w.safetensors", revision=first)).read_bytes() == OLD
    assert constants.REGEX_COMMIT_OID.fullmatch(first) is None, "the client takes such an id for a branch"

"""The test Hub against the unmodified client, in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    ModelCard,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RevisionNotFoundError,
)

from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer, running

CARD = """---
library_name: adapters
language: [en, wo]
tags: [adapter-transformers, badx, 'badx:bilingual', 'badx-target:wo']
base_model: google-bert/bert-base-multilingual-cased
datasets: [wikimedia/wikipedia]
license: apache-2.0
model-index:
- name: an adapter
  results:
  - task: {type: token-classification}
    dataset: {name: WTB, type: universal_dependencies}
    metrics: [{type: accuracy, value: 0.5}]
---
# An adapter, after https://arxiv.org/abs/2205.10835
"""
WEIGHTS = bytes(range(256)) * 400
Operation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


def folder(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    (root / "README.md").write_text(CARD)
    (root / "adapter_config.json").write_text("{}\n")
    (root / "adapter.safetensors").write_bytes(WEIGHTS)
    (root / "sub" / "a.txt").write_text("one\n")
    return root


@pytest.fixture
def repo(hub: HubServer, tmp_path: Path) -> str:
    """A repository with a card, weights and a subfolder."""
    hub.api().create_repo("acme/x")
    hub.api().upload_folder(repo_id="acme/x", folder_path=folder(tmp_path / "source"))
    hub.requests.clear()
    return "acme/x"


def status_of(error: pytest.ExceptionInfo[Exception]) -> int:
    assert isinstance(error.value, HfHubHTTPError) and error.value.response is not None
    return int(error.value.response.status_code)


def test_a_folder_comes_back_as_it_went(hub: HubServer, repo: str, tmp_path: Path) -> None:
    snapshot = Path(snapshot_download(repo))
    assert hub.files(repo).keys() == {
        *("README.md", "adapter.safetensors"),
        "adapter_config.json",
        "sub/a.txt",
        ".gitattributes",
    }
    for path in ("README.md", "adapter.safetensors", "sub/a.txt"):
        assert (snapshot / path).read_bytes() == (tmp_path / "source" / path).read_bytes() == hub.files(repo)[path]
    assert [seen.path for seen in hub.requests if "cdn" in seen.path] == [
        f"/cdn/models/acme/x/{_sha256(hub, repo, 'adapter.safetensors')}/adapter.safetensors"
    ]
    again = hub.api().upload_folder(repo_id=repo, folder_path=tmp_path / "source")
    assert again.oid == hub.refs(repo)["refs/heads/main"], "what is already there makes no commit"


def _sha256(hub: HubServer, repo: str, path: str) -> str:
    siblings = hub.api().model_info(repo, files_metadata=True).siblings or []
    lfs = next(sibling.lfs for sibling in siblings if sibling.rfilename == path)
    assert lfs is not None
    return str(lfs.sha256)


def test_info_has_sizes_digests_and_the_tags_of_the_card(hub: HubServer, repo: str) -> None:
    info = hub.api().model_info(repo, files_metadata=True)
    assert info.tags == [
        *("adapters", "safetensors", "adapter-transformers", "badx", "badx:bilingual", "badx-target:wo", "model-index"),
        *("en", "wo", "dataset:wikimedia/wikipedia", "arxiv:2205.10835"),
        "base_model:google-bert/bert-base-multilingual-cased",
        "base_model:adapter:google-bert/bert-base-multilingual-cased",
        *("license:apache-2.0", "region:us"),
    ]
    by_name = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    weights, text = by_name["adapter.safetensors"], by_name["sub/a.txt"]
    assert weights.lfs is not None and (weights.size, weights.lfs.size) == (len(WEIGHTS), len(WEIGHTS))
    assert (text.size, text.lfs, text.blob_id) == (4, None, "5626abf0f72e58d7a153368ba57db4c673c0e171")
    assert info.card_data is not None and info.card_data.eval_results is not None
    assert (info.author, info.library_name, info.private) == ("acme", "adapters", False)
    hub.behaviour.tags_in_info = False
    assert hub.api().model_info(repo).tags is None
    assert "badx" in (next(iter(hub.api().list_models())).tags or ())


def test_a_card_that_json_cannot_say_is_listed_all_the_same(hub: HubServer) -> None:
    hub.put("acme/odd", {"README.md": "---\ntags: [badx]\nx: .nan\nwhen: 2024-01-01\n2024-01-02: y\n---\n"})
    hub.put("acme/broken", {"README.md": "---\ntags: [badx\n---\n"})
    assert [model.id for model in hub.api().list_models(filter="badx", cardData=True)] == ["acme/odd"]
    assert hub.api().model_info("acme/broken").tags == ["region:us"]


def test_a_listing_is_narrowed_and_paged(hub: HubServer) -> None:
    for number in range(7):
        hub.put(f"acme/mbert.en-wo.{number}", {"README.md": CARD})
    hub.put("other/mbert.en-fo", {"README.md": "---\ntags: [badx]\n---\n"})
    hub.put("acme/secret", {"README.md": CARD}, private=True)
    hub.behaviour.page_size = 3
    api = hub.api()
    assert len(list(api.list_models())) == 9
    assert len(hub.requests) == 3
    assert len(list(api.list_models(filter=["badx", "badx-target:wo"]))) == 8
    assert len(list(api.list_models(filter="wo", author="acme", search="EN-WO"))) == 7
    assert [model.id for model in api.list_models(filter="badx", author="other", full=True)] == ["other/mbert.en-fo"]
    assert len(list(api.list_models(limit=4))) == 4
    assert len(list(hub.api(token=False).list_models())) == len(list(hub.api(hub.other_token).list_models())) == 8
    newest = next(iter(api.list_models(sort="created_at", direction=-1, full=True, cardData=True)))
    assert newest.id == "acme/secret" and newest.siblings is not None and newest.card_data is not None


def _add(path: str, content: str | bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content.encode() if isinstance(content, str) else content)


def test_a_stale_parent_is_refused_unless_the_server_is_lax(hub: HubServer, repo: str) -> None:
    api, head = hub.api(), hub.refs(repo)["refs/heads/main"]
    api.create_commit(repo, [_add("b.txt", "mine")], commit_message="mine", parent_commit=head)
    with pytest.raises(HfHubHTTPError) as error:
        api.create_commit(repo, [_add("b.txt", "theirs")], commit_message="theirs", parent_commit=head)
    assert status_of(error) == 412 and hub.files(repo)["b.txt"] == b"mine"
    hub.behaviour.accept_stale_parent = True
    api.create_commit(repo, [_add("b.txt", "theirs")], commit_message="theirs", parent_commit=head)
    assert hub.files(repo)["b.txt"] == b"theirs" and hub.history(repo)[:2] == ("theirs", "mine")


def test_a_commit_is_all_or_nothing(hub: HubServer, repo: str) -> None:
    api, before = hub.api(), hub.refs(repo)
    with pytest.raises(EntryNotFoundError):
        half: list[Operation] = [_add("b.txt", "b"), CommitOperationDelete("no.txt")]
        api.create_commit(repo, half, commit_message="half")
    with pytest.raises(ValueError, match="license"):
        api.upload_file(path_or_fileobj=b"---\nlicense: my own\n---\n", path_in_repo="README.md", repo_id=repo)
    with pytest.raises(BadRequestError, match="below a file"):
        api.create_commit(repo, [_add("sub/a.txt/b", "b")], commit_message="file as folder")
    assert hub.refs(repo) == before
    operations: list[Operation] = [
        CommitOperationCopy("adapter.safetensors", "copy.safetensors"),
        CommitOperationCopy("sub/a.txt", "a.txt"),
        CommitOperationDelete("sub/"),
    ]
    api.create_commit(repo, operations, commit_message="all", commit_description="and why")
    files = hub.files(repo)
    assert files["copy.safetensors"] == WEIGHTS and files["a.txt"] == b"one\n" and "sub/a.txt" not in files
    assert api.list_repo_commits(repo)[0].title == "all"


def test_branches_and_tags_name_commits(hub: HubServer, repo: str) -> None:
    api, first = hub.api(), hub.refs(repo)["refs/heads/main"]
    api.create_tag(repo, tag="v1.0", tag_message="the first")
    api.create_branch(repo, branch="next/try")
    with pytest.raises(HfHubHTTPError) as error:
        api.create_tag(repo, tag="v1.0")
    assert status_of(error) == 409
    api.create_tag(repo, tag="v1.0", exist_ok=True)
    api.upload_file(path_or_fileobj=b"two\n", path_in_repo="sub/a.txt", repo_id=repo, revision="next/try")
    refs = api.list_repo_refs(repo)
    assert {ref.name for ref in refs.branches} == {"main", "next/try"}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1.0", first)]
    read = {
        rev: Path(hf_hub_download(repo, "sub/a.txt", revision=rev)).read_text() for rev in ("v1.0", "next/try", first)
    }
    assert read == {"v1.0": "one\n", "next/try": "two\n", first: "one\n"}
    assert api.model_info(repo, revision="v1.0").sha == first
    for revision in ("v2", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            api.model_info(repo, revision=revision)
    api.delete_tag(repo, tag="v1.0")
    api.delete_branch(repo, branch="next/try")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo, tag="v1.0")
    assert hub.refs(repo) == {"refs/heads/main": first}


def test_trees_are_walked_in_pages(hub: HubServer, repo: str) -> None:
    hub.behaviour.page_size = 2
    api = hub.api()
    assert {entry.path for entry in api.list_repo_tree(repo, recursive=True)} == {*hub.files(repo), "sub"}
    assert [entry.path for entry in api.list_repo_tree(repo, "sub", expand=True)] == ["sub/a.txt"]
    file, below = sorted(
        api.get_paths_info(repo, ["sub", "adapter.safetensors", "no"], expand=True), key=lambda e: e.path
    )
    assert (file.path, below.path) == ("adapter.safetensors", "sub")
    assert file.last_commit is not None and file.last_commit.title.startswith("Upload folder")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "none"))


def test_parts_of_files_are_read(hub: HubServer, repo: str) -> None:
    files = HfFileSystem(endpoint=hub.endpoint, token=hub.token)
    assert files.read_bytes(f"{repo}/adapter.safetensors", start=250, end=260) == WEIGHTS[250:260]
    assert files.glob(f"{repo}/**/*.txt") == [f"{repo}/sub/a.txt"]
    assert ModelCard.load(repo).data.license == "apache-2.0"
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(repo, "no.txt")


@pytest.mark.parametrize("path", ["a b/ç%20+#?.txt", "refs/pr/1", "resolve/main/x.safetensors", "a%2Fb.safetensors"])
def test_any_legal_path_goes_there_and_back(hub: HubServer, repo: str, path: str) -> None:
    hub.api().upload_file(path_or_fileobj=b"here", path_in_repo=path, repo_id=repo)
    assert hub.files(repo)[path] == b"here"
    assert Path(hf_hub_download(repo, path)).read_bytes() == b"here"
    parent = path.rpartition("/")[0]
    assert path in [entry.path for entry in hub.api().list_repo_tree(repo, parent)]
    hub.api().delete_file(path, repo)
    assert path not in hub.files(repo)


def test_of_racing_commits_on_one_parent_one_is_made(hub: HubServer, repo: str) -> None:
    head = hub.refs(repo)["refs/heads/main"]

    def race(number: int) -> bool:
        try:
            operations = [_add(f"{number}.txt", "x")]
            hub.api().create_commit(repo, operations, commit_message=f"{number}", parent_commit=head)
        except HfHubHTTPError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(race, range(8))) == 1
    assert len(hub.history(repo)) == 3


def test_a_pull_request_is_proposed_discussed_and_merged(hub: HubServer, repo: str) -> None:
    stranger, main = hub.api(hub.other_token), hub.refs(repo)["refs/heads/main"]
    commit = stranger.create_commit(repo, [_add("c.txt", "c")], commit_message="Add c", create_pr=True)
    assert (str(commit.pr_num), commit.pr_revision) == ("1", "refs/pr/1")
    assert hub.refs(repo) == {"refs/heads/main": main, "refs/pr/1": commit.oid}
    stranger.upload_file(path_or_fileobj=b"d", path_in_repo="d.txt", repo_id=repo, revision="refs/pr/1")
    assert Path(hf_hub_download(repo, "d.txt", revision="refs/pr/1")).read_text() == "d"
    stranger.comment_discussion(repo, 1, "please")
    details = hub.api().get_discussion_details(repo, 1)
    assert details.is_pull_request and details.target_branch == "refs/heads/main" and len(details.events) == 2
    hub.api().merge_pull_request(repo, 1)
    assert {"c.txt", "d.txt", "adapter.safetensors"} <= hub.files(repo).keys()
    assert [item.status for item in hub.api().get_repo_discussions(repo)] == ["merged"]


def test_another_server_on_the_same_folder_has_it_all(hub: HubServer, repo: str, tmp_path: Path) -> None:
    hub.api().create_commit(repo, [_add("c.txt", "c")], commit_message="Add c", create_pr=True)
    with running(tmp_path / "hub") as other:
        assert (other.files(repo), other.refs(repo)) == (hub.files(repo), hub.refs(repo))
        assert HfApi(endpoint=other.endpoint).get_discussion_details(repo, 1).title == "Add c"

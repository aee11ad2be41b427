"""Every fault on demand, as the unmodified client meets it."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from huggingface_hub import CommitOperationAdd, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from tests.hub.faults import CutRequest, CutResponse, LoseResponse, Slow, Status, WrongContent, WrongEtag
from tests.hub.fixture import hub as hub
from tests.hub.routes_upload import signature
from tests.hub.server import HubServer, running

WEIGHTS = bytes(range(256)) * 2000


@pytest.fixture
def repo(hub: HubServer) -> str:
    hub.put("acme/x", {"a.txt": "one\n", "w.safetensors": WEIGHTS})
    return "acme/x"


def commit(hub: HubServer, repo: str, content: bytes = b"new", path: str = "b.txt") -> str:
    operations = [CommitOperationAdd(path, content)]
    return str(hub.api().create_commit(repo, operations, commit_message="new").oid)


@pytest.mark.parametrize("code", [401, 403, 404, 409, 412, 429, 500, 501])
def test_a_status_refuses_and_nothing_is_done(hub: HubServer, repo: str, code: int) -> None:
    before = hub.refs(repo)
    fault = hub.fault("*/commit/main", Status(code, message="not now", retry_after=3))
    with pytest.raises(HfHubHTTPError, match="not now") as error:
        commit(hub, repo)
    response = error.value.response
    assert response is not None and (response.status_code, response.headers["Retry-After"]) == (code, "3")
    assert (fault.hits, hub.refs(repo)) == (1, before)
    commit(hub, repo)
    assert hub.files(repo)["b.txt"] == b"new"


def test_a_refusal_of_a_large_body_arrives(hub: HubServer, repo: str) -> None:
    text = b"text " * 1_000_000
    hub.fault("*/commit/main", Status(403))
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(hub, repo, text)
    url = f"{hub.endpoint}/api/models/{repo}/commit/main"
    stranger = {"Authorization": f"Bearer {hub.other_token}"}
    assert requests.post(url, data=text, headers=stranger, timeout=10).status_code == 403
    assert requests.post(url, data=text, timeout=10, headers={"Authorization": "Bearer no"}).status_code == 401


def test_error_codes_become_the_clients_errors(hub: HubServer, repo: str) -> None:
    hub.fault("/api/models/*", Status(404, error_code="RepoNotFound"))
    with pytest.raises(RepositoryNotFoundError):
        hub.api().model_info(repo)
    hub.fault("*/a.txt", Status(404, error_code="EntryNotFound"), method="HEAD")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(repo, "a.txt")
    hub.fault("*/discussions", Status(501), method="POST")
    with pytest.raises(HfHubHTTPError, match="501"):
        hub.api().create_pull_request(repo, "a title")


def test_patterns_methods_skips_and_counts_choose_the_request(hub: HubServer, repo: str) -> None:
    fault = hub.fault("*/x", Status(500), skip=1, times=2)
    hub.fault("*/x", Status(418), method="DELETE")
    statuses = []
    for _ in range(4):
        statuses.append(requests.get(f"{hub.endpoint}/api/models/acme/x", timeout=10).status_code)
    assert (statuses, fault.hits) == ([200, 500, 500, 200], 2)
    hub.fault("*", Status(500), times=None)
    assert requests.get(hub.endpoint, timeout=10).status_code == 500
    hub.clear_faults()
    assert requests.get(f"{hub.endpoint}/api/models/acme/x", timeout=10).status_code == 200


@pytest.mark.parametrize("after", [0, 100, 100_000])
def test_an_upload_cut_in_the_middle_is_tried_again(hub: HubServer, repo: str, after: int) -> None:
    before, content = hub.refs(repo), bytes(range(255)) * 3000
    hub.fault("/upload/*", CutRequest(after))
    hub.fault("*/commit/main", Status(500))
    with pytest.raises(HfHubHTTPError):
        commit(hub, repo, content, "v.safetensors")
    assert [seen.status for seen in hub.requests if seen.method == "PUT"] == [0, 200], (
        "the client tries an upload again"
    )
    assert hub.refs(repo) == before
    commit(hub, repo, content, "v.safetensors")
    assert hub.files(repo)["v.safetensors"] == content


@pytest.mark.parametrize("after", [0, 20])
def test_a_commit_cut_in_the_middle_of_its_request_is_not_made(hub: HubServer, repo: str, after: int) -> None:
    before = hub.refs(repo)
    hub.fault("*/commit/main", CutRequest(after))
    with pytest.raises(requests.ConnectionError):
        commit(hub, repo)
    assert hub.refs(repo) == before


@pytest.mark.parametrize("action", [LoseResponse(), CutResponse(0), CutResponse(10)])
def test_a_commit_whose_answer_is_lost_is_made(hub: HubServer, repo: str, action: LoseResponse | CutResponse) -> None:
    hub.fault("*/commit/main", action)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        commit(hub, repo)
    assert hub.files(repo)["b.txt"] == b"new"


def test_a_cut_download_is_resumed_where_the_client_stopped(hub: HubServer, repo: str) -> None:
    kept = constants.DOWNLOAD_CHUNK_SIZE
    content = WEIGHTS * (kept // len(WEIGHTS) + 2)
    hub.put(repo, {"large.safetensors": content})
    hub.fault("*/large.safetensors", CutResponse(kept + 1000))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        hf_hub_download(repo, "large.safetensors")
    assert Path(hf_hub_download(repo, "large.safetensors")).read_bytes() == content
    gets = [seen for seen in hub.requests if seen.method == "GET"]
    assert [(seen.status, seen.headers.get("range")) for seen in gets] == [(200, None), (206, f"bytes={kept}-")]


def test_cut_metadata(hub: HubServer, repo: str) -> None:
    hub.fault("/api/models/acme/x*", CutResponse(10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        hub.api().model_info(repo)
    assert hub.api().model_info(repo).id == repo


def test_a_slow_body_takes_its_time_and_arrives(hub: HubServer, repo: str) -> None:
    hub.fault("*/w.safetensors", Slow(0.1, chunk=200_000))
    start = time.monotonic()
    assert Path(hf_hub_download(repo, "w.safetensors")).read_bytes() == WEIGHTS
    assert time.monotonic() - start > 0.3


def test_wrong_content_has_the_right_length(hub: HubServer, repo: str) -> None:
    hub.fault("*/w.safetensors", WrongContent())
    got = Path(hf_hub_download(repo, "w.safetensors")).read_bytes()
    assert len(got) == len(WEIGHTS) and got != WEIGHTS, "the client does not notice; whoever hashes does"


@pytest.mark.parametrize("path", ["a.txt", "w.safetensors"])
def test_a_wrong_etag_names_the_cached_file(hub: HubServer, repo: str, path: str) -> None:
    fault = hub.fault(f"*/{path}", WrongEtag("f" * 40))
    snapshot = Path(hf_hub_download(repo, path))
    assert fault.hits == 1 and snapshot.resolve().name == "f" * 40
    assert snapshot.read_bytes() == hub.files(repo)[path]


def test_a_server_that_is_down_is_a_clear_error(hub: HubServer, repo: str) -> None:
    hub.fault("/api/models/*", Status(500), times=None)
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download(repo)


@pytest.mark.parametrize("after", [0, 400])
def test_a_client_that_dies_in_an_upload_leaves_nothing(hub: HubServer, repo: str, tmp_path: Path, after: int) -> None:
    objects = tmp_path / "hub" / "objects"
    before = set(objects.iterdir())
    body = b"x" * 1000
    digest = hashlib.sha256(body).hexdigest()
    target = urlsplit(hub.endpoint)
    address = f"/upload/models/{repo}/{digest}?signature={signature(digest)}"
    head = f"PUT {address} HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((target.hostname, target.port), timeout=10) as client:
        client.sendall(head.encode() + body[:after])
        deadline = time.monotonic() + 10
        while set(objects.iterdir()) == before and time.monotonic() < deadline:
            time.sleep(0.01)
    while set(objects.iterdir()) != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(objects.iterdir()) == before


def test_the_server_stops_in_the_middle_of_a_slow_answer(tmp_path: Path) -> None:
    with running(tmp_path / "own") as own:
        own.put("acme/x", {"a.txt": "one\n"})
        own.fault("/api/models/*", Slow(60))
        answer = requests.get(f"{own.endpoint}/api/models/acme/x", stream=True, timeout=10)
        start = time.monotonic()
    assert answer.status_code == 200 and time.monotonic() - start < 5
    with pytest.raises(requests.ConnectionError):
        requests.get(own.endpoint, timeout=10)

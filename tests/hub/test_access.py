"""Who may see and do what on the test Hub, as the unmodified client meets it."""

from __future__ import annotations

import pytest
import requests
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer


def status_of(error: pytest.ExceptionInfo[Exception]) -> int:
    assert isinstance(error.value, HfHubHTTPError) and error.value.response is not None
    return int(error.value.response.status_code)


def test_private_repos_are_told_apart_as_on_the_hub(hub: HubServer) -> None:
    hub.api().create_repo("acme/secret", private=True)
    for api, expected in ((hub.api(token=False), 401), (hub.api(hub.other_token), 404)):
        with pytest.raises(RepositoryNotFoundError) as missing:
            api.model_info("acme/secret")
        assert status_of(missing) == expected
    with pytest.raises(HfHubHTTPError) as refused:
        hub.api("hf_wrong").model_info("acme/secret")
    assert status_of(refused) == 401 and not isinstance(refused.value, RepositoryNotFoundError)
    assert hub.api(hub.read_token).model_info("acme/secret").private
    hub.api().update_repo_settings("acme/secret", private=False)
    assert not hub.api(token=False).model_info("acme/secret").private


@pytest.mark.parametrize("name", ["acme/none", "bert-base-multilingual-cased"])
def test_an_unknown_repo_is_not_found(hub: HubServer, name: str) -> None:
    for ask in (hub.api().model_info, hub.api(token=False).model_info, snapshot_download):
        with pytest.raises(RepositoryNotFoundError):
            ask(name)
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download(name, "config.json", token=hub.token)


def test_only_members_with_a_writing_token_write(hub: HubServer) -> None:
    repo = "acme/x"
    hub.put(repo, {"a.txt": "one"})
    for token in (hub.read_token, hub.other_token):
        api = hub.api(token)
        with pytest.raises(HfHubHTTPError) as error:
            api.create_repo("acme/new")
        assert status_of(error) == 403
        api.create_repo(repo, exist_ok=True)  # there already, and readable
        with pytest.raises(HfHubHTTPError) as error:
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)
        assert status_of(error) == 403
        with pytest.raises(HfHubHTTPError) as error:
            api.create_tag(repo, tag="v1")
        assert status_of(error) == 403
    with pytest.raises(requests.HTTPError, match="Invalid user token"):
        hub.api("hf_wrong").whoami()
    assert hub.api().whoami()["orgs"][0]["name"] == hub.org
    assert hub.repos() == ("acme/x",) and len(hub.history(repo)) == 2


def test_repos_are_created_once_and_deleted(hub: HubServer) -> None:
    api = hub.api()
    assert api.create_repo("plain").repo_id == "tester/plain"
    with pytest.raises(HfHubHTTPError) as error:
        api.create_repo("plain")
    assert status_of(error) == 409
    api.delete_repo("tester/plain")
    assert hub.repos() == ()
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("tester/plain")
    api.delete_repo("tester/plain", missing_ok=True)
    api.create_repo("tester/data", repo_type="dataset")
    assert (hub.repos(), hub.repos("dataset")) == ((), ("tester/data",))


def test_the_token_never_reaches_the_storage_host(hub: HubServer) -> None:
    api = hub.api()
    api.create_repo("acme/secret", private=True)
    api.upload_file(path_or_fileobj=b"weights", path_in_repo="w.safetensors", repo_id="acme/secret")
    snapshot_download("acme/secret", token=hub.token)
    storage = [seen for seen in hub.requests if seen.path.startswith(("/cdn/", "/upload/"))]
    assert {seen.method for seen in storage} == {"PUT", "GET"}
    assert not any("authorization" in seen.headers for seen in storage)

"""Upload: which files go by LFS, the LFS objects themselves, and the commit."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from tests.hub.accounts import Account, readable, required
from tests.hub.cards import is_lfs_by_attributes
from tests.hub.commits import CommitRequest, apply, parse
from tests.hub.context import Body, Hub, Kinds, Readable, State, Text, Who, is_true
from tests.hub.errors import HubError, bad_request, revision_not_found
from tests.hub.objects import Blob
from tests.hub.routes_discussions import open_pull_request
from tests.hub.store import Commit, Repo, RepoType

router = APIRouter()
LFS_SIZE = 10_000_000
_JSON = "application/vnd.git-lfs+json"


@router.post("/api/{kinds}/{namespace}/{name}/preupload/{revision}")
def preupload(
    hub: Hub, who: Who, repo: Readable, revision: Text, body: Body, create_pr: str | None = None
) -> dict[str, Any]:
    ref = repo.ref_of(revision)
    if ref is None:
        raise revision_not_found(revision)
    _check_write(who, repo, ref, is_true(create_pr))
    commit = repo.resolve(ref)
    attributes = commit.files.get(".gitattributes")
    patterns = "" if attributes is None else hub.store.objects.read(attributes).decode()
    return {"files": [_mode(hub, file, patterns, commit) for file in json.loads(body)["files"]]}


def _mode(hub: State, file: dict[str, Any], gitattributes: str, commit: Commit) -> dict[str, Any]:
    sample = base64.b64decode(file.get("sample", ""))
    lfs = is_lfs_by_attributes(file["path"], gitattributes) or file["size"] >= LFS_SIZE or b"\0" in sample
    there = commit.files.get(file["path"])
    behaviour = hub.behaviour
    lfs = lfs or behaviour.lfs_everything
    same = there is not None and not lfs and hub.store.objects.read(there) == sample
    return {
        "path": file["path"],
        "uploadMode": "lfs" if lfs else "regular",
        "shouldIgnore": same and behaviour.preupload == "ignore",
        "oid": there.etag if there is not None and behaviour.preupload == "oid" else None,
    }


@router.post("/{namespace}/{name}.git/info/lfs/objects/batch")
def batch(hub: Hub, who: Who, namespace: str, name: str, body: Body) -> Response:
    return _batch(hub, who, "model", f"{namespace}/{name}", body)


@router.post("/datasets/{namespace}/{name}.git/info/lfs/objects/batch")
def dataset_batch(hub: Hub, who: Who, namespace: str, name: str, body: Body) -> Response:
    return _batch(hub, who, "dataset", f"{namespace}/{name}", body)


@router.post("/spaces/{namespace}/{name}.git/info/lfs/objects/batch")
def space_batch(hub: Hub, who: Who, namespace: str, name: str, body: Body) -> Response:
    return _batch(hub, who, "space", f"{namespace}/{name}", body)


def _batch(hub: State, who: Account | None, kind: RepoType, id_: str, body: bytes) -> Response:
    """Offers `basic` alone, whatever else (`xet`) the client can do; objects already there need no upload."""
    repo = readable(hub.store, who, kind, id_)
    account = required(who)
    if account.role != "write":
        raise HubError(403, "Forbidden: this token cannot write")
    wanted = json.loads(body)
    if wanted.get("operation") != "upload" or wanted.get("hash_algo", "sha256") != "sha256":
        raise bad_request("Only uploads of sha256 objects")
    objects = [_action(hub, repo, item["oid"], item["size"]) for item in wanted["objects"]]
    return Response(json.dumps({"transfer": "basic", "objects": objects}), media_type=_JSON)


def _action(hub: State, repo: Repo, oid: str, size: int) -> dict[str, Any]:
    if hub.store.objects.has(oid):
        return {"oid": oid, "size": size}
    upload = f"{hub.cdn}/upload/{repo.type}s/{repo.id}/{oid}?signature={signature(oid)}"
    verify = f"{hub.endpoint}/api/{repo.type}s/{repo.id}/lfs-verify"
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {"upload": {"href": upload}, "verify": {"href": verify}},
    }


@router.put("/upload/{kinds}/{namespace}/{name}/{oid}")
async def upload(hub: Hub, request: Request, oid: str, signature: str) -> Response:
    """The bytes of one object, at a signed address that takes no token, as the real Hub's storage does."""
    check_signed(request, oid, signature)
    if not await hub.store.objects.receive(request.stream(), oid):
        raise bad_request("The content does not have the announced digest")
    return Response(status_code=200)


@router.post("/api/{kinds}/{namespace}/{name}/lfs-verify")
def verify(hub: Hub, repo: Readable, body: Body) -> dict[str, Any]:
    wanted = json.loads(body)
    path = hub.store.objects.path(wanted["oid"])
    if not path.is_file() or path.stat().st_size != wanted["size"]:
        raise HubError(404, "The object was not uploaded")
    return {}


def signature(oid: str) -> str:
    return hashlib.sha256(f"signed {oid}".encode()).hexdigest()[:16]


def check_signed(request: Request, oid: str, given: str) -> None:
    if given != signature(oid):
        raise HubError(403, "SignatureDoesNotMatch")
    if "authorization" in request.headers:
        raise HubError(400, "Only one auth mechanism allowed: a token was sent to the storage host")


@router.post("/api/{kinds}/{namespace}/{name}/commit/{revision}")
def commit(
    hub: Hub, who: Who, kinds: Kinds, repo: Readable, revision: Text, body: Body, create_pr: str | None = None
) -> dict[str, Any]:
    with hub.store.lock:
        ref = repo.ref_of(revision)
        if ref is None or ref.startswith("refs/tags/"):
            raise revision_not_found(revision)
        account = _check_write(who, repo, ref, is_true(create_pr))
        request = parse(body)
        if is_true(create_pr):
            return _propose(hub, repo, ref, request, account)
        head = repo.resolve(ref)
        stale = request.parent is not None and not head.sha.startswith(request.parent)
        if stale and not hub.behaviour.accept_stale_parent:
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = _applied(hub, repo, head, request)
        if files == head.files and hub.behaviour.no_change != "commit":
            said = {"head": head.sha, "words": "no-changes", "empty": ""}[hub.behaviour.no_change]
            return _answer(hub, repo, said)
        made = _write(repo, ref, files, request, account.name, parent=head)
        return _answer(hub, repo, made.sha if hub.behaviour.tells_commit else "")


def _propose(hub: State, repo: Repo, ref: str, request: CommitRequest, account: Account) -> dict[str, Any]:
    base = repo.resolve(request.parent or ref)
    discussion = open_pull_request(repo, request.title, request.message, account.name, ref, base.sha)
    files = _applied(hub, repo, base, request)
    made = _write(repo, discussion.ref, files, request, account.name, parent=base)
    return {**_answer(hub, repo, made.sha), "pullRequestUrl": f"{hub.url(repo)}/discussions/{discussion.num}"}


def _applied(hub: State, repo: Repo, parent: Commit, request: CommitRequest) -> Mapping[str, Blob]:
    """The files after the commit, as far as this server carries it out."""
    files = apply(request.without(hub.behaviour.skipped), parent.files, hub.store.objects)
    if not hub.behaviour.skips_known:
        return files
    known = {path for path, blob in repo.newest().items() if files.get(path) == blob}
    kept = {path: blob for path, blob in parent.files.items() if path in known}
    return {path: blob for path, blob in files.items() if path not in known} | kept


def _write(
    repo: Repo, ref: str, files: Mapping[str, Blob], request: CommitRequest, author: str, *, parent: Commit
) -> Commit:
    return repo.commit(ref, files, title=request.title, message=request.message, author=author, parent=parent.sha)


def _answer(hub: State, repo: Repo, oid: str) -> dict[str, Any]:
    return {"success": True, "commitOid": oid, "commitUrl": f"{hub.url(repo)}/commit/{oid}", "hookOutput": ""}


def _check_write(who: Account | None, repo: Repo, ref: str, create_pr: bool) -> Account:
    """Anybody with a writing token may propose; only members of the namespace may commit to its branches."""
    account = required(who)
    proposes = create_pr or any(item.ref == ref and item.author == account.name for item in repo.discussions)
    if account.role != "write" or not (proposes or account.may_write(repo.namespace)):
        raise HubError(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
    return account

"""Files of a revision: the tree, chosen paths, and their contents with redirects as the Hub's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from tests.hub.accounts import Account, readable
from tests.hub.context import Body, Hub, Kinds, Readable, State, Text, Who, is_true, kind_of, lfs_json, page_of
from tests.hub.errors import HubError, entry_not_found, repo_not_found
from tests.hub.objects import Blob, git_oid
from tests.hub.routes_upload import check_signed, signature
from tests.hub.store import Commit, Repo, RepoType

router = APIRouter()
_REPO = "/api/{kinds}/{namespace}/{name}"


@router.get(_REPO + "/tree/{revision}")
def tree(
    hub: Hub, request: Request, repo: Readable, revision: Text,
    recursive: str | None = None, expand: str | None = None, cursor: int = 0,
) -> JSONResponse:  # fmt: skip
    return _tree(hub, request, repo, repo.resolve(revision), "", is_true(recursive), is_true(expand), cursor)


@router.get(_REPO + "/tree/{revision}/{path:path}")
def tree_below(
    hub: Hub, request: Request, repo: Readable, revision: Text, path: Text,
    recursive: str | None = None, expand: str | None = None, cursor: int = 0,
) -> JSONResponse:  # fmt: skip
    return _tree(hub, request, repo, repo.resolve(revision), path, is_true(recursive), is_true(expand), cursor)


@router.post(_REPO + "/paths-info/{revision}")
def paths_info(request: Request, repo: Readable, revision: Text, body: Body) -> list[dict[str, Any]]:
    """Accepts a form, which the client sends, and JSON."""
    if "json" in request.headers.get("content-type", ""):
        wanted = json.loads(body)
        paths, expand = wanted["paths"], bool(wanted.get("expand"))
    else:
        form = parse_qs(body.decode())
        paths, expand = form.get("paths", []), is_true(form.get("expand", [""])[0])
    commit = repo.resolve(revision)
    everything = _entries(repo.listed(commit), "", recursive=True)
    return [_entry(repo, commit, path, everything[path], expand) for path in paths if path in everything]


def _tree(
    hub: State, request: Request, repo: Repo, commit: Commit, below: str, recursive: bool, expand: bool, cursor: int
) -> JSONResponse:
    entries = sorted(_entries(repo.listed(commit), below, recursive=recursive).items())
    if below and not entries:
        raise entry_not_found(below)
    some, headers = page_of(hub, request, entries, cursor, 50 if expand else 1000)
    return JSONResponse([_entry(repo, commit, path, blob, expand) for path, blob in some], headers=headers)


def _entries(files: Mapping[str, Blob], below: str, *, recursive: bool) -> dict[str, Blob | None]:
    """Files with their blobs, folders with None."""
    prefix = f"{below}/" if below else ""
    found: dict[str, Blob | None] = {}
    for path, blob in files.items():
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        depths = range(1, len(parts) + 1) if recursive else (1,)
        for depth in depths:
            found[prefix + "/".join(parts[:depth])] = blob if depth == len(parts) else None
    return found


def _entry(repo: Repo, commit: Commit, path: str, blob: Blob | None, expand: bool) -> dict[str, Any]:
    if blob is None:
        entry: dict[str, Any] = {"type": "directory", "oid": git_oid(path.encode()), "size": 0, "path": path}
    else:
        entry = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
        if blob.lfs:
            entry["lfs"] = lfs_json(blob)
    if expand:
        last = repo.last_change(commit, path)
        entry["lastCommit"] = {"id": last.sha, "title": last.title, "date": last.date}
        if blob is not None:
            entry["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
    return entry


@router.api_route("/{namespace}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolve_model(hub: Hub, who: Who, namespace: str, name: str, revision: Text, path: Text) -> Response:
    return _resolve(hub, who, "model", f"{namespace}/{name}", revision, path)


@router.api_route("/{kinds}/{namespace}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolve(hub: Hub, who: Who, kinds: Kinds, namespace: str, name: str, revision: Text, path: Text) -> Response:
    return _resolve(hub, who, kind_of(kinds), f"{namespace}/{name}", revision, path)


@router.api_route("/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolve_without_namespace(hub: Hub, who: Who) -> None:
    raise repo_not_found(hub.behaviour, anonymous=who is None)


def _resolve(hub: State, who: Account | None, kind: RepoType, id_: str, revision: str, path: str) -> Response:
    """An LFS file redirects to the storage host, any other to an address that names the commit."""
    repo = readable(hub.store, who, kind, id_)
    commit, blob = _found(repo, revision, path)
    headers = _headers(commit, blob)
    if blob.lfs:
        location = f"{hub.cdn}/cdn/{kind}s/{id_}/{blob.sha256}/{quote(path)}?signature={signature(blob.sha256)}"
        headers |= {"X-Linked-Size": str(blob.size), "X-Linked-Etag": f'"{blob.etag}"', "Location": location}
        return Response(status_code=302, headers=headers)
    location = f"/api/resolve-cache/{kind}s/{id_}/{commit.sha}/{quote(path)}"
    return Response(status_code=307, headers=headers | {"Location": location})


@router.api_route("/api/resolve-cache/{kinds}/{namespace}/{name}/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolve_cache(hub: Hub, repo: Readable, revision: Text, path: Text) -> Response:
    commit, blob = _found(repo, revision, path)
    return _content(hub, blob.sha256, _headers(commit, blob))


@router.api_route("/cdn/{kinds}/{namespace}/{name}/{oid}/{path:path}", methods=["GET", "HEAD"])
def cdn(hub: Hub, request: Request, oid: str, signature: str) -> Response:
    check_signed(request, oid, signature)
    if not hub.store.objects.has(oid):
        raise HubError(404, "NoSuchKey")
    return _content(hub, oid, {"ETag": f'"{oid}"'})


def _found(repo: Repo, revision: str, path: str) -> tuple[Commit, Blob]:
    commit = repo.resolve(revision)
    blob = commit.files.get(path)
    if blob is None:
        error = entry_not_found(path)
        error.headers["X-Repo-Commit"] = commit.sha
        raise error
    return commit, blob


def _headers(commit: Commit, blob: Blob) -> dict[str, str]:
    return {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}


def _content(hub: State, sha256: str, headers: Mapping[str, str]) -> Response:
    return FileResponse(hub.store.objects.path(sha256), media_type="application/octet-stream", headers=dict(headers))

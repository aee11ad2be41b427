"""Branches, tags and the history of commits."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from tests.hub.context import Body, Hub, Readable, Text, Writable, is_true, page_of
from tests.hub.errors import HubError, conflict, revision_not_found
from tests.hub.store import MAIN, Commit, Repo

router = APIRouter()
_REPO = "/api/{kinds}/{namespace}/{name}"


@router.get(_REPO + "/refs")
def refs(repo: Readable, include_prs: str | None = None) -> dict[str, Any]:
    answer = {
        "branches": _listed(repo, "refs/heads/"),
        "converts": _listed(repo, "refs/convert/"),
        "tags": _listed(repo, "refs/tags/"),
    }
    if is_true(include_prs):
        answer["pullRequests"] = _listed(repo, "refs/pr/")
    return answer


@router.post(_REPO + "/branch/{branch}")
def create_branch(hub: Hub, repo: Writable, branch: Text, body: Body) -> dict[str, Any]:
    start = (json.loads(body) if body else {}).get("startingPoint", "main")
    return _create(hub.store.lock, repo, f"refs/heads/{branch}", start, f"Reference already exists: {branch}")


@router.delete(_REPO + "/branch/{branch}")
def delete_branch(hub: Hub, repo: Writable, branch: Text) -> dict[str, Any]:
    if f"refs/heads/{branch}" == MAIN:
        raise HubError(403, "Cannot delete the default branch")
    return _delete(hub.store.lock, repo, f"refs/heads/{branch}", branch)


@router.post(_REPO + "/tag/{revision}")
def create_tag(hub: Hub, repo: Writable, revision: Text, body: Body) -> dict[str, Any]:
    tag = json.loads(body)["tag"]
    return _create(hub.store.lock, repo, f"refs/tags/{tag}", revision, f"Tag reference exists already: {tag}")


@router.delete(_REPO + "/tag/{tag}")
def delete_tag(hub: Hub, repo: Writable, tag: Text) -> dict[str, Any]:
    return _delete(hub.store.lock, repo, f"refs/tags/{tag}", tag)


@router.get(_REPO + "/commits/{revision}")
def commits(hub: Hub, request: Request, repo: Readable, revision: Text, cursor: int = 0) -> JSONResponse:
    history = list(repo.history(repo.resolve(revision)))
    some, headers = page_of(hub, request, history, cursor, 50)
    headers["X-Total-Count"] = str(len(history))
    return JSONResponse([_commit(commit) for commit in some], headers=headers)


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author}],
    }


def _listed(repo: Repo, prefix: str) -> list[dict[str, str]]:
    return [
        {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": sha}
        for ref, sha in repo.refs.items()
        if ref.startswith(prefix)
    ]


def _create(lock: Any, repo: Repo, ref: str, start: str, exists: str) -> dict[str, Any]:
    with lock:
        commit = repo.resolve(start)
        if ref in repo.refs:
            raise conflict(exists)
        repo.refs[ref] = commit.sha
        repo.save()
    return {}


def _delete(lock: Any, repo: Repo, ref: str, name: str) -> dict[str, Any]:
    with lock:
        if ref not in repo.refs:
            raise revision_not_found(name)
        del repo.refs[ref]
        repo.save()
    return {}

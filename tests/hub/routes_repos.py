"""Accounts and whole repositories: who am I, create, delete, settings, single information, listing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from tests.hub.accounts import may_read, required, writable
from tests.hub.behaviour import strangers
from tests.hub.cards import problems
from tests.hub.context import (
    Body,
    Hub,
    Kinds,
    Readable,
    State,
    Text,
    Who,
    Writable,
    is_true,
    kind_of,
    lfs_json,
    page_of,
)
from tests.hub.errors import HubError, bad_request, repo_not_found
from tests.hub.store import Commit, Repo, RepoType

router = APIRouter()


class _Found(NamedTuple):
    """A repository of this server that fits."""

    repo: Repo
    commit: Commit


_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?(?<!\.git)")


@router.get("/api/whoami-v2")
def whoami(who: Who) -> dict[str, Any]:
    account = required(who)
    return {
        "type": "user",
        "id": account.name,
        "name": account.name,
        "fullname": account.name,
        "orgs": [{"type": "org", "name": org, "roleInOrg": account.role} for org in account.orgs],
        "auth": {"type": "access_token", "accessToken": {"displayName": "tests", "role": account.role}},
    }


@router.post("/api/validate-yaml")
def validate_yaml(body: Body) -> JSONResponse:
    errors, warnings = problems(json.loads(body)["content"])
    answer = {
        "errors": [{"message": message} for message in errors],
        "warnings": [{"message": message} for message in warnings],
    }
    return JSONResponse(answer, status_code=400 if errors else 200)


@router.post("/api/repos/create")
def create(hub: Hub, who: Who, body: Body) -> JSONResponse:
    account = required(who)
    wanted = json.loads(body)
    kind, namespace, name = _named(wanted, account.name)
    if not _NAME.fullmatch(name):
        raise bad_request(f"Invalid repo name: {namespace}/{name} - repo names are made of [A-Za-z0-9._-]")
    if not account.may_write(namespace):
        raise HubError(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    with hub.store.lock:
        repo = hub.store.find(kind, f"{namespace}/{name}")
        status = 200 if repo is None else 409
        if repo is None:
            private = bool(wanted.get("private", False))
            repo = hub.store.create(kind, f"{namespace}/{name}", private=private, author=account.name)
    answer = {"url": hub.url(repo), "name": repo.id, "id": _id(repo)}
    if status == 409:
        answer["error"] = f"You already created this {kind} repo"
    return JSONResponse(answer, status_code=status)


@router.delete("/api/repos/delete")
def delete(hub: Hub, who: Who, body: Body) -> dict[str, Any]:
    kind, namespace, name = _named(json.loads(body), required(who).name)
    with hub.store.lock:
        hub.store.delete(writable(hub.store, who, kind, f"{namespace}/{name}"))
    return {}


@router.put("/api/{kinds}/{namespace}/{name}/settings")
def settings(hub: Hub, repo: Writable, body: Body) -> dict[str, Any]:
    wanted = json.loads(body)
    with hub.store.lock:
        repo.private = bool(wanted.get("private", repo.private))
        repo.save()
    return {"private": repo.private}


@router.get("/api/{kinds}/{namespace}/{name}/auth-check")
def auth_check(repo: Readable) -> dict[str, Any]:
    return {"id": repo.id}


Expand = Annotated[list[str] | None, Query()]


@router.get("/api/{kinds}/{namespace}/{name}")
def info(hub: Hub, repo: Readable, blobs: str | None = None, expand: Expand = None) -> dict[str, Any]:
    return _info(hub, repo, "main", blobs, expand)


@router.get("/api/{kinds}/{namespace}/{name}/revision/{revision}")
def info_at(
    hub: Hub, repo: Readable, revision: Text, blobs: str | None = None, expand: Expand = None
) -> dict[str, Any]:
    return _info(hub, repo, revision, blobs, expand)


@router.get("/api/{kinds}")
def listing(
    hub: Hub,
    request: Request,
    who: Who,
    kinds: Kinds,
    filter: Annotated[list[str] | None, Query()] = None,
    search: Annotated[list[str] | None, Query()] = None,
    author: str | None = None,
    sort: str = "lastModified",
    direction: int = -1,
    limit: int = 1000,
    full: str | None = None,
    cardData: str | None = None,  # noqa: N803
    expand: Expand = None,
    cursor: int = 0,
) -> JSONResponse:
    wanted = [tag for value in filter or () for tag in value.split(",")]
    found = [
        _Found(repo, repo.resolve("main"))
        for repo in hub.store.repos(kind_of(kinds))
        if may_read(who, repo)
        and (author is None or repo.namespace == author)
        and all(text.lower() in repo.id.lower() for text in search or ())
    ]
    tagged = [one for one in found if set(wanted) <= set(hub.card(one.commit).tags)]
    ordered = _ordered(tagged, sort, descending=direction == -1)
    chosen = _expanded(hub, expand)
    crowd = strangers(hub.behaviour.crowd) if author is None else ()
    everything: list[Any] = [*hub.behaviour.strange_items, *crowd, *ordered]
    some, headers = page_of(hub, request, everything, cursor, limit)
    page = [_listed(hub, item.repo, item.commit, is_true(full), is_true(cardData), chosen)
            if isinstance(item, _Found) else item for item in some]  # fmt: skip
    return JSONResponse(page, headers=headers)


@router.get("/api/{kinds}/{name}")
@router.get("/api/{kinds}/{name}/revision/{revision}")
def without_namespace(hub: Hub, kinds: Kinds, who: Who) -> None:
    """Names such as `gpt2`: the real Hub has a few old ones, this one has none."""
    raise repo_not_found(hub.behaviour, anonymous=who is None)


def _expanded(hub: State, expand: Sequence[str] | None) -> Sequence[str] | None:
    """The single fields to answer with, as far as this server knows of such a wish."""
    if expand and hub.behaviour.expand == "refused":
        raise bad_request("Unrecognized query parameter: expand")
    return expand if hub.behaviour.expand == "honoured" else None


def _ordered(found: Sequence[_Found], sort: str, *, descending: bool) -> list[_Found]:
    keys = {"lastModified": lambda one: one.commit.date, "createdAt": lambda one: one.repo.created}
    return sorted(found, key=keys.get(sort, keys["lastModified"]), reverse=descending)


def _listed(
    hub: State, repo: Repo, commit: Commit, full: bool, card: bool, expand: Sequence[str] | None
) -> dict[str, Any]:
    """What a list says of a repository: little, unless `full`; tags always."""
    if expand:
        return _chosen(_everything(hub, repo, commit), expand)
    kept = {
        "_id",
        "id",
        "modelId",
        "private",
        "likes",
        "downloads",
        "tags",
        "createdAt",
        "pipeline_tag",
        "library_name",
    }
    if full or repo.type != "model":
        kept |= {"author", "sha", "lastModified", "gated", "disabled"}
    if full:
        kept |= {"siblings"}
    if card:
        kept |= {"cardData"}
    return {key: value for key, value in _everything(hub, repo, commit).items() if key in kept}


def _info(hub: State, repo: Repo, revision: str, blobs: str | None, expand: Sequence[str] | None) -> dict[str, Any]:
    commit = repo.resolve(revision)
    answer = _everything(hub, repo, commit)
    if not hub.behaviour.tags_in_info:
        del answer["tags"]
    if is_true(blobs):
        described = repo.listed(commit)
        for sibling in answer["siblings"]:
            blob = described[sibling["rfilename"]]
            sibling.update(blobId=blob.oid, size=blob.size)
            if blob.lfs:
                sibling["lfs"] = lfs_json(blob)
    chosen = _expanded(hub, expand)
    return _chosen(answer, chosen) if chosen else answer


def _chosen(answer: dict[str, Any], expand: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key in {"_id", "id", *expand}}


def _everything(hub: State, repo: Repo, commit: Commit) -> dict[str, Any]:
    card = hub.card(commit)
    answer: dict[str, Any] = {
        "_id": _id(repo),
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.sha,
        "lastModified": commit.date,
        "createdAt": repo.created,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": list(card.tags),
        "cardData": card.data,
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        "usedStorage": sum(blob.size for blob in commit.files.values()),
    }
    if not hub.behaviour.says_private:
        del answer["private"]
    if repo.type == "model":
        answer["modelId"] = repo.id
        answer["spaces"] = []
        for key in ("library_name", "pipeline_tag", "model-index"):
            if key in card.data:
                answer[key] = card.data[key]
    return answer


def _id(repo: Repo) -> str:
    return hashlib.sha1(f"{repo.type} {repo.id} {repo.created}".encode()).hexdigest()[:24]


def _named(wanted: dict[str, Any], user: str) -> tuple[RepoType, str, str]:
    kind: RepoType = wanted.get("type") or "model"
    if kind not in ("model", "dataset", "space"):
        raise bad_request(f"Invalid repo type: {kind}")
    return kind, wanted.get("organization") or user, str(wanted["name"])

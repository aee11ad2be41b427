"""Discussions and pull requests."""

from __future__ import annotations

import json
import uuid
from typing import Any

from fastapi import APIRouter

from tests.hub.accounts import required
from tests.hub.context import Body, Hub, Readable, Who, Writable
from tests.hub.errors import HubError, bad_request, conflict
from tests.hub.store import MAIN, Discussion, Repo, now

router = APIRouter()
_ALL = "/api/{kinds}/{namespace}/{name}/discussions"
_ONE = _ALL + "/{num}"
_PAGE = 50


def open_pull_request(repo: Repo, title: str, text: str, author: str, base: str, start: str) -> Discussion:
    """A pull request on `base` whose ref points at the commit `start`; the caller holds the store's lock."""
    discussion = _open(repo, title, text, author, status="open", base=base)
    repo.refs[discussion.ref] = start
    return discussion


@router.get(_ALL)
def listing(
    repo: Readable, p: int = 0, type: str = "all", status: str | None = None, author: str | None = None
) -> dict[str, Any]:
    found = [
        item
        for item in reversed(repo.discussions)
        if (type == "all" or item.pull_request == (type == "pull_request"))
        and (status in (None, "all") or (item.status in ("open", "draft")) == (status == "open"))
        and author in (None, item.author)
    ]
    page = found[p * _PAGE : (p + 1) * _PAGE]
    return {"discussions": [_summary(repo, item) for item in page], "count": len(found), "start": p * _PAGE}


@router.post(_ALL)
def create(hub: Hub, who: Who, repo: Readable, body: Body) -> dict[str, Any]:
    author = required(who).name
    wanted = json.loads(body)
    with hub.store.lock:
        if wanted.get("pullRequest"):
            made = open_pull_request(repo, wanted["title"], wanted["description"], author, MAIN, repo.refs[MAIN])
            made.status = "draft"
        else:
            made = _open(repo, wanted["title"], wanted["description"], author, status="open", base=None)
        repo.save()
    return {"num": made.num, "url": f"{hub.url(repo)}/discussions/{made.num}", "pullRequest": made.pull_request}


@router.get(_ONE)
def details(repo: Readable, num: int) -> dict[str, Any]:
    item = _found(repo, num)
    answer = {**_summary(repo, item), "events": item.events}
    if item.pull_request:
        answer |= {"changes": {"base": item.base, "mergeCommitId": item.merged}, "filesWithConflicts": [], "diff": ""}
    return answer


@router.post(_ONE + "/comment")
def comment(hub: Hub, who: Who, repo: Readable, num: int, body: Body) -> dict[str, Any]:
    with hub.store.lock:
        event = _say(_found(repo, num), required(who).name, json.loads(body)["comment"])
        repo.save()
    return {"newMessage": event}


@router.post(_ONE + "/title")
def title(hub: Hub, who: Who, repo: Writable, num: int, body: Body) -> dict[str, Any]:
    with hub.store.lock:
        item = _found(repo, num)
        new = json.loads(body)["title"]
        event = _event("title-change", required(who).name, {"from": item.title, "to": new})
        item.title = new
        item.events.append(event)
        repo.save()
    return {"newTitle": event}


@router.post(_ONE + "/status")
def status(hub: Hub, who: Who, repo: Writable, num: int, body: Body) -> dict[str, Any]:
    with hub.store.lock:
        item = _found(repo, num)
        event = _set_status(item, required(who).name, json.loads(body)["status"])
        repo.save()
    return {"newStatus": event}


@router.post(_ONE + "/merge")
def merge(hub: Hub, who: Who, repo: Writable, num: int) -> dict[str, Any]:
    """Merges what the pull request changed into its base; files changed on both sides are a conflict."""
    author = required(who).name
    with hub.store.lock:
        item = _found(repo, num)
        if not item.pull_request or item.status not in ("open", "draft") or item.base is None:
            raise bad_request("Only an open pull request can be merged")
        head, proposed = repo.resolve(item.base), repo.resolve(item.ref)
        start = next(old for old in repo.history(proposed) if any(old.sha == own.sha for own in repo.history(head)))
        changed = {
            path for path in {*start.files, *proposed.files} if start.files.get(path) != proposed.files.get(path)
        }
        if any(start.files.get(path) != head.files.get(path) for path in changed):
            raise conflict("This pull request has conflicts")
        files = {path: blob for path, blob in head.files.items() if path not in changed}
        files |= {path: proposed.files[path] for path in changed if path in proposed.files}
        made = repo.commit(item.base, files, title=f"{item.title} (#{num})", author=author, parent=head.sha)
        item.merged = made.sha
        _set_status(item, author, "merged")
        repo.save()
    return {}


def _open(repo: Repo, title: str, text: str, author: str, *, status: str, base: str | None) -> Discussion:
    num = len(repo.discussions) + 1
    made = Discussion(num, title, author, now(), pull_request=base is not None, status=status, base=base)
    _say(made, author, text)
    repo.discussions.append(made)
    return made


def _say(item: Discussion, author: str, text: str) -> dict[str, Any]:
    latest = {"raw": text, "html": text, "updatedAt": now(), "author": {"name": author}}
    event = _event("comment", author, {"edited": False, "hidden": False, "latest": latest, "history": [latest]})
    item.events.append(event)
    return event


def _set_status(item: Discussion, author: str, new: str) -> dict[str, Any]:
    item.status = new
    event = _event("status-change", author, {"status": new})
    item.events.append(event)
    return event


def _event(kind: str, author: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": uuid.uuid4().hex, "type": kind, "createdAt": now(), "author": {"name": author}, "data": data}


def _found(repo: Repo, num: int) -> Discussion:
    if not 1 <= num <= len(repo.discussions):
        raise HubError(404, f"Discussion {num} not found")
    return repo.discussions[num - 1]


def _summary(repo: Repo, item: Discussion) -> dict[str, Any]:
    return {
        "num": item.num,
        "title": item.title,
        "author": {"name": item.author},
        "createdAt": item.created,
        "status": item.status,
        "isPullRequest": item.pull_request,
        "repo": {"name": repo.id, "type": repo.type},
    }

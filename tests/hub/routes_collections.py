"""Collections: create, look at, and add repositories to them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from tests.hub.accounts import required
from tests.hub.context import Body, Hub, Who
from tests.hub.errors import HubError
from tests.hub.store import RepoType

router = APIRouter()


@dataclass
class Collection:
    """A titled list of items, each a type and an id; `slug` is its address."""

    slug: str
    title: str
    namespace: str
    private: bool
    items: list[tuple[RepoType, str]] = field(default_factory=list)


@router.post("/api/collections")
def create(hub: Hub, who: Who, body: Body) -> JSONResponse:
    account = required(who)
    wanted = json.loads(body)
    title, namespace = str(wanted["title"]), str(wanted["namespace"])
    if not account.may_write(namespace):
        raise HubError(403, f'You don\'t have the rights to create a collection under "{namespace}"')
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    slug = f"{namespace}/{words}-{hashlib.sha1(f'{namespace} {title}'.encode()).hexdigest()[:24]}"
    if slug in hub.collections:
        return JSONResponse({"error": "This collection already exists", "slug": slug}, status_code=409)
    hub.collections[slug] = Collection(slug, title, namespace, bool(wanted.get("private", False)))
    return JSONResponse(_json(hub.collections[slug]))


@router.get("/api/collections/{namespace}/{name}")
def get(hub: Hub, namespace: str, name: str) -> dict[str, Any]:
    return _json(_found(hub.collections, f"{namespace}/{name}"))


@router.post("/api/collections/{namespace}/{name}/items")
def add(hub: Hub, who: Who, namespace: str, name: str, body: Body) -> JSONResponse:
    found = _found(hub.collections, f"{namespace}/{name}")
    if not required(who).may_write(found.namespace):
        raise HubError(403, "You don't have the rights to change this collection")
    wanted = json.loads(body)["item"]
    item: tuple[RepoType, str] = (wanted["type"], wanted["id"])
    if hub.store.find(*item) is None:
        raise HubError(404, f"No {item[0]} {item[1]}")
    if item in found.items:
        return JSONResponse({"error": "This item is in the collection already"}, status_code=409)
    found.items.append(item)
    return JSONResponse(_json(found))


def _found(collections: dict[str, Collection], slug: str) -> Collection:
    if slug not in collections:
        raise HubError(404, f"No collection {slug}")
    return collections[slug]


def _json(collection: Collection) -> dict[str, Any]:
    return {
        "slug": collection.slug,
        "title": collection.title,
        "owner": {"name": collection.namespace, "type": "org"},
        "items": [
            {"_id": hashlib.sha1(name.encode()).hexdigest()[:24], "id": name, "type": kind, "position": place}
            for place, (kind, name) in enumerate(collection.items)
        ],
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "position": 0,
        "private": collection.private,
        "theme": "blue",
        "upvotes": 0,
    }

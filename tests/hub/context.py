"""What every route needs: the store, who asks, and text decoded from an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from tests.hub.accounts import Account, Accounts, readable, writable
from tests.hub.behaviour import ENDLESS_PAGES, Behaviour
from tests.hub.cards import Card, Cards
from tests.hub.errors import HubError
from tests.hub.objects import Blob
from tests.hub.store import Commit, Repo, RepoType, Store

# A slash that the client wrote as %2F, so that `refs%2Fpr%2F1` stays one segment while routes are matched.
ENCODED_SLASH = "\x01"

_T = TypeVar("_T")


@dataclass
class State:
    """The server behind its routes."""

    store: Store
    endpoint: str = ""
    cdn: str = ""
    accounts: Accounts = field(default_factory=Accounts)
    cards: Cards = field(default_factory=Cards)
    # Pages behind the end that were asked for in a row since the last other one, and the most of them ever.
    empty_pages: int = 0
    most_empty_pages: int = 0
    collections: dict[str, Any] = field(default_factory=dict)

    @property
    def behaviour(self) -> Behaviour:
        return self.store.behaviour

    def card(self, commit: Commit) -> Card:
        readme = commit.files.get("README.md")
        return self.cards.of(commit.sha, commit.files, None if readme is None else self.store.objects.read(readme))

    def url(self, repo: Repo) -> str:
        prefix = "" if repo.type == "model" else f"{repo.type}s/"
        return f"{self.endpoint}/{prefix}{repo.id}"


def _state(request: Request) -> State:
    state: State = request.app.state.hub
    return state


def _account(request: Request) -> Account | None:
    return _state(request).accounts.of_header(request.headers.get("authorization"))


async def _body(request: Request) -> bytes:
    return await request.body()


def _decoded(text: str) -> str:
    return text.replace(ENCODED_SLASH, "/")


Hub = Annotated[State, Depends(_state)]
Who = Annotated[Account | None, Depends(_account)]
Body = Annotated[bytes, Depends(_body)]
Text = Annotated[str, Path(), AfterValidator(_decoded)]
Kinds = Literal["models", "datasets", "spaces"]


def kind_of(kinds: Kinds) -> RepoType:
    types: dict[Kinds, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
    return types[kinds]


def is_true(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "true")


def page_of(
    hub: State, request: Request, items: Sequence[_T], cursor: int, size: int
) -> tuple[Sequence[_T], dict[str, str]]:
    """The items from `cursor` on, at most `size`, and the headers that say where it goes on."""
    behaviour = hub.behaviour
    if cursor > 0 and behaviour.pages == "refused":
        raise HubError(429, "We had to rate limit you: too many pages")
    hub.empty_pages = hub.empty_pages + 1 if cursor >= max(1, len(items)) else 0
    hub.most_empty_pages = max(hub.most_empty_pages, hub.empty_pages)
    end = cursor + max(1, min(size, behaviour.page_size))
    more = end < len(items)
    if not more and behaviour.pages == "endless":
        end = max(cursor, len(items)) + 1
        more = end <= len(items) + ENDLESS_PAGES
    return items[cursor:end], _next_link(hub, request, end) if more else {}


def _next_link(hub: State, request: Request, cursor: int) -> dict[str, str]:
    """The Link header of a page with more behind it."""
    query = urlencode(
        [
            *((key, value) for key, value in request.query_params.multi_items() if key != "cursor"),
            ("cursor", str(cursor)),
        ]
    )
    host = hub.cdn if hub.behaviour.pages == "elsewhere" else hub.endpoint
    return {"Link": f'<{host}{request.scope["raw_path"].decode()}?{query}>; rel="next"'}


def lfs_json(blob: Blob) -> dict[str, Any]:
    return {"oid": blob.sha256, "sha256": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}


def _readable(hub: Hub, who: Who, kinds: Kinds, namespace: str, name: str) -> Repo:
    return readable(hub.store, who, kind_of(kinds), f"{namespace}/{name}")


def _writable(hub: Hub, who: Who, kinds: Kinds, namespace: str, name: str) -> Repo:
    return writable(hub.store, who, kind_of(kinds), f"{namespace}/{name}")


# The repository an address names, for an account that may read or write it; otherwise the request is refused.
Readable = Annotated[Repo, Depends(_readable)]
Writable = Annotated[Repo, Depends(_writable)]

"""How the server refuses: the real Hub's status and headers, which the client turns into its errors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from starlette.responses import Response

from tests.hub.behaviour import Behaviour


class Died(Exception):  # noqa: N818 - it is no error of anybody's
    """The server was killed inside a commit."""


HUGE = 2_000_000


class HubError(Exception):
    """A refusal: `code` becomes `X-Error-Code`, `message` becomes `X-Error-Message` and the body's `error`."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers: dict[str, str] = {}


def repo_not_found(behaviour: Behaviour, *, anonymous: bool, member: bool = False) -> HubError:
    """Unknown, or private and not yours: the Hub does not say which, and tells the anonymous to log in.

    The Hub's 401 carries no code: the client concludes "repository not found" from an https address, which a loopback
    server has not, so here the code says it.
    """
    if behaviour.hides != "as the Hub":
        return HubError(401 if behaviour.hides == "bare 401" and not member else 404, "Not for you")
    if anonymous:
        return HubError(401, "Invalid username or password.", "RepoNotFound")
    return HubError(404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> HubError:
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str) -> HubError:
    return HubError(404, f"Entry not found: {path}", "EntryNotFound")


def bad_request(message: str) -> HubError:
    return HubError(400, message)


def conflict(message: str) -> HubError:
    return HubError(409, message)


def refusal(behaviour: Behaviour, status: int, message: str, headers: Mapping[str, str]) -> Response:
    """The answer that says `message` in a body as this server writes one."""
    form = behaviour.error_body
    body = json.dumps({"error": message + " " * (HUGE if form == "huge" else 0)}).encode()
    told = {**headers, "Content-Type": "application/json"}
    if "gzip" in form:
        packed = gzip.compress(body)
        body, told = packed[: -8 if form == "broken gzip" else None], {**told, "Content-Encoding": "gzip"}
    return Response(body, status_code=status, headers=told)

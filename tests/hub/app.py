"""The application: routes, refusals as the client reads them, and addresses with encoded slashes."""

from __future__ import annotations

import re
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.hub import routes_collections, routes_discussions, routes_files, routes_refs, routes_repos, routes_upload
from tests.hub.context import ENCODED_SLASH, State
from tests.hub.errors import HubError, refusal
from tests.hub.faults import FaultLayer, Faults


class _Slashes:
    """Keeps a slash that was sent as %2F apart from one that separates segments."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope["raw_path"].decode()
        path = unquote(re.sub("%2f", ENCODED_SLASH, raw, flags=re.IGNORECASE))
        await self.app({**scope, "path": path}, receive, send)


def build(state: State, faults: Faults) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    app.state.hub = state
    for module in (routes_collections, routes_repos, routes_refs, routes_upload, routes_discussions, routes_files):
        app.include_router(module.router)
    app.add_exception_handler(HubError, _refuse)
    app.add_exception_handler(RequestValidationError, _misunderstand)
    return FaultLayer(_Slashes(app), faults)


def _misunderstand(request: Request, error: Exception) -> Response:
    """An address or a parameter no route is made for."""
    return _refuse(request, HubError(404, f"Not on this server: {request.method} {request.url.path}"))


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    text = error.message.encode("ascii", "replace").decode().replace("\n", " ")
    headers = {**error.headers, "X-Error-Message": text}
    if error.code is not None:
        headers["X-Error-Code"] = error.code
    state: State = request.app.state.hub
    return refusal(state.behaviour, error.status, error.message, headers)

"""What every request goes through before the application sees it.

A page of another site that is open in the same browser may send requests to this server, also under a name of its own
that resolves to this machine (DNS rebinding). So the `Host` has to be one of ours, a request that does something has
to come from our own page or from no page at all, and its body has to be JSON, which other sites cannot send without
asking first. Nobody is answered who asks (no CORS).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from badx_hub.control_characters import escaped
from badx_hub.errors import DataError
from badx_hub.json_toml_yaml import read_json
from badx_hub.web.limits import Limits, RequestRefused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
OPEN_PATHS = ("/health",)
"""What is answered without a token: it says nothing about anybody's data."""

TOKEN_PATH = "/token/"
"""`/token/TOKEN/inception/...`: for programs that can be told an address and no header."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """Who may ask: the names under which the server is known, and the token that everybody has to show, if any.

    `any_address`: a number in place of a name is right, whichever it is; no site can rebind one. `cookie` is the
    name of the cookie for the token.
    """

    names: frozenset[str]
    any_address: bool = False
    token: str | None = None
    cookie: str = "badx_token"

    def knows(self, host: str) -> bool:
        """Whether `host`, the header without its port, is this server."""
        name = host.lower().rstrip(".")
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return self.any_address or address.is_loopback


class Guard:
    """An ASGI application that lets through what it has checked, with its whole body, to another one."""

    def __init__(self, app: AsgiApp, policy: Policy, limits: Limits) -> None:
        self._app, self._policy, self._limits = app, policy, limits
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._checked(scope, receive, answer)
        except RequestRefused as refusal:
            await answer.refuse(refusal)
        except Exception as error:
            _LOG.error("a request failed (%s: %s)", type(error).__name__, escaped(str(error))[:200])
            await answer.refuse(RequestRefused(500, "The server failed at this request; its terminal says more."))

    async def _checked(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = self._host(headers)
        _refuse_other_sites(scope["method"], headers, host)
        if (given := self._token_in_query(scope)) is not None:
            await answer.enter(self._policy.cookie, given)
            return
        self._require_token(scope, headers)
        if scope["method"] != "POST":
            await self._app(scope, receive, answer.send)
            return
        client = (scope.get("client") or ("",))[0]
        if self._open[client] >= self._limits.client_requests:
            fact = f"{self._limits.client_requests} of your requests are not answered yet. Wait for them."
            raise RequestRefused(429, fact, retry_after=5)
        self._open[client] += 1
        try:
            body = await self._body(headers, receive)
            _require_plain(body, self._limits)
            await self._app(scope, _replayed(body, receive), answer.send)
        finally:
            self._open[client] -= 1
            self._open += Counter()  # Counters of nobody are dropped.

    def _host(self, headers: Mapping[str, str]) -> str:
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not name or not self._policy.knows(name):
            raise RequestRefused(421, "This server is not known under that name. Use the address that it printed.")
        return host.lower()

    def _token_in_query(self, scope: Scope) -> str | None:
        """The right token that a browser brings in the address of the page, once."""
        if self._policy.token is None or scope["method"] != "GET" or scope["path"] != "/":
            return None
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return given if _same(given, self._policy.token) else None

    def _require_token(self, scope: Scope, headers: Mapping[str, str]) -> None:
        token = self._policy.token
        if token is None or scope["path"] in OPEN_PATHS:
            return
        given = [headers.get("authorization", "").removeprefix("Bearer "), self._cookie(headers)]
        if scope["path"].startswith(TOKEN_PATH):
            in_path, _, rest = scope["path"].removeprefix(TOKEN_PATH).partition("/")
            given.append(in_path)
            scope["path"], scope["raw_path"] = f"/{rest}", f"/{rest}".encode()
        if not any(_same(one, token) for one in given):
            raise RequestRefused(401, "This server asks for its token. Open the address that it printed.")

    def _cookie(self, headers: Mapping[str, str]) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._policy.cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestRefused(415, "A request is JSON and says so (Content-Type: application/json).")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestRefused(415, "A request comes as it is, without Content-Encoding.")
        announced = headers.get("content-length", "")
        limit = self._limits.body_bytes
        if announced.isdecimal() and int(announced) > limit:  # h11 takes 20 digits at most
            raise _too_long(limit)
        try:
            return await asyncio.wait_for(_read(receive, limit), self._limits.body_seconds)
        except asyncio.TimeoutError as error:
            fact = f"The request did not come within {self._limits.body_seconds:.0f} seconds. Send it again."
            raise RequestRefused(408, fact) from error


class _Answer:
    """What is sent to the client, with our headers on it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            own = {name for name, _ in message.get("headers", ())}
            added = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
            message["headers"] = [*message.get("headers", ()), *(pair for pair in added if pair[0] not in own)]
        await self._send(message)

    async def refuse(self, refusal: RequestRefused) -> None:
        """Send the reason, unless something else is on its way already."""
        if self._started:
            return
        headers = [("content-type", "application/json"), ("connection", "close")]
        if refusal.retry_after is not None:
            headers.append(("retry-after", str(refusal.retry_after)))
        await self._whole(refusal.status, headers, json.dumps({"error": str(refusal)}).encode())

    async def enter(self, cookie: str, token: str) -> None:
        """Let the browser keep the token, and take it out of the address."""
        kept = f"{cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        await self._whole(303, [("location", "/"), ("set-cookie", kept)], b"")

    async def _whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        given = [(name.encode(), value.encode()) for name, value in (*headers, ("content-length", str(len(body))))]
        await self.send({"type": "http.response.start", "status": status, "headers": given})
        await self.send({"type": "http.response.body", "body": body})


def _refuse_other_sites(method: str, headers: Mapping[str, str], host: str) -> None:
    if method in ("GET", "HEAD"):
        return
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
        raise RequestRefused(403, "A page of another site may not use this server.")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise RequestRefused(403, "A page of another site may not use this server.")


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RequestRefused(400, "The request was not sent to its end.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_long(limit)
        if not message.get("more_body", False):
            return b"".join(parts)


def _require_plain(body: bytes, limits: Limits) -> None:
    """Refuse what is not JSON, or nested or repeated in ways that readers take differently."""
    try:
        read_json(body, "The request", limit=limits.body_bytes)
    except DataError as error:
        raise RequestRefused(400, error.fact) from error


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body again, and then what comes after it: that the client is gone."""
    due = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return due.pop() if due else await receive()

    return replay


def _too_long(limit: int) -> RequestRefused:
    return RequestRefused(413, f"The request has more than {limit >> 20} MiB. Send it in parts.")


def _same(given: str, token: str) -> bool:
    """Takes the same time wherever they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())

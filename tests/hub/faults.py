"""Faults on demand: a layer around the server that refuses, cuts, slows or falsifies what a pattern matches."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import UnionType
from typing import Any, Literal
from urllib.parse import unquote

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.hub.behaviour import Behaviour
from tests.hub.bodies import head_without_length, packed_blanks
from tests.hub.errors import Died, refusal


@dataclass(frozen=True)
class Status:
    """Answer with an error instead of doing what was asked."""

    code: int
    message: str = "a fault on demand"
    error_code: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class CutRequest:
    """Close the connection after `after` bytes of the request's body; nothing is done."""

    after: int = 0


@dataclass(frozen=True)
class CutResponse:
    """Do what was asked, then close the connection after `after` bytes of the answer's body (at most all but one)."""

    after: int = 0


@dataclass(frozen=True)
class LoseResponse:
    """Do what was asked, then close the connection without any answer."""


@dataclass(frozen=True)
class CutHeaders:
    """Do what was asked, then close the connection inside the answer's headers, where Content-Length would come.

    What arrives looks like a complete answer with an empty body.
    """


@dataclass(frozen=True)
class Freeze:
    """Take the request and say nothing: for `seconds`, or until the client goes away; then close the connection."""

    seconds: float


@dataclass(frozen=True)
class Die:
    """The server is killed: before it does what was asked, inside a commit, or before the answer.

    It is silent until `HubServer.restart`. Any other request than a commit is done or not, and never half.
    """

    moment: Literal["before", "inside", "after"]


@dataclass(frozen=True)
class Bomb:
    """Answer with `size` blanks, which are few bytes on the way: gzip."""

    size: int
    code: int = 200


@dataclass(frozen=True)
class Slow:
    """Wait `seconds` before every `chunk` bytes of the answer's body."""

    seconds: float
    chunk: int = 1024


@dataclass(frozen=True)
class WrongContent:
    """Other bytes, of the same length."""


@dataclass(frozen=True)
class Longer:
    """Go on after the end of the answer's body with `extra` zeros, of which Content-Length says nothing."""

    extra: int


@dataclass(frozen=True)
class WrongEtag:
    """Another ETag (and X-Linked-Etag) than that of the content."""

    etag: str = "0" * 64


Before = Status | CutRequest | Freeze | Die | Bomb
After = CutResponse | CutHeaders | LoseResponse | Slow | WrongContent | Longer
Action = Before | After | WrongEtag


@dataclass
class Fault:
    """Strikes requests whose path matches: leaves the first `skip` alone, then strikes `times` (None: all) of them."""

    pattern: str
    action: Action
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is struck; counts it."""
        if self.times == 0 or self.method not in (None, method) or not fnmatchcase(path, self.pattern):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.hits += 1
        return True


@dataclass
class Seen:
    """One request as it arrived; `status` is 0 where no answer was given."""

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Faults:
    """The armed faults and the requests seen, shared by the test and the server."""

    armed: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    transports: MutableMapping[Any, asyncio.Transport] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=Behaviour)
    dead: bool = False

    def strike(self, method: str, path: str, kinds: type | UnionType) -> Action | None:
        """The action of the first fault of these kinds that strikes."""
        for fault in list(self.armed):
            if isinstance(fault.action, kinds) and fault.strikes(method, path):
                return fault.action
        return None

    def write(self, scope: Scope, data: bytes) -> None:
        """Send bytes past the protocol."""
        transport = self.transports.get(scope["client"])
        if transport is not None:
            transport.write(data)

    async def close(self, scope: Scope, *, abort: bool = False) -> None:
        """Close a request's connection, after what was written or (`abort`) at once.

        Then let the loop tell the protocol, so that it does not try to answer.
        """
        transport = self.transports.get(scope["client"])
        if transport is not None:
            transport.abort() if abort else transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class FaultLayer:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = unquote(scope["raw_path"].decode())
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        seen = Seen(scope["method"], path, headers=headers)
        self.faults.seen.append(seen)
        if self.faults.dead:
            await self.faults.close(scope, abort=True)
            return
        action = self.faults.strike(scope["method"], path, Before)
        if isinstance(action, CutRequest):
            await self._cut_request(scope, receive, action.after)
            return
        if isinstance(action, Freeze):
            await self._freeze(scope, receive, action.seconds)
            return
        if isinstance(action, Die):
            await self._die(scope, receive, action.moment)
            return
        request = _Request(receive)
        answer = _Answer(self.faults, scope, request, send, seen, path)
        if isinstance(action, Status):
            await _refusal(action, self.faults.behaviour)(scope, request.receive, answer.send)
            return
        if isinstance(action, Bomb):
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            await Response(packed_blanks(action.size), action.code, headers)(scope, request.receive, answer.send)
            return
        await self.app(scope, request.receive, answer.send)

    async def _die(self, scope: Scope, receive: Receive, moment: str) -> None:
        async def nobody(_: Message) -> None:
            return

        if moment != "before":
            self.faults.behaviour.dies_in_commit = moment == "inside"
            with suppress(Died):
                await self.app(scope, receive, nobody)
            self.faults.behaviour.dies_in_commit = False
        self.faults.dead = True
        await self.faults.close(scope, abort=True)

    async def _cut_request(self, scope: Scope, receive: Receive, after: int) -> None:
        got = 0
        while got < after:
            message = await receive()
            got += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await self.faults.close(scope, abort=True)

    async def _freeze(self, scope: Scope, receive: Receive, seconds: float) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(gone(), seconds)
        await self.faults.close(scope, abort=True)


class _Request:
    """A request's body, which is read to its end before the answer starts.

    Otherwise the connection is closed on a client still sending, which then may not see an early refusal.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        while not self._complete:
            await self.receive()


class _Answer:
    """One answer on its way out, struck or not."""

    def __init__(self, faults: Faults, scope: Scope, request: _Request, send: Send, seen: Seen, path: str) -> None:
        self.faults = faults
        self.scope = scope
        self.request = request
        self.pass_on = send
        self.seen = seen
        self.path = path
        self.action: Action | None = None
        self.left = 0
        self.closed = False

    async def send(self, message: Message) -> None:
        if self.closed:
            return
        if message["type"] == "http.response.start":
            await self._start(message)
        else:
            await self._body(message)

    async def _start(self, message: Message) -> None:
        await self.request.drain()
        headers = MutableHeaders(scope=message)
        method = self.scope["method"]
        self.seen.status = message["status"]
        if "x-linked-etag" in headers or ("etag" in headers and message["status"] < 300):
            self.action = self.faults.strike(method, self.path, WrongEtag)
        if self.action is None and method != "HEAD" and message["status"] < 300:
            self.action = self.faults.strike(method, self.path, After)
        if isinstance(self.action, LoseResponse):
            self.seen.status = 0
            await self._close()
            return
        if isinstance(self.action, CutHeaders):
            self.faults.write(self.scope, head_without_length(message))
            await self._close()
            return
        if isinstance(self.action, WrongEtag):
            for name in ("etag", "x-linked-etag"):
                if name in headers:
                    headers[name] = f'"{self.action.etag}"'
        if isinstance(self.action, Longer):
            del headers["content-length"]
        if isinstance(self.action, CutResponse):
            self.left = min(self.action.after, int(headers.get("content-length", "1")) - 1)
        await self.pass_on(message)

    async def _body(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if isinstance(self.action, CutResponse):
            if len(body) <= self.left and more:
                self.left -= len(body)
                await self.pass_on(message)
                return
            await self.pass_on({"type": "http.response.body", "body": body[: self.left], "more_body": True})
            await self._close()
        elif isinstance(self.action, Slow):
            for start in range(0, len(body), self.action.chunk):
                await asyncio.sleep(self.action.seconds)
                piece = body[start : start + self.action.chunk]
                await self.pass_on({"type": "http.response.body", "body": piece, "more_body": True})
            await self.pass_on({"type": "http.response.body", "body": b"", "more_body": more})
        elif isinstance(self.action, Longer) and not more:
            await self.pass_on({**message, "more_body": True})
            for _ in range(self.action.extra >> 20):
                await self.pass_on({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            await self.pass_on({"type": "http.response.body", "body": b"", "more_body": False})
        elif isinstance(self.action, WrongContent):
            await self.pass_on({**message, "body": bytes(byte ^ 1 for byte in body)})
        else:
            await self.pass_on(message)

    async def _close(self) -> None:
        self.closed = True
        await self.faults.close(self.scope)


def _refusal(action: Status, behaviour: Behaviour) -> Response:
    headers = {"X-Error-Message": action.message}
    if action.error_code is not None:
        headers["X-Error-Code"] = action.error_code
    if action.retry_after is not None:
        headers["Retry-After"] = f"{action.retry_after:g}"
    return refusal(behaviour, action.code, action.message, headers)

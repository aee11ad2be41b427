"""The server itself: its socket, its connections, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from badx_hub.errors import BadxError, StorageError, UsageError
from badx_hub.remedies import Advice
from badx_hub.web.app import application
from badx_hub.web.guard import Policy
from badx_hub.web.served_stacks import ServedStacks

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8642
MIN_TOKEN = 16
_LOOPBACK_NAMES = frozenset({"localhost"})
_ANYWHERE = ("0.0.0.0", "::")
_GRACE_SECONDS = 3


@dataclass(frozen=True)
class ServerAddress:
    """Where the server is to be reached: an address of this machine, a port (0: a free one) and a token, if any."""

    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    token: str | None = None

    def guarded(self) -> ServerAddress:
        """The same, with a token of our own where one is needed and none is given.

        Raises UsageError for a token that can be guessed or does not fit into an address.
        """
        if self.token is None:
            return self if is_loopback(self.host) else replace(self, token=secrets.token_urlsafe(32))
        if len(self.token) < MIN_TOKEN or not self.token.replace("-", "").replace("_", "").isalnum():
            raise UsageError(
                f"A token has {MIN_TOKEN} characters or more, all of them letters, digits, - or _. "
                "Leave it out to get one that nobody can guess."
            )
        if not self.token.isascii():
            raise UsageError("A token has letters of ASCII alone. Leave it out to get one that nobody can guess.")
        return self

    def address(self, port: int) -> str:
        """What to open in a browser, with the token."""
        host = socket.gethostname() if self.host in _ANYWHERE else self.host
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/{f'?token={self.token}' if self.token else ''}"

    def policy(self, port: int) -> Policy:
        """Under which names the server is known there."""
        names = _LOOPBACK_NAMES | {self.host.lower()}
        if self.host in _ANYWHERE:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        return Policy(names, not is_loopback(self.host), self.token, f"badx_token_{port}")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a server at that address."""
    if host.lower() == "localhost":
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(str(one[4][0]).startswith("127.") or one[4][0] == "::1" for one in found)


class WebServer:
    """A server that listens, with the stacks it serves; it answers while `run` runs."""

    def __init__(self, served: ServedStacks, place: ServerAddress, explain: Callable[[BadxError], str] = str) -> None:
        """`explain` is how an error of ours is told to a client.

        Raises UsageError for a port that is in use, and for an address or a token that cannot be used.
        """
        self._served = served
        place = place.guarded()
        self._listening = _listen(place)
        port = self._listening.getsockname()[1]
        self.address = place.address(port)
        """What to open in a browser, with the token if there is one."""
        self._server = _Server(
            uvicorn.Config(
                application(served, place.policy(port), explain),
                http=_connection(served.limits.head_seconds),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=served.limits.connections,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve until `stop`, Ctrl-C or SIGTERM; `started` is called once it answers."""
        self._server.tell = started
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._listening.close()
            self._served.stop()

    def stop(self) -> None:
        """End it, from another thread."""
        self._server.should_exit = True


def _listen(place: ServerAddress) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        listening = socket.create_server((place.host, place.port), family=family, backlog=128)
    except OverflowError as error:
        raise UsageError(f"Port {place.port} does not exist; ports go from 0 to 65535.") from error
    except (OSError, UnicodeError) as error:
        raise _no_socket(place, error) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _no_socket(place: ServerAddress, error: OSError | UnicodeError) -> BadxError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        remedy = Advice("Take another, or any that is free: `{}`.", (("port", 0),))
        return UsageError(f"Port {place.port} is in use.", remedies=(remedy,))
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        return StorageError(f"The system does not let you use port {place.port}. Take one above 1023.")
    return UsageError(f"{place.host!r} is no address of this machine. Leave it out, or give one that it has.")


class _Server(uvicorn.Server):
    tell: Callable[[], object]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Both signals end the server in good order; the second one at once. None of them is raised again."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _connection(seconds: float) -> type[H11Protocol]:
    """A connection that is closed if the head of a request takes longer than these seconds to come."""

    class Connection(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            answering = self.cycle is not None and not self.cycle.response_complete
            if answering:
                self._forget()
            elif self._timer is None and not self.transport.is_closing():
                self._timer = self.loop.call_later(seconds, self.transport.close)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Connection

"""A Hub on loopback, in a thread of the test process."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import uvicorn
from huggingface_hub import HfApi
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.hub.accounts import Account
from tests.hub.app import build
from tests.hub.behaviour import Behaviour
from tests.hub.cards import is_lfs_by_attributes
from tests.hub.context import State
from tests.hub.faults import Action, Fault, Faults, Seen
from tests.hub.modes import Mode
from tests.hub.store import GITATTRIBUTES, MAIN, Repo, RepoType, Store

USER = "tester"
ORG = "acme"
LAB = "lab"
STRANGER = "stranger"


class HubServer:
    """The running server as a test sees it.

    `token` may write as `user` and for the organisations `org` and `lab`; `read_token` belongs to the same account but
    may only read; `other_token` is a stranger's. `behaviour` changes what the server does while it runs.
    """

    def __init__(self, state: State, faults: Faults) -> None:
        self.behaviour: Behaviour = state.behaviour
        self.user, self.org, self.lab = USER, ORG, LAB
        self.token = self._account(state, Account(USER, (ORG, LAB)))
        self.read_token = self._account(state, Account(USER, (ORG, LAB), role="read"))
        self.other_token = self._account(state, Account(STRANGER))
        self._state = state
        self._faults = faults

    @property
    def endpoint(self) -> str:
        return self._state.endpoint

    @property
    def requests(self) -> list[Seen]:
        """Every request since the start, oldest first; clear it at will."""
        return self._faults.seen

    def api(self, token: str | Literal[False] | None = None) -> HfApi:
        """The client, with the writing token unless told otherwise; False is anonymous."""
        return HfApi(endpoint=self.endpoint, token=self.token if token is None else token)

    def fault(
        self, pattern: str, action: Action, *, method: str | None = None, times: int | None = 1, skip: int = 0
    ) -> Fault:
        """Arm a fault for requests whose decoded path matches the shell pattern (`*` crosses slashes).

        A file's path ends each address its content comes from, so `*/adapter.safetensors` finds all of them; its
        metadata is asked for with HEAD. Uploaded objects are `/upload/models/ORG/NAME/SHA256`. `times=None` never ends.
        """
        armed = Fault(pattern, action, method=method, times=times, skip=skip)
        self._faults.armed.append(armed)
        return armed

    def enter(self, mode: Mode) -> None:
        """Turn every switch as the mode says, and arm its faults in place of those that are armed."""
        self.behaviour.become(mode.behaviour)
        self._faults.armed[:] = [replace(fault) for fault in mode.faults]

    def restart(self) -> None:
        """Begin again with what is on the disk, as after a kill; no fault stays armed."""
        kept = self.behaviour
        self._state.store = Store(self._state.store.root)
        self.behaviour = self._faults.behaviour = self._state.behaviour
        self.behaviour.become(kept)
        self.clear_faults()
        self._faults.dead = False

    @property
    def empty_pages(self) -> int:
        """The most pages behind the end of a listing that were asked for in a row, since the start."""
        return self._state.most_empty_pages

    def tokens_elsewhere(self) -> tuple[str, ...]:
        """The paths of requests that took a token to the storage host, which is another than the Hub."""
        storage = self._state.cdn.partition("://")[2]
        sent = (seen for seen in self.requests if seen.headers.get("host") == storage)
        return tuple(seen.path for seen in sent if "authorization" in seen.headers)

    def collections(self) -> dict[str, list[str]]:
        """The repositories in each collection, by its title."""
        return {one.title: [name for _, name in one.items] for one in self._state.collections.values()}

    def clear_faults(self) -> None:
        self._faults.armed.clear()

    def repos(self, kind: RepoType = "model") -> tuple[str, ...]:
        return tuple(sorted(repo.id for repo in self._state.store.repos(kind)))

    def files(self, repo: str, revision: str = "main", kind: RepoType = "model") -> dict[str, bytes]:
        commit = self._repo(repo, kind).resolve(revision)
        return {path: self._state.store.objects.read(blob) for path, blob in commit.files.items()}

    def refs(self, repo: str, kind: RepoType = "model") -> dict[str, str]:
        """Full names (`refs/heads/main`, `refs/tags/v1`, `refs/pr/1`) and the commits they point at."""
        return dict(self._repo(repo, kind).refs)

    def is_private(self, repo: str, kind: RepoType = "model") -> bool:
        return self._repo(repo, kind).private

    def history(self, repo: str, revision: str = "main", kind: RepoType = "model") -> tuple[str, ...]:
        """The titles of the commits, newest first."""
        found = self._repo(repo, kind)
        return tuple(commit.title for commit in found.history(found.resolve(revision)))

    def put(
        self,
        repo: str,
        files: Mapping[str, bytes | str],
        *,
        kind: RepoType = "model",
        private: bool = False,
        revision: str = "main",
    ) -> str:
        """Commit files behind the client's back: any path at all, as a hostile server would.

        The repository is made if it is not there, and the branch `revision` too, from main.

        Returns the commit's sha.
        """
        store = self._state.store
        with store.lock:
            found = store.find(kind, repo) or store.create(kind, repo, private=private, author=USER)
            ref = f"refs/heads/{revision}"
            head = found.resolve(ref if ref in found.refs else MAIN)
            merged = dict(head.files)
            for path, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                lfs = is_lfs_by_attributes(path, GITATTRIBUTES.decode())
                merged[path] = store.objects.add(data, lfs=lfs)
            made = found.commit(ref, merged, title="put", author=USER, parent=head.sha)
        self._state.card(made)  # read now, so that the first listing of thousands takes no longer than the next
        return made.sha

    def env(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment of a subprocess on another machine: this endpoint, this token ("" for none), an own home."""
        dropped = ("HF_", "HUGGING", "TRANSFORMERS_OFFLINE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        own = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home / "huggingface"),
            "HF_TOKEN": self.token if token is None else token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "BADX_HUB_HOME": str(home / "badx"),
            "HOME": str(home),
            "NO_PROXY": "127.0.0.1",
        }
        return kept | own

    def _repo(self, id_: str, kind: RepoType) -> Repo:
        repo = self._state.store.find(kind, id_)
        if repo is None:
            raise KeyError(f"no {kind} {id_} on this server, only {self.repos(kind)}")
        return repo

    def _account(self, state: State, account: Account) -> str:
        token = f"hf_{secrets.token_hex(17)}"
        state.accounts.add(token, account)
        return token


@contextmanager
def running(root: Path) -> Iterator[HubServer]:
    """Serve the folder until the block ends. A second port of the same server is the storage host."""
    state = State(Store(root))
    faults = Faults(behaviour=state.behaviour)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for sock in sockets:  # Without it every answer waits 40 ms for the client's acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    state.endpoint, state.cdn = (f"http://127.0.0.1:{sock.getsockname()[1]}" for sock in sockets)
    server = _server(build(state, faults), faults)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, name="hub", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield HubServer(state, faults)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        for sock in sockets:
            sock.close()
        if thread.is_alive():
            raise RuntimeError("the test Hub did not stop")


def _server(app: ASGIApp, faults: Faults) -> uvicorn.Server:
    class Connection(H11Protocol):
        """A connection that faults can close."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            faults.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            faults.transports.pop(self.client, None)
            super().connection_lost(exc)

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 10
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the test Hub did not start")
        time.sleep(0.005)

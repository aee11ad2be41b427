"""A client that can send anything, to a server in a thread of this process."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from badx_hub.web.served_stacks import ServedStacks
from badx_hub.web.server import ServerAddress, WebServer

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Told:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Why there is no answer: one line."""
        text: str = self.json["error"]
        assert text and "\n" not in text and "Traceback" not in text
        return text


@dataclass(frozen=True)
class Client:
    """Sends requests to an address; `headers` go along with each."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Name and port, as in the header Host."""
        return urlsplit(self.address).netloc

    def get(self, path: str, **headers: str) -> Told:
        return self.send("GET", path, None, headers)

    def post(self, path: str, document: Any, **headers: str) -> Told:
        """Send a value as JSON."""
        return self.send("POST", path, json.dumps(document).encode(), {**JSON, **headers})

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Told:
        connection = http.client.HTTPConnection(self.host, timeout=120)
        try:
            connection.request(method, path, body, {**self.headers, **headers})
            answer = connection.getresponse()
            return Told(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def serving(served: ServedStacks, place: ServerAddress | None = None) -> Iterator[Client]:
    """A server of these stacks until the block ends."""
    server = WebServer(served, place or ServerAddress(port=0))
    started = threading.Event()
    thread = threading.Thread(target=server.run, args=[started.set], daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield Client(server.address)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()

"""Many at once: nobody waits for a long text, and what is too much is refused while the rest goes on."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from badx_hub.registry import LocalRegistry
from badx_hub.web.limits import Limits
from badx_hub.web.served_stacks import ServedStacks
from tests.waiting import until
from tests.web.client import Client, serving
from tests.web.conftest import served_of

ASKED = {"text": "Nanga def?", "tasks": ["pos"]}


class Gated(ServedStacks):
    """Its stacks are loaded when `gate` is opened; `begun` tells that one is waited for."""

    gate: threading.Event
    begun: threading.Event

    def annotating(self, *given: Any, **options: Any) -> Any:
        job = super().annotating(*given, **options)

        def held() -> Generator[None, None, Any]:
            self.begun.set()
            assert self.gate.wait(60)
            return (yield from job())

        return held


def gated(stacks: LocalRegistry, base: Path, limits: Limits) -> Gated:
    plain = served_of(stacks, base, limits, only="tiny.en-bm")
    served = Gated(plain.choices, limits, base=plain.base)
    served.gate, served.begun = threading.Event(), threading.Event()
    return served


@pytest.fixture
def held(stacks: LocalRegistry, tiny_base: Path) -> Iterator[tuple[Client, Gated]]:
    served = gated(stacks, tiny_base, Limits(waiting=5, client_requests=1_000))
    with serving(served) as client:
        yield client, served
        served.gate.set()


def test_fifty_at_once_are_answered_or_refused(held: tuple[Client, Gated]) -> None:
    """The queue takes five; the others are told to come again, and the server answers meanwhile and afterwards."""
    client, served = held
    with ThreadPoolExecutor(50) as pool:
        futures = [pool.submit(client.post, "/api/annotate", ASKED) for _ in range(50)]
        assert served.begun.wait(60)
        while sum(future.done() for future in futures) < 45:
            assert client.get("/health").json["waiting"] <= 5
        assert client.get("/").status == client.get("/api").status == 200
        served.gate.set()
        told = [future.result(60) for future in futures]
    assert Counter(one.status for one in told) == {200: 5, 503: 45}
    busy = next(one for one in told if one.status == 503)
    assert "5 texts are waiting already" in busy.error and busy.headers["retry-after"] == "10"
    for _ in range(2):  # A place in the queue is given back a moment after the answer.
        until(lambda: client.get("/health").json["waiting"] == 0)
        assert client.post("/api/annotate", ASKED).status == 200


def test_one_address_does_not_take_all(stacks: LocalRegistry, tiny_base: Path) -> None:
    served = gated(stacks, tiny_base, Limits(client_requests=2))
    with serving(served) as client, ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(client.post, "/api/annotate", ASKED) for _ in range(2)]
        until(lambda: served.waiting == 2)
        told = client.post("/api/annotate", ASKED)
        assert told.status == 429 and "2 of your requests" in told.error and told.headers["retry-after"] == "5"
        served.gate.set()
        assert [future.result(60).status for future in futures] == [200, 200]
        until(lambda: client.post("/api/annotate", ASKED).status == 200)  # What was answered counts a moment longer.


def test_work_that_takes_too_long_is_ended(stacks: LocalRegistry, tiny_base: Path) -> None:
    served = gated(stacks, tiny_base, Limits(answer_seconds=0.05))
    with serving(served) as client:
        told = client.post("/api/annotate", ASKED)
        assert told.status == 503 and "was ended. Send a shorter text." in told.error
        served.gate.set()


def test_who_leaves_is_worked_for_no_longer(held: tuple[Client, Gated]) -> None:
    client, served = held
    host, _, port = client.host.rpartition(":")
    body = b'{"text": "a", "tasks": ["pos"]}'
    head = f"POST /api/annotate HTTP/1.1\r\nHost: {client.host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert served.begun.wait(60)
    served.gate.set()
    until(lambda: not served.waiting)
    assert client.get("/health").status == 200
    assert client.post("/api/annotate", ASKED).status == 200

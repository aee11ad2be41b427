"""The gate of the deployment, with replicas that are not there: what it reads, refuses and asks again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from badx_hub.errors import UsageError
from badx_hub.serving.deployment import ATTEMPTS, Gate, Replica, application
from badx_hub.serving.loaded_stacks import Refusal, StackAnswer
from tests.refusals import refused

ARGS: dict[str, Any] = {
    "stacks": [{"pair": "en-wo", "task": "pos", "registry": "demo"}],
    "body_bytes": 200,
    "inputs": 2,
    "characters": 20,
    "answer_seconds": 0.5,
}


class ActorError(Exception):
    pass


class TooManyError(Exception):
    pass


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of Ray as the gate uses."""
    for name, content in (
        ("ray", {}),
        ("ray.exceptions", {"RayActorError": ActorError}),
        ("ray.serve", {}),
        ("ray.serve.exceptions", {"BackPressureError": TooManyError}),
    ):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("badx_hub.serving.deployment._PAUSE_SECONDS", 0.0)


class Handle:
    """Replicas of which the first `lost` are lost; then come the answers of `work`."""

    def __init__(self, work: Callable[[Any], Any], lost: int = 0) -> None:
        self.work, self.lost, self.asked = work, lost, 0
        self.predict = SimpleNamespace(remote=self._remote)

    async def _remote(self, stack: str, inputs: Any) -> Any:
        self.asked += 1
        if self.asked <= self.lost:
            raise ActorError
        found = self.work(inputs)
        return await found if asyncio.iscoroutine(found) else found


def one_each(inputs: Any) -> StackAnswer:
    return StackAnswer(tuple({"words": one} for one in inputs))


def asked(handle: Handle, method: str, path: str, body: bytes = b"") -> tuple[int, Any, Any]:
    """Status, JSON and headers of the gate's answer."""
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "scheme": "http"}
    scope["server"] = ("localhost", 8000)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    answer = asyncio.run(Gate(handle, ARGS, [{"stack": "en-wo/pos"}])(Request(scope, receive)))
    return answer.status_code, json.loads(bytes(answer.body)), answer.headers


def predicted(handle: Handle, **body: Any) -> tuple[int, Any, Any]:
    return asked(handle, "POST", "/predict", json.dumps(body).encode())


def test_it_answers_and_says_what_there_is() -> None:
    handle = Handle(one_each)
    assert asked(handle, "GET", "/health")[:2] == (200, {"status": "ok"})
    assert asked(handle, "GET", "/stacks")[:2] == (200, {"stacks": [{"stack": "en-wo/pos"}]})
    status, found, _ = predicted(handle, inputs=["Dem na.", ["Dem", "na"]])
    assert (status, found) == (200, {"predictions": [{"words": "Dem na."}, {"words": ["Dem", "na"]}]})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"{"),
        (400, b"\xff"),
        (422, b"[]"),
        (422, b'{"inputs": ["a"], "batch": 1}'),
        (422, b'{"inputs": "a text"}'),
        (422, b'{"inputs": [1]}'),
        (422, b'{"inputs": ["a"], "stack": 3}'),
        (413, b'{"inputs": ["a", "b", "c"]}'),
        (413, b'{"inputs": ["' + b"a" * 21 + b'"]}'),
        (413, b'{"inputs": ["' + b"a" * 200 + b'"]}'),
    ],
)
def test_what_it_refuses_reaches_no_replica(status: int, body: bytes) -> None:
    handle = Handle(one_each)
    found = asked(handle, "POST", "/predict", body)
    assert (found[0], handle.asked) == (status, 0)
    assert found[1]["error"][0].isupper()


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("POST", "/health"), ("GET", "/")])
def test_other_addresses(method: str, path: str) -> None:
    assert asked(Handle(one_each), method, path)[0] == 404


def test_a_request_whose_replica_is_lost_is_asked_again() -> None:
    handle = Handle(one_each, lost=3)
    assert predicted(handle, inputs=["Dem na."])[0] == 200
    assert handle.asked == 4


def test_it_gives_up_where_every_replica_is_lost() -> None:
    handle = Handle(one_each, lost=99)
    status, _, headers = predicted(handle, inputs=["Dem na."])
    assert (status, handle.asked, headers["retry-after"]) == (503, ATTEMPTS, "1")


def test_a_full_queue_and_a_replica_that_refuses_or_takes_too_long() -> None:
    def full(_: Any) -> StackAnswer:
        raise TooManyError

    assert predicted(Handle(full), inputs=["a"])[0] == 503
    assert predicted(Handle(lambda _: Refusal(404, "There is no stack.")), inputs=["a"])[0] == 404
    assert predicted(Handle(lambda _: asyncio.sleep(99)), inputs=["a"])[0] == 504


def test_a_replica_that_hangs_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica.__new__(Replica)
    replica.config, replica._computing_since = Gate(None, ARGS, []).config, None
    replica.check_health()
    replica._computing_since = -1e9
    with pytest.raises(RuntimeError, match="more than"):
        replica.check_health()


def test_without_ray_serve_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused(UsageError, r"badx-hub\[ray\]"):
        application(ARGS)

"""What of Ray needs no cluster: where there is none, what steps ask for, and stopping when nothing runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from badx_hub.errors import BadxError, UsageError
from badx_hub.studies.on_ray import RayWorkers
from tests.refusals import refused
from tests.studies.test_executor import language


class Cluster:
    """Ray as `RayWorkers` uses it, with `gpus` devices, and steps that are asked for and never begin."""

    def __init__(self, gpus: int = 0, error: Exception | None = None) -> None:
        self.gpus, self.error, self.ended = gpus, error, False
        self.asked = list[dict[str, Any]]()
        self.cloudpickle = SimpleNamespace(dumps=lambda value: b"")

    def init(self, **_: object) -> None:
        if self.error is not None:
            raise self.error

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0, "GPU": float(self.gpus)}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": alive, "Resources": {"memory": size}} for alive, size in ((True, 4e9), (False, 9e9))]

    def remote(self, **resources: Any) -> Any:
        def options(**more: Any) -> Any:
            self.asked.append({**resources, **more})
            return SimpleNamespace(remote=lambda *_: len(self.asked))

        return lambda _: SimpleNamespace(options=options)

    def shutdown(self) -> None:
        self.ended = True


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused(UsageError, r"badx-hub\[ray\]"):
        RayWorkers()


@pytest.mark.parametrize(
    "error", [ConnectionError("timed out"), ImportError("no grpc"), ValueError("bad address"), Exception("timed out")]
)
def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setitem(sys.modules, "ray", Cluster(error=error))
    with refused(BadxError, "There is no Ray cluster at ray://nowhere:1"):
        RayWorkers("ray://nowhere:1")


def test_it_can_be_stopped_when_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster: Any = Cluster()
    monkeypatch.setitem(sys.modules, "ray", cluster)
    with pytest.raises(KeyboardInterrupt), RayWorkers(count=2) as workers:
        assert workers.free == 2
        workers.stop()
        raise KeyboardInterrupt
    assert cluster.ended


@pytest.mark.parametrize("gpus", [0, 2])
def test_what_steps_ask_for(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """A step that needs more memory than a node that is there has asks for all of it."""
    cluster: Any = Cluster(gpus)
    monkeypatch.setitem(sys.modules, "ray", cluster)
    workers = RayWorkers(threads=2, memory={"small": 10**9, "huge": 10**10})
    for name in ("small", "huge", "unknown"):
        workers.begin(language(name), lambda _: False)
    asked = {"num_cpus": 2, "num_gpus": min(gpus, 1), "max_retries": 0}
    assert cluster.asked == [
        {**asked, "name": "small", "memory": 10**9},
        {**asked, "name": "huge", "memory": 4 * 10**9},
        {**asked, "name": "unknown"},
    ]

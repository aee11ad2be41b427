"""What of Ray needs no cluster: where there is none, and stopping when nothing runs."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from badx_hub.errors import BadxError, UsageError
from badx_hub.grid.on_ray import RayWorkers
from tests.refusals import refused


class Cluster:
    """Ray as `RayWorkers` uses it, with `gpus` devices and no task."""

    def __init__(self, gpus: int = 0, error: Exception | None = None) -> None:
        self.gpus, self.error, self.ended = gpus, error, False

    def init(self, **_: object) -> None:
        if self.error is not None:
            raise self.error

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0, "GPU": float(self.gpus)}

    def shutdown(self) -> None:
        self.ended = True


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused(UsageError, r"badx-hub\[ray\]"):
        RayWorkers()


@pytest.mark.parametrize("error", [ConnectionError("timed out"), ImportError("no grpc"), ValueError("bad address")])
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

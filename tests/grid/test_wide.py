"""The same study on one process, on several and on a Ray cluster that loses a node: the same scores."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from badx_hub.grid.parallel import LocalWorkers, Parallel
from badx_hub.grid.plan import Step
from badx_hub.grid.run import Executor, Sequential, StepEnd
from badx_hub.grid.runner import StudyRunner
from badx_hub.grid.study import load_study
from badx_hub.registry import open_registry
from tests.grid.conftest import WriteStudy
from tests.grid.test_run import Notes

ROOT = Path(__file__).parents[2]


def scores(file: Path, folder: Path, executor: Executor) -> Mapping[str, Any]:
    """The metrics of every evaluation, after all steps ran into registry and results of their own."""
    registry, results = open_registry(folder / "registry"), folder / "results"
    runner = StudyRunner(load_study(file), registry, results)
    outcomes = executor.run(runner.pending(), runner.do, Notes())
    assert [(outcome.step.name, outcome.reason) for outcome in outcomes if outcome.end is not StepEnd.RAN] == []
    statuses = StudyRunner(load_study(file), registry, results).statuses()
    return {status.step.name: status.result.metrics for status in statuses if status.result is not None}


@pytest.fixture
def alone(write_study: WriteStudy, tmp_path: Path) -> tuple[Path, Mapping[str, Any]]:
    file = write_study()
    return file, scores(file, tmp_path / "alone", Sequential())


def test_two_processes_find_the_same(
    alone: tuple[Path, Mapping[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "other home"))
    assert scores(alone[0], tmp_path / "two", Parallel(LocalWorkers(2))) == alone[1]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that runs nothing and two nodes of one CPU."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.mark.soak
def test_a_ray_cluster_that_loses_a_node_finds_the_same(
    alone: tuple[Path, Mapping[str, Any]], cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from badx_hub.grid.on_ray import RayWorkers

    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "other home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # other tests need memory as well
    nodes = [cluster.add_node(num_cpus=1, env_vars=dict(os.environ)) for _ in range(2)]
    begun = threading.Event()

    class Watching(Notes):
        def started(self, step: Step) -> None:
            super().started(step)
            begun.set()

    def lose_a_node() -> None:
        begun.wait()
        time.sleep(1.0)
        cluster.remove_node(nodes[0], allow_graceful=False)

    thread = threading.Thread(target=lose_a_node)
    thread.start()
    monkeypatch.setattr("tests.grid.test_wide.Notes", Watching)
    found = scores(alone[0], tmp_path / "ray", Parallel(RayWorkers(cluster.address)))
    thread.join()
    assert found == alone[1]

"""`studies/small.yaml`, its budgets cut, gives one report wherever it runs: one process, two, a Ray cluster in trouble.

Reports are compared byte by byte, pictures included, after the seconds that trainings took are set to 0 in the results.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.studies.small import cut, without_times

pytestmark = pytest.mark.soak
ROOT = Path(__file__).parents[2]
BEFORE_THE_LOSS = 6
"""So many steps are done when a node goes."""


@dataclass(frozen=True)
class Place:
    """A home, a registry and results of their own for one way of running the study."""

    study: Path
    folder: Path

    def begin(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """`study run` in a new process, which has its stderr in a file."""
        self.folder.mkdir()
        with (self.folder / "log").open("w", encoding="utf-8") as log:
            command = self._command("run", "--threads", "1", "--format", "quiet", *options)
            return subprocess.Popen(command, env=self._environment(environment), stdout=log, stderr=log, text=True)

    def run(self, *options: str) -> Mapping[str, bytes]:
        """The report after `study run` to its end."""
        process = self.begin(*options)
        assert process.wait() == 0, self.log
        return self.report()

    def report(self) -> Mapping[str, bytes]:
        """The files of the report by their names, about results without times."""
        without_times(self.folder / "results")
        out = self.folder / "report"
        subprocess.run(self._command("report", "--out", str(out)), env=self._environment({}), check=True)
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    @property
    def log(self) -> str:
        """What the run said so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def _command(self, command: str, *options: str) -> list[str]:
        places = ["--registry", str(self.folder / "registry"), "--results", str(self.folder / "results")]
        return [sys.executable, "-m", "badx_hub", "study", command, str(self.study), *places, *options]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        return {**known, "PYTHONPATH": str(ROOT), "BADX_HUB_HOME": str(self.folder / "home"), **more}


@pytest.fixture(scope="module")
def study(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(shared, tmp_path_factory.mktemp("cut"))


@pytest.fixture(scope="module")
def alone(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    return Place(study, tmp_path_factory.mktemp("alone") / "place").run("--on", "local", "--workers", "1")


def test_two_processes(study: Path, alone: Mapping[str, bytes], tmp_path: Path) -> None:
    same(Place(study, tmp_path / "two").run("--on", "local", "--workers", "2"), alone)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster with a head that runs nothing."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # other tests need memory as well
    monkeypatch.setenv("RAY_worker_niceness", "0")  # and time
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_ray_cluster_that_loses_one_of_two_nodes(
    study: Path, alone: Mapping[str, bytes], cluster: Any, tmp_path: Path
) -> None:
    place = Place(study, tmp_path / "ray")
    environment = {**os.environ, "BADX_HUB_HOME": str(place.folder / "home")}
    nodes = [cluster.add_node(num_cpus=1, env_vars=environment) for _ in range(2)]
    driver = place.begin("--on", "ray", RAY_ADDRESS=cluster.address)
    while f"[{BEFORE_THE_LOSS}/" not in place.log or not busy(nodes[0]):
        assert driver.poll() is None, place.log
        time.sleep(0.2)
    cluster.remove_node(nodes[0], allow_graceful=False)
    assert driver.wait() == 0, place.log
    assert re.search("is begun again: its worker is gone", place.log)
    same(place.report(), alone)


def busy(node: Any) -> bool:
    """Whether a worker of this node is at a step: Ray gives its process the step's name meanwhile."""
    import psutil

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    titles = [child.cmdline()[0] for child in raylet.children() if child.cmdline()]
    return any(title.startswith("ray::") and "IDLE" not in title for title in titles)


def same(report: Mapping[str, bytes], other: Mapping[str, bytes]) -> None:
    assert [*report] == [*other]
    assert [name for name in report if report[name] != other[name]] == []

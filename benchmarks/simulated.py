"""Is `study simulate` right? Its makespan beside that of a run on local Ray, on the same steps.

    python benchmarks/simulated.py --shared ../shared [--only waiting|trained]

Two comparisons, which go to simulated.json beside this file:

- waiting: the graph of studies/small.yaml, whose steps wait in place of computing, each a fixed time that was drawn
  once, so that other work on the machine does not change it. How long Ray takes from one step to the next is measured
  on two nodes, and taken for four; the processes are there before. This is about the graph and Ray.
- trained: the part of that study about tagging, its budgets cut (tests/studies/small.py), trained on two nodes of one
  processor each, several times. The simulation has the speeds and timings that the run left, as a later call of
  `study simulate` would: what it can get wrong is how they add up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import sized  # noqa: F401 - the root of the checkout, for `tests`
from measuring import machine, say

from badx_hub.registry import open_registry
from badx_hub.studies.executor import StepEnd, StepOutcome
from badx_hub.studies.on_ray import RayWorkers
from badx_hub.studies.parallel import Parallel
from badx_hub.studies.plan import Step, plan_of
from badx_hub.studies.runner import StudyRunner
from badx_hub.studies.simulate import Cluster, SimulatedStep, simulate
from badx_hub.studies.step_timings import Recording, handing_over, loading, read_timings
from badx_hub.studies.study import load_study
from badx_hub.studies.time_estimates import rates_of, simulated_steps

# Other work on the machine may leave little time and memory; Ray's workers are to have their share of both.
os.environ |= {"RAY_worker_niceness": "0", "RAY_memory_monitor_refresh_ms": "0"}

RESULT = Path(__file__).with_suffix(".json")
ROOT = Path(__file__).resolve().parents[1]
OVERHEAD = 0.5
"""Seconds at each start of a step that waits."""
NODES = (2, 4)
SEED = 3
DRAWS = 3
"""Runs of the study that is trained."""
PART = ("pos/wo/*",)
"""Of the study that is trained."""


class Told:
    """A watcher that says what fails, and what is begun again."""

    def __init__(self) -> None:
        self.idle = list[float]()
        self.processes = 0

    def started(self, step: Step) -> None:
        """Nothing to say."""

    def again(self, step: Step, reason: str) -> None:
        """Say so."""
        say(f"  {step.name} again: {reason}")

    def ended(self, outcome: StepOutcome) -> None:
        """Note how long its process had nothing to do before it, or that it is the first one there."""
        if outcome.idle is not None:
            self.idle.append(outcome.idle)
        elif outcome.end is StepEnd.RAN:
            self.processes += 1
        if outcome.end is not StepEnd.RAN:
            say(f"  {outcome.step.name} {outcome.end.value}: {outcome.reason}")


@dataclass(frozen=True)
class Waiting:
    """Waits as long as a simulated step takes."""

    steps: Mapping[str, SimulatedStep]

    def __call__(self, step: Step) -> bool:
        """Wait once, so that delays do not add up."""
        time.sleep(self.steps[step.name].seconds + self.steps[step.name].overhead)
        return False


@contextmanager
def cluster_of(nodes: int) -> Iterator[Any]:
    """A head that runs nothing, and so many nodes of one processor, whose workers are there."""
    import ray
    from ray.cluster_utils import Cluster as RayCluster

    made = RayCluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            made.add_node(num_cpus=1)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def waiting(study: Path) -> list[dict[str, Any]]:
    """A row for each case."""
    steps = plan_of(load_study(study))
    draws, places = random.Random(SEED), {step.name: place for place, step in enumerate(steps)}
    simulated = [
        SimulatedStep(round(draws.uniform(1.0, 5.0), 1), tuple(places[need] for need in step.needs), OVERHEAD)
        for step in steps
    ]
    rows: list[dict[str, Any]] = []
    for nodes in NODES:
        handing = rows[0]["handing over"] if rows else 0.0  # as measured on one node
        rows.append(_waited(steps, simulated, Cluster(nodes, handing_over=handing)))
        say(json.dumps(rows[-1]))
    return rows


def _waited(steps: Sequence[Step], simulated: Sequence[SimulatedStep], cluster: Cluster) -> dict[str, Any]:
    by_name = {step.name: one for step, one in zip(steps, simulated, strict=True)}
    watcher = Told()
    with cluster_of(cluster.nodes) as ray_cluster:
        workers = RayWorkers(ray_cluster.address)
        _warm(workers, cluster.nodes)
        began = time.perf_counter()
        Parallel(workers).run(steps, Waiting(by_name), watcher)
        real = time.perf_counter() - began
    if not cluster.handing_over:
        cluster = replace(cluster, handing_over=median(watcher.idle))
    counts = {"nodes": cluster.nodes, "processes": watcher.processes}
    return {**counts, **_told(cluster), **_beside(simulate(simulated, cluster).makespan, real)}


def _warm(workers: RayWorkers, nodes: int) -> None:
    """Have every node load the code, as simulations of waiting steps have no time for it."""
    ray = workers._ray
    ray.get([ray.remote(num_cpus=1)(_loaded).remote(2.0) for _ in range(nodes)])


def _loaded(seconds: float) -> None:
    import torch  # noqa: F401

    import badx_hub.studies.parallel  # noqa: F401

    time.sleep(seconds)


def trained(shared: Path, nodes: int = 2) -> dict[str, Any]:
    """The part of the cut study on so many nodes."""
    from tests.studies.small import cut

    with tempfile.TemporaryDirectory() as folder, cluster_of(nodes) as ray_cluster:
        study = load_study(cut(shared, Path(folder)))
        runner = StudyRunner(study, open_registry(str(Path(folder) / "registry")), Path(folder) / "results")
        told, steps = Told(), runner.pending(PART)
        watcher = Recording(told, runner.results, study.name)
        workers = RayWorkers(ray_cluster.address)
        began = time.perf_counter()
        Parallel(workers).run(steps, runner.do, watcher)
        real = time.perf_counter() - began
        # A runner remembers what was registered when it was first asked: it was nothing then.
        after = StudyRunner(study, open_registry(str(Path(folder) / "registry")), runner.results)
        base = after.base()
        assert base is not None
        timings = read_timings(runner.results, study.name)
        simulated = simulated_steps(steps, study, rates_of(after.entries(), base.ref), timings)
        cluster = Cluster(nodes, loading=loading(timings.values()), handing_over=handing_over(timings.values()))
        makespan = simulate(simulated, cluster).makespan
    counts = {"nodes": nodes, "steps": len(steps), "processes": told.processes}
    row = {**counts, **_told(cluster), **_beside(makespan, real)}
    say(json.dumps(row))
    return row


def _told(cluster: Cluster) -> dict[str, float]:
    return {"loading": round(cluster.loading, 1), "handing over": round(cluster.handing_over, 2)}


def _beside(simulated: float, real: float) -> dict[str, float]:
    return {
        "simulated": round(simulated, 1),
        "real": round(real, 1),
        "simulated / real": round(simulated / real, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder with the corpora and the small base")
    parser.add_argument("--only", choices=("waiting", "trained"))
    options = parser.parse_args()
    document = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    document["machine"] = machine()
    if options.only != "trained":
        document["waiting"] = waiting(ROOT / "studies" / "small.yaml")
    if options.only != "waiting":
        document["trained"] = [trained(options.shared.resolve()) for _ in range(DRAWS)]
    RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

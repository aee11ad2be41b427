"""How long a study would take on a cluster that is not here: its graph on devices, some of which fail. Pure.

A step runs on one device and begins, in the order of the plan, when what it needs is done and a device is free. Each
device has a process, which starts and loads the code before its first step. Nodes fail independently after times drawn
from an exponential distribution; a failure ends the steps on that node, which go on elsewhere from their last
checkpoint, and the node is back after its repair, with new processes.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SimulatedStep:
    """A step by its place in the plan.

    Attributes:
        seconds: of work, of which a checkpoint keeps what is done.
        needs: the places of the steps it needs.
        overhead: seconds at each of its starts, such as loading the base.
    """

    seconds: float
    needs: tuple[int, ...] = ()
    overhead: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """Attributes:
    nodes, gpus: machines, and devices in each.
    mtbf: mean seconds between two failures of one node; infinite: none fails.
    repair: seconds until a failed node is back.
    checkpoint: seconds of work between two checkpoints, which is what a failure loses at most.
    loading: seconds in which the process of a device starts and loads the code, before its first step.
    handing_over: seconds before each step until the device has it.
    """

    nodes: int
    gpus: int = 1
    mtbf: float = math.inf
    repair: float = 600.0
    checkpoint: float = 1800.0
    loading: float = 0.0
    handing_over: float = 0.0


@dataclass(frozen=True)
class Simulation:
    """Attributes:
    makespan: seconds from the first step's start to the last one's end.
    work: seconds of steps that a study without failures needs on one device, the overhead of their starts included.
    lost: seconds of work done twice, because a node failed after the last checkpoint.
    failures: of nodes with steps on them.
    utilisation: the share of all devices' time, from start to end, that was useful work.
    """

    makespan: float
    work: float
    lost: float
    failures: int
    utilisation: float


@dataclass
class _State:
    """What is left of each step, and which step each device works on, from when and as which start of all."""

    left: list[float]
    missing: list[int]
    ready: list[int]
    busy: dict[tuple[int, int], tuple[int, float, int]] = field(default_factory=dict)
    starts: int = 0


def simulate(steps: Sequence[SimulatedStep], cluster: Cluster, *, seed: int = 1) -> Simulation:
    """Run the steps on the cluster. Raises ValueError for one without devices, or a step that needs a later one."""
    if cluster.nodes < 1 or cluster.gpus < 1:
        raise ValueError("a cluster has at least one node with one device")
    if any(need >= place for place, step in enumerate(steps) for need in step.needs):
        raise ValueError("a step needs one that comes after it")
    return _Events(steps, cluster, random.Random(seed)).run()


class _Events:
    def __init__(self, steps: Sequence[SimulatedStep], cluster: Cluster, draws: random.Random) -> None:
        self.steps, self.cluster, self.draws = steps, cluster, draws
        self.after: list[list[int]] = [[] for _ in steps]
        for place, step in enumerate(steps):
            for need in set(step.needs):
                self.after[need].append(place)
        missing = [len(set(step.needs)) for step in steps]
        ready = [place for place, count in enumerate(missing) if not count]
        self.state = _State([step.seconds for step in steps], missing, ready)
        self.free = [(node, gpu) for gpu in range(cluster.gpus) for node in range(cluster.nodes)][::-1]
        self.queue: list[tuple[float, int, str, tuple[int, int]]] = []
        self.done, self.lost, self.failures, self.now = 0, 0.0, 0, 0.0
        self.loaded: set[tuple[int, int]] = set()

    def run(self) -> Simulation:
        for node in range(self.cluster.nodes):
            self._expect_failure(node)
        self._begin()
        while self.done < len(self.steps):
            self.now, number, what, device = heapq.heappop(self.queue)
            if what == "end" and self.state.busy.get(device, (0, 0.0, -1))[2] == number:
                self._end(device)
            elif what == "failure":
                self._fail(device[0])
            elif what == "repair":
                self._repair(device[0])
            self._begin()
        work = sum(step.overhead + step.seconds for step in self.steps)
        devices = self.cluster.nodes * self.cluster.gpus
        utilisation = work / (self.now * devices) if self.now else 1.0
        return Simulation(self.now, work, self.lost, self.failures, utilisation)

    def _begin(self) -> None:
        while self.state.ready and self.free:
            place, device = heapq.heappop(self.state.ready), self.free.pop()
            self.state.starts += 1
            loading = 0.0 if device in self.loaded else self.cluster.loading
            begun = self.now + self.cluster.handing_over + loading + self.steps[place].overhead
            self.loaded.add(device)
            self.state.busy[device] = place, begun, self.state.starts
            end = begun + self.state.left[place]
            heapq.heappush(self.queue, (end, self.state.starts, "end", device))

    def _end(self, device: tuple[int, int]) -> None:
        place, _, _ = self.state.busy.pop(device)
        self.free.append(device)
        self.done += 1
        for other in self.after[place]:
            self.state.missing[other] -= 1
            if not self.state.missing[other]:
                heapq.heappush(self.state.ready, other)

    def _fail(self, node: int) -> None:
        stopped = [device for device in self.state.busy if device[0] == node]
        self.failures += bool(stopped)
        for device in stopped:
            place, begun, _ = self.state.busy.pop(device)
            worked = max(0.0, self.now - begun)
            kept = worked // self.cluster.checkpoint * self.cluster.checkpoint
            self.lost += worked - kept
            self.state.left[place] -= kept
            heapq.heappush(self.state.ready, place)
        self.free = [device for device in self.free if device[0] != node]
        self.loaded = {device for device in self.loaded if device[0] != node}
        heapq.heappush(self.queue, (self.now + self.cluster.repair, 0, "repair", (node, 0)))

    def _repair(self, node: int) -> None:
        self.free += [(node, gpu) for gpu in range(self.cluster.gpus)]
        self._expect_failure(node)

    def _expect_failure(self, node: int) -> None:
        if math.isfinite(self.cluster.mtbf):
            after = self.draws.expovariate(1 / self.cluster.mtbf)
            heapq.heappush(self.queue, (self.now + after, 0, "failure", (node, 0)))

"""Running steps as tasks of Ray, on one machine or many; Ray decides where. Needs the extra `ray`."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any

from badx_hub.errors import BadxError, UsageError
from badx_hub.remedies import Advice
from badx_hub.studies.executor import Work
from badx_hub.studies.parallel import Attempt, WorkerLost, timed
from badx_hub.studies.plan import Step

_MOST = 10_000
"""Steps that are handed to Ray at once; it lets them wait until there is room."""


class RayWorkers:
    """The nodes of a Ray cluster: one CPU a step, or as many as it has threads, memory if it is known how much, and one
    GPU where the cluster has any.

    Registry, results and, for going on from a checkpoint on another node, BADX_HUB_HOME are on storage that all reach.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        count: int | None = None,
        threads: int = 1,
        memory: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Connect.

        Args:
            address: such as ray://HOST:10001; default a new cluster of this machine.
            count: of steps at the same time; default as many as there is room for.
            threads: of each step, which asks for as many CPUs.
            memory: bytes that are to be free for a step, by its name; one that needs more than the largest node has
                runs alone there.

        Raises UsageError without Ray, and BadxError if the cluster cannot be reached.
        """
        self.count, self._threads = count or _MOST, threads
        self._ray, self._memory = _connected(address), memory
        gpus = int(self._ray.cluster_resources().get("GPU", 0) >= 1)
        # One function for all steps: Ray gives a process that has it the next step at once. Retries are the driver's:
        # it tells a lost node from a step that fails.
        self._task = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(timed)
        self._running: dict[Any, Step] = {}

    @property
    def free(self) -> int:
        return self.count - len(self._running)

    def begin(self, step: Step, work: Work) -> None:
        packed = self._ray.cloudpickle.dumps((step, work))  # also what a script defines in itself
        needed = self._memory.get(step.name)
        asked = {} if needed is None else {"memory": min(needed, self._largest())}
        self._running[self._task.options(name=step.name, **asked).remote(packed, self._threads)] = step

    def ended(self, seconds: float) -> Sequence[Attempt]:
        if not self._running:
            time.sleep(seconds)
            return ()
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._attempt(reference) for reference in done]

    def stop(self) -> None:
        if not self._running:
            return
        for reference in self._running:
            self._ray.cancel(reference, force=False)  # As Ctrl-C: a training saves a checkpoint.
        self._ray.wait(list(self._running), num_returns=len(self._running), timeout=60.0)

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self._ray.shutdown()

    def _largest(self) -> int:
        """Bytes that the node with the most memory has for steps."""
        return int(max(node["Resources"].get("memory", 0.0) for node in self._ray.nodes() if node["Alive"]))

    def _attempt(self, reference: Any) -> Attempt:
        step = self._running.pop(reference)
        errors = self._ray.exceptions
        try:
            return Attempt(step, self._ray.get(reference))
        except errors.RayTaskError as error:
            cause = error.cause
            return Attempt(step, cause if isinstance(cause, Exception) else error)
        except errors.RayError as error:
            return Attempt(step, WorkerLost(f"its worker is gone ({type(error).__name__})"))


def _connected(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Nothing leaves the machine unasked.
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "Ray is not installed.", remedies=(Advice("Type `pip install 'badx-hub[ray]'`, on every node."),)
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What they say is said below.
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # Ray raises that very class when a node of its own takes too long to start.
        place = address or "this machine"
        raise BadxError(
            f"There is no Ray cluster at {place} ({' '.join(str(error).split())[:200]}).",
            remedies=(Advice("Start one as Ray's documentation says, or give its address as ray://HOST:10001."),),
        ) from error
    return ray

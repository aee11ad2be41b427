"""Tasks: what is read, encoded, predicted and scored; one module a task, all behind one protocol. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from badx_hub.errors import UsageError
from badx_hub.tasks.base import AnyTask, Task
from badx_hub.tasks.pos import PosTask

__all__ = ["TASKS", "AnyTask", "Task", "task_named"]

_ALL: tuple[AnyTask, ...] = (PosTask(),)

TASKS: Mapping[str, AnyTask] = MappingProxyType({task.name: task for task in _ALL})
"""The tasks by name."""


def task_named(name: str) -> AnyTask:
    """The task of a name. Raises UsageError, listing the tasks, if there is none."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r}; expected one of: {', '.join(TASKS)}")
    return TASKS[name]

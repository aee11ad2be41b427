"""Tasks: one module for each, behind one protocol (`base.Task`): read, encode, predict, score. No torch at import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from badx_hub.errors import UsageError
from badx_hub.tasks.base import Task
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.ner import NerTask
from badx_hub.tasks.nli import NliTask
from badx_hub.tasks.pos import PosTask

__all__ = ["TASKS", "Task", "task_named"]

_ALL: tuple[Task, ...] = (PosTask(), DpTask(), NliTask(), NerTask())

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _ALL})
"""The tasks by name."""

_LATER = (("language", ""),)


def options_of(task: Task) -> Mapping[str, Any]:
    """The options of a task with their values, defaults included: `{"decoding": "tree", "subtypes": False}`.

    An option that came later is left out at its default, so that results compare with those from before it.
    """
    found: Any = task  # as every task is a frozen dataclass
    return {key: value for key, value in asdict(found).items() if (key, value) not in _LATER}


def task_named(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """The task of a name, with these options in place of their defaults.

    Raises UsageError, listing what there is, for an unknown task or option and for an impossible value.
    """
    if name not in TASKS:
        raise UsageError(f"There is no task {name!r}; expected one of: {', '.join(TASKS)}.")
    task: Any = TASKS[name]
    known = [field.name for field in fields(task)]
    if unknown := [key for key in options or {} if key not in known]:
        raise UsageError(f"The task {name} has no option {unknown[0]!r}; its options: {', '.join(known) or 'none'}.")
    try:
        chosen: Task = TypeAdapter(type(task)).validate_python({**asdict(task), **(options or {})})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = problem["loc"][0]
        raise UsageError(f"The option {key} of task {name} is {problem['input']!r}; {problem['msg']}.") from error
    return chosen

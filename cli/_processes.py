"""What a command says when it is one of several processes (torchrun, `accelerate launch`): the first one speaks."""

from __future__ import annotations

import os
import signal

from badx_hub.cli import _output
from badx_hub.errors import BadxError, DataError, NotFoundError, UsageError
from badx_hub.remedies import Advice

_OF_THE_COMMAND = (UsageError, NotFoundError, DataError)
"""What every process of a machine finds wrong, since it has the same command and the same files."""

_COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where launchers say how many processes there are: torchrun, and those of MPI."""


class Ended(Exception):  # noqa: N818 - no error: the processes have told all that there is to tell
    """The processes that did the command have ended; `code` is the command's exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def share(count: int | None) -> None:
    """Run the command as it was typed in `count` processes, unless a launcher started this one. Raises Ended then.

    Raises UsageError if accelerate was asked for several processes and has started this one alone.
    """
    if os.environ.get("RANK"):
        return
    if count is None and _is_alone():
        raise UsageError(
            "One process was started by accelerate: on processors its --num_processes takes MPI.",
            remedies=(Advice("Leave accelerate out and add {}, or use torchrun.", (("processes", 2),)),),
        )
    if (count or 1) > 1:
        from badx_hub.cli._launch import run_in

        raise Ended(run_in(count or 1))


def is_first() -> bool:
    """Whether this is the first of several processes, or the only one."""
    return _number("RANK") == 0


def note(message: str) -> None:
    """A note that every process has; one of them makes it."""
    if is_first():
        _output.note(message)


def tells(error: BadxError) -> bool:
    """Whether this process has to tell of the error: nobody else does."""
    if is_first():
        return True
    return not error.shared and (_number("LOCAL_RANK") == 0 or not isinstance(error, _OF_THE_COMMAND))


def from_here(message: str) -> str:
    """The message, and which process it is of if it is not of the first one."""
    return message if is_first() else f"process {_number('RANK') + 1} of {_number('WORLD_SIZE')}: {message}"


def end_by_oneself() -> None:
    """Let nothing change the exit code any more: what started the processes ends all of them when one has ended."""
    if _number("WORLD_SIZE") > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _is_alone() -> bool:
    """Whether `accelerate launch` was asked for several processes, and says where they meet but not who this one is."""
    by_accelerate = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    return by_accelerate and not any(variable in os.environ for variable in _COUNTS)


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isascii() and value.isdigit() else 0

"""Several processes that train together, forked from this one: they need not load the libraries again."""

from __future__ import annotations

import os
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any


def in_ranks(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns for each rank, in a process of its own: `count` of them, connected by gloo.

    What it raises is returned too: one of badx_hub's errors as it is, anything else as a text. None: it was killed.
    """
    port = _free_port()
    children = [_forked(rank, count, port, work) for rank in range(count)]
    outcomes = []
    for pid, reading in children:
        with os.fdopen(reading, "rb") as pipe:
            content = pipe.read()
        os.waitpid(pid, 0)
        outcomes.append(pickle.loads(content) if content else None)
    return outcomes


def _forked(rank: int, count: int, port: int, work: Callable[[int], Any]) -> tuple[int, int]:
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    try:
        _join(rank, count, port)
        outcome = work(rank)
    except BaseException as error:
        from badx_hub.errors import BadxError

        outcome = error if isinstance(error, BadxError) else traceback.format_exc()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
    finally:
        os._exit(0)


def _join(rank: int, count: int, port: int) -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

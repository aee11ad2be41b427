"""Running one command in a forked process, which is killed at one of its events or comes to its end."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.faults.watch import KILL, Strike, Watch
from tests.faults.world import World


@dataclass(frozen=True)
class Ended:
    """How a command ended. `code` is None if it was killed: `events` and loaded `modules` are then unknown."""

    code: int | None
    told: str
    events: int = 0
    modules: tuple[str, ...] = ()


def run(
    world: World,
    typed: Sequence[str],
    token: str,
    *,
    at: int | None = None,
    strike: Strike = KILL,
) -> Ended:
    """`badx-hub TYPED` in this world, in a process of its own, which is struck from event `at` on."""
    log, counted = world.root.with_name("log"), world.root.with_name("events")
    log.write_text("")
    counted.write_text("[0, []]")
    pid = os.fork()
    if not pid:
        code = 70
        try:
            watch, before = Watch(world.root, at, strike), set(sys.modules)
            code = _command(world, typed, token, log, watch)
            counted.write_text(json.dumps([watch.seen, sorted(set(sys.modules) - before)]))
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    events, modules = json.loads(counted.read_text())
    return Ended(code, log.read_text(errors="replace"), events, tuple(modules))


def _command(world: World, typed: Sequence[str], token: str, log: Path, watch: Watch) -> int:
    """The command in this process, which is one's own: all of it may be changed."""
    from huggingface_hub import constants

    from badx_hub.__main__ import main

    told = os.open(log, os.O_WRONLY)
    os.dup2(told, 1)
    os.dup2(told, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.chdir(world.root)
    os.environ |= {"BADX_HUB_HOME": str(world.home), "TMPDIR": str(world.temporary), "HF_TOKEN": token}
    tempfile.tempdir = str(world.temporary)
    constants.HF_HUB_CACHE = str(world.root / "huggingface")
    sys.argv = ["badx-hub", *typed]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # It is ignored in what a shell runs in the background.
    watch.start()
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return 0


def prepare() -> None:
    """Load everything that a command needs, once; a fork has it. No thread may be alive and nothing trained."""
    import time

    import torch

    import badx_hub.cli
    import badx_hub.demo.run
    import badx_hub.evaluation
    import badx_hub.registry.foreign
    import badx_hub.registry.hub
    import badx_hub.registry.lock
    import badx_hub.stack
    import badx_hub.studies.parallel
    import badx_hub.studies.runner
    import badx_hub.training.curves
    import badx_hub.training.language_adapter
    import badx_hub.training.task_adapter

    torch.set_num_threads(1)
    badx_hub.training.curves._write_png = _no_picture
    really = time.sleep
    # The client waits before it asks again; here nobody has to be given time.
    time.sleep = lambda seconds: really(min(seconds, 0.3))


def load(modules: Sequence[str]) -> None:
    """Load what a command loaded as it went: the next forks have it, which takes most of a short command's time."""
    for name in modules:
        with suppress(Exception):  # Some can be loaded by their parents alone.
            import_module(name)


def _no_picture(path: Path, *_: Any) -> None:
    """Drawing curves takes longer than such a training."""
    path.write_bytes(b"")

"""Runs a toy training, kills it at file-system events on the way, and goes on: one line of JSON for each point.

`python -m tests.training.killed FOLDER SEED POINTS`. One process loads the libraries and forks for every run.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Silent, train
from tests.training.regression import Regression, recipe

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "shutil.rmtree")


def outcome(folder: Path) -> str:
    """A digest of everything a run ends with but its time."""
    objective = Regression()
    result = train(objective, recipe(save_every=1), CheckpointFolder(folder), Silent())
    known = hashlib.sha256(save(objective.weights()))
    known.update(json.dumps([result.history, result.best_step, result.units]).encode())
    return known.hexdigest()


def events(folder: Path, kill_at: int | None) -> int:
    """The number of events below `folder` during a run, in a process of its own that is killed before one of them."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event not in _EVENTS or not any(str(folder) in str(one) for one in arguments):
                return
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

        sys.addaudithook(watch)
        outcome(folder)
        os.write(writing, str(seen).encode())
        os._exit(0)
    os.close(writing)
    content = os.read(reading, 100)
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    if kill_at is None and status:
        raise RuntimeError("the run ended badly")
    return int(content or -1)


def main() -> None:
    """Print how many events there are, the right outcome, and that of each point."""
    root, seed, points = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    total = events(root / "whole", None)
    print(json.dumps({"events": total, "outcome": outcome(root / "reference")}))
    for point in sorted(random.Random(seed).sample(range(total), points)):
        folder = root / f"killed-{point}"
        alive = events(folder, point) != -1
        print(json.dumps({"point": point, "killed": not alive, "outcome": outcome(folder)}))


if __name__ == "__main__":
    main()

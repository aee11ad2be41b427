"""Training in two processes: one result, published once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.tiny import write_tiny_base

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, os, sys
from pathlib import Path
from badx_hub.registry import LocalRegistry
from tests.test_story import World
folder = Path(sys.argv[1])
world = World(folder / "tiny", folder / "data", LocalRegistry(folder / "registry"))
# 60 sentences in batches of 59: the last batch of an epoch leaves one process without a slice.
entries = [world.train(steps=4).entry, world.train_task(steps=4, batch_size=59).entry]
found = [[entry.version, entry.manifest.digest] for entry in entries]
(folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(found))
"""


def test_two_processes_train_one_adapter(tmp_path: Path) -> None:
    from tests.test_story import write_data

    write_tiny_base(tmp_path / "tiny")
    write_data(tmp_path / "data")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(tmp_path / "script.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert len(list((tmp_path / "registry").glob("*/2*"))) == 2

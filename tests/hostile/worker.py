"""Runs artefacts: one process loads everything once and forks for each artefact, with limits of time and memory.

`python -m tests.hostile.worker GLOB...` prints what happened; without arguments it serves globs from stdin, one a line,
and answers each with one line of JSON.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.hostile.artefact import Artefact
from tests.hostile.verdict import CPU_SECONDS, IDLE_SECONDS, Seen, judged
from tests.hostile.world import World, build

SIDE_BY_SIDE = 3
BATCH = 16
"""Artefacts a forked process; one that ends badly takes none of the others along."""
# Nothing here has to outlive a power cut, and every publish waits for the disk.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class _Running:
    """A forked process at a few artefacts, one after the other."""

    artefacts: list[Artefact]
    pid: int
    pipe: int
    buffer: bytes = b""
    cpu: float = 0.0
    moved: float = field(default_factory=time.monotonic)
    reason: str = ""

    def is_stuck(self) -> bool:
        """Whether it has slept for too long; a process that waits for the processor or a disk has not."""
        with suppress(OSError):
            state, cpu = _state(self.pid)
            if state != "S" or cpu > self.cpu:
                self.cpu, self.moved = cpu, time.monotonic()
        return time.monotonic() - self.moved > IDLE_SECONDS


def run(artefacts: Sequence[Artefact], world: World) -> list[Seen]:
    """Everything that was seen, in the order of the artefacts and their commands."""
    waiting = list(artefacts)
    running: list[_Running] = []
    seen: dict[str, list[Seen]] = {}
    while waiting or running:
        while waiting and len(running) < SIDE_BY_SIDE:
            running.append(_start(waiting[:BATCH], world))
            del waiting[:BATCH]
        ready, _, _ = select.select([one.pipe for one in running], [], [], 0.2)
        for one in list(running):
            if one.pipe in ready and not _drain(one):
                running.remove(one)
                found = _finished(one, world)
                seen.update(found)
                waiting = [artefact for artefact in one.artefacts if artefact.name not in found] + waiting
            elif not one.reason and one.is_stuck():
                one.reason = f"a hang (asleep for {IDLE_SECONDS:.0f} s)"
                os.killpg(one.pid, signal.SIGKILL)
    return [one for artefact in artefacts for one in seen[artefact.name]]


def _start(artefacts: list[Artefact], world: World) -> _Running:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        os.close(reading)
        try:
            from tests.hostile.child import work

            work(artefacts, world, writing)
        except BaseException:
            os.write(writing, json.dumps({"broken": traceback.format_exc()}).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writing)
    with suppress(OSError):  # the child does it too; whoever comes first
        os.setpgid(pid, pid)
    return _Running(artefacts, pid, reading)


def _drain(one: _Running) -> bool:
    """Read what has come; false at the end."""
    content = os.read(one.pipe, 1 << 16)
    one.buffer += content
    return bool(content)


def _finished(one: _Running, world: World) -> dict[str, list[Seen]]:
    """What was seen of the artefacts that it came to, the last of which may have ended the process."""
    os.close(one.pipe)
    _, status, usage = os.wait4(one.pid, 0)
    records: list[dict[str, Any]] = [json.loads(line) for line in one.buffer.splitlines() if line.endswith(b"}")]
    seen: dict[str, list[Seen]] = {record["begun"]: [] for record in records if "begun" in record}
    for record in records:
        if "artefact" in record:
            seen[record["artefact"]].append(judged(record, world.digest))
    broken = [record["broken"] for record in records if "broken" in record]
    if os.WIFSIGNALED(status) or broken:
        [artefact] = [each for each in one.artefacts if each.name == list(seen)[-1]]
        command = artefact.commands[len(seen[artefact.name])]
        killed = f"signal {os.WTERMSIG(status)}" if not broken else f"a mistake in the tests: {broken[0]}"
        if not broken and os.WTERMSIG(status) == signal.SIGXCPU:
            killed = f"more than {CPU_SECONDS} s of work"
        record = {
            "artefact": artefact.name,
            "command": command.name,
            "expect": command.expect,
            "code": one.reason or killed,
            "seconds": usage.ru_utime + usage.ru_stime,
            "faults": (),
            "line": " ".join(command.argv),
        }
        seen[artefact.name].append(judged(record, world.digest))
        world.clear(artefact.name)
    return seen


def _state(pid: int) -> tuple[str, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / _TICK


def chosen(globs: Iterable[str]) -> list[Artefact]:
    """The artefacts whose names match one of the globs."""
    from tests.hostile.kinds import everything

    patterns = list(globs)
    return [one for one in everything() if any(fnmatchcase(one.name, pattern) for pattern in patterns)]


def _prepared(root: Path) -> World:
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "hf"), "NO_COLOR": "1", "COLUMNS": "80"})
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TMPDIR"] = str(root)
    import torch

    torch.set_num_threads(1)
    from tests.hostile.child import warm_up

    world = build(root)
    warm_up(world)
    gc.collect()
    gc.freeze()
    return world


def main(globs: Sequence[str]) -> None:
    """Print what happened with some artefacts, or serve requests."""
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory(prefix="badx-hostile-", dir=_MEMORY) as folder:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            raise RuntimeError("the address space is limited already")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        world = _prepared(Path(folder).resolve())
        for asked in [globs] if globs else (line.split() for line in sys.stdin):
            seen = run(chosen(asked), world)
            if globs:
                for one in seen:
                    answers.write(f"{'' if one.problems else 'ok '}{one}\n")
            else:
                answers.write(json.dumps([vars(one) | {"out": "", "err": one.err[-2000:]} for one in seen]) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

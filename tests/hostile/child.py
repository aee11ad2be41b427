"""The forked process at one artefact: forge it, then run its commands one after the other and report each."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.hostile.artefact import LOAD, SECRET, Artefact, Command, Sandbox
from tests.hostile.verdict import CPU_SECONDS, FILE_BYTES, MEMORY
from tests.hostile.watch import Watch
from tests.hostile.world import World

_GROWN = 200
"""Megabytes by which a process may have grown in one command and still be used for the next artefact."""


def work(artefacts: Sequence[Artefact], world: World, pipe: int) -> None:
    """Forge and try each; the first that does not end in order ends the process, lest the next one suffer from it."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    watch = Watch()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for artefact in artefacts:
        _say(pipe, {"begun": artefact.name})
        box = _entered(world, artefact)
        _limit_files(resource.RLIM_INFINITY)  # What is forged may claim any size.
        artefact.forge(box)
        _limit_files(FILE_BYTES)
        orderly = True
        for command in artefact.commands:
            record = _tried(command, box, watch)
            orderly &= record["code"] in (0, 1, 2) and record["megabytes"] < _GROWN
            _say(pipe, {"artefact": artefact.name, **record})
        _say(pipe, {"ended": artefact.name})
        shutil.rmtree(box.root, ignore_errors=True)
        if not orderly:
            return


def _entered(world: World, artefact: Artefact) -> Sandbox:
    box = world.sandbox(artefact.name, trained=artefact.trained)
    os.chdir(box.root)
    os.environ.update({"BADX_HUB_HOME": str(box.home), "TMPDIR": str(box.root / "tmp"), "CANARY": str(box.canary)})
    tempfile.tempdir = None
    return box


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _say(pipe: int, record: dict[str, Any]) -> None:
    content = json.dumps(record).encode() + b"\n"
    while content:
        content = content[os.write(pipe, content) :]


def warm_up(world: World) -> None:
    """Run a few sound commands, so that what they import is there before the first fork."""
    _renew_streams()
    import matplotlib.pyplot  # noqa: F401

    box = world.sandbox("warm-up", trained=False)
    os.environ["BADX_HUB_HOME"] = str(box.home)
    os.chdir(box.root)
    for argv in (
        ("verify", "--registry", "./shared"),
        ("list", "--registry", "./shared", "--format", "json"),
        ("pull", "tiny/en-wo/pos", "--from", "./shared", "--registry", "./target"),
        ("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared"),
        ("convert", "./nowhere"),
        ("study", "plan", "./nowhere"),
        ("recipes", "./nowhere"),
    ):
        code = _run(argv)
        if code == "traceback" or (code and "./nowhere" not in argv):
            raise RuntimeError(f"{argv} ended with {code} on sound files")
    os.chdir("/")


def _tried(command: Command, box: Sandbox, watch: Watch) -> dict[str, Any]:
    out, err = box.root / "out.txt", box.root / "err.txt"
    base, started = _hiwater(), time.process_time()
    limit = int(started) + CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    with _output_in(out, err), watch.over(box):
        code = _run(command.argv)
    return {
        "command": command.name,
        "expect": command.expect,
        "code": code,
        "line": " ".join(command.argv)[:200],
        "out": _text(out),
        "err": _text(err),
        "seconds": time.process_time() - started,
        "megabytes": (_hiwater() - base) / 2**20,
        "faults": [*watch.faults, *_traces(box)],
        "digest": _own_digest(box) if command.expect == "same" else None,
    }


def _run(argv: tuple[str, ...]) -> int | str:
    """An exit code, or "traceback"; what would be the interpreter's last words goes to stderr."""
    from badx_hub.cli import main

    try:
        if argv[0] == LOAD:
            return load("./shared")
        sys.argv = ["badx-hub", *argv]
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException:
        with suppress(MemoryError):
            traceback.print_exc()
        return "traceback"
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return 0


def load(registry: str) -> int:
    """Load the stack from a registry in Python and predict with it. Returns what a command would exit with."""
    from badx_hub import load_bilingual_stack
    from badx_hub.errors import BadxError

    try:
        stack = load_bilingual_stack("en", "wo", "pos", registry=registry)
        print(json.dumps(stack.predict(["Xale yi"])))
    except BadxError as error:
        lines = str(error).splitlines()
        sys.stderr.write(f"error: {lines[0]!a}\n" if len(lines) == 1 else f"{len(lines)} lines: {lines!a}\n")
        return 1
    return 0


@contextmanager
def _output_in(out: Path, err: Path) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    yes = out.with_name("yes.txt")
    yes.write_text("y\n" * 100)  # Whatever is asked, the user says yes.
    for number, path in ((0, yes), (1, out), (2, err)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        descriptor = os.open(path, flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    _renew_streams()
    yield
    sys.stdout.flush()
    sys.stderr.flush()


def _renew_streams() -> None:
    """What they remember of the files they were opened on is not true of these."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the command runs
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(2**20).decode("utf-8", "backslashreplace")


def _hiwater() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _traces(box: Sandbox) -> Iterator[str]:
    """What a command left behind, where it should not be."""
    if box.canary.exists():
        yield "code was executed"
    # Lock files stay: who removes one may remove it under another process.
    there = (path.name for path in (box.root / "tmp").iterdir())
    if left := sorted(name for name in there if not name.startswith("badx-hub-locks-")):
        yield f"left {left[0]} in the temporary folder"
    if sorted(path.name for path in box.outside.iterdir())[:1] == [] or box.secret.read_text() != SECRET:
        yield "changed a file outside"
    for folder in (box.home / "registry", box.root / "target", box.root / "pushed"):
        for path in folder.rglob("*"):
            if path.is_symlink():
                yield f"a link was copied to {path.relative_to(box.root)}"
            elif path.is_file() and path.stat().st_size < 2**16 and SECRET.encode() in path.read_bytes():
                yield f"published a secret as {path.relative_to(box.root)}"


def _own_digest(box: Sandbox) -> str | None:
    from badx_hub.registry import open_registry

    return next((entry.manifest.digest for entry in open_registry(box.home / "registry").list()), None)

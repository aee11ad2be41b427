"""`badx-hub` in processes that need not load torch: a server has loaded it, and forks for each command.

Loading it takes longer than what a command of a test does. The rest is as in a process of its own: arguments, folder,
environment, streams, signals, exit code. `python -m tests.preloaded PLACE` serves at a socket until its stdin ends, and
with arguments it has them done there: what a script calls in place of `badx-hub`.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_MOST_BYTES = 2**18


class Command:
    """A command at work, as `subprocess.Popen` has it; its streams go to files, so that it never waits for a reader."""

    def __init__(self, place: Path, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._files = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by `communicate`
        self._answers = _asked(place, arguments, cwd, env, [file.fileno() for file in self._files])
        self.pid = int(self._answers.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it works."""
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """The same, once it has ended."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int(self._answers.recv(64)))
            self._answers.close()
        return self.returncode

    def send_signal(self, one: signal.Signals) -> None:
        os.kill(self.pid, one)

    def communicate(self) -> tuple[str, str]:
        """All that it wrote to stdout and stderr, once it has ended."""
        self.wait()
        for file in self._files:
            file.seek(0)
        told = [file.read().decode() for file in self._files]
        for file in self._files:
            file.close()
        return told[0], told[1]


def _asked(
    place: Path, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], streams: Sequence[int]
) -> socket.socket:
    """Where the answers come from: the process id of the command, then the status of its end."""
    answers = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    answers.connect(str(place))
    asked = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)})
    socket.send_fds(answers, [asked.encode()], list(streams))
    return answers


def _run(place: Path, arguments: Sequence[str]) -> int:
    """The exit code of a command with the streams of this process."""
    with _asked(place, arguments, Path.cwd(), os.environ, (1, 2)) as answers:
        answers.recv(64)
        return os.waitstatus_to_exitcode(int(answers.recv(64)))


def _serve(place: Path) -> None:
    """Fork for each command, and answer with its process id, then with the status of its end."""
    _load()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(place.with_name("unready")))
        listener.listen()
        place.with_name("unready").rename(place)
        at_work: dict[int, tuple[int, socket.socket]] = {}
        while True:
            ready, _, _ = select.select([0, listener, *at_work], [], [])
            for one in set(ready) & set(at_work):
                pid, asker = at_work.pop(one)
                _, status = os.waitpid(pid, 0)
                os.close(one)
                with suppress(OSError), asker:  # Nobody may wait for it any more.
                    asker.send(str(status).encode())
            if listener in ready:
                asker, _ = listener.accept()
                pid = _begin(asker)
                asker.send(str(pid).encode())
                at_work[os.pidfd_open(pid)] = pid, asker
            if 0 in ready:
                return


def _load() -> None:
    """All that a training needs. No thread may be alive, and nothing may be computed yet."""
    import torch

    import badx_hub.cli.train
    import badx_hub.evaluation
    import badx_hub.registry.hub
    import badx_hub.training.language_adapter
    import badx_hub.training.task_adapter  # noqa: F401

    torch.set_num_threads(1)


def _begin(asker: socket.socket) -> int:
    """The id of the process that does what is asked for."""
    asked, streams, _, _ = socket.recv_fds(asker, _MOST_BYTES, 2)
    pid = os.fork()
    if not pid:
        code = 70
        try:
            code = _command(json.loads(asked), streams)
        finally:
            os._exit(code)
    for stream in streams:
        os.close(stream)
    return pid


def _command(asked: Mapping[str, object], streams: Sequence[int]) -> int:
    """The exit code of `badx-hub ARGUMENTS` in this process, which is its own."""
    from huggingface_hub import constants, file_download

    from badx_hub.__main__ import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.chdir(str(asked["cwd"]))
    assert isinstance(asked["env"], dict) and isinstance(asked["arguments"], list)
    os.environ.clear()
    os.environ.update(asked["env"])
    # What the environment says was read when these were loaded.
    tempfile.tempdir = None
    importlib.reload(constants)
    importlib.reload(file_download)  # It has a copy of the address.
    sys.argv = ["badx-hub", *asked["arguments"]]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
    return 0


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(_run(Path(sys.argv[1]), sys.argv[2:]))
    _serve(Path(sys.argv[1]))

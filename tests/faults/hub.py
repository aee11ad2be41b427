"""The test Hub in a process of its own, told from here what to do: a process with its threads could not be forked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Order = tuple[str, tuple[Any, ...]]


class Hub:
    """The other end of the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.endpoint, self.token = pipe.recv()

    def keep(self, name: str) -> None:
        """Remember all repositories under a name."""
        self._ask("keep", name)

    def become(self, name: str) -> None:
        """Begin again with the repositories as they were then; no cut is armed."""
        self._ask("become", name)

    def cut(self, action: Any, number: int) -> None:
        """Arm a cut of `tests.hub.faults` for the request of this number, from 0."""
        self._ask("cut", action, number)

    def requests(self) -> tuple[int, int]:
        """How many there were since `become`, and how many of them got content for an answer."""
        everything, answered = self._ask("requests")
        return int(everything), int(answered)

    def content(self) -> dict[str, Any]:
        """The digests of the files of each repository, without its card."""
        return dict(self._ask("content"))

    def revive(self) -> bool:
        """Run again after a kill, with what is on its disk; no cut is armed. Whether one has struck."""
        return bool(self._ask("revive"))

    def _ask(self, order: str, *arguments: Any) -> Any:
        self._pipe.send((order, arguments))
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def apart(root: Path) -> Iterator[Hub]:
    """A Hub that keeps its files below `root`, for as long as the block lasts."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(root, there), daemon=True)
    process.start()
    there.close()
    try:
        yield Hub(here)
    finally:
        here.close()
        process.join(10)
        process.kill()


def _serve(root: Path, pipe: Connection) -> None:
    from tests.hub.server import running

    with running(root / "now") as hub:
        pipe.send((hub.endpoint, hub.token))
        while True:
            try:
                order, arguments = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(_obey(hub, root, order, arguments))
            except Exception as error:
                pipe.send(error)


def _obey(hub: Any, root: Path, order: str, arguments: tuple[Any, ...]) -> Any:
    match order:
        case "keep":
            shutil.copytree(root / "now", root / arguments[0])
        case "become":
            shutil.rmtree(root / "now")
            shutil.copytree(root / arguments[0], root / "now")
            hub.restart()
            hub.requests.clear()
        case "cut":
            hub.armed = hub.fault("*", arguments[0], skip=arguments[1])
        case "requests":
            answered = [one for one in hub.requests if one.method != "HEAD" and 200 <= one.status < 300]
            return len(hub.requests), len(answered)
        case "content":
            return {repo: _files(hub, repo) for repo in hub.repos()}
        case "revive":
            armed, hub.armed = getattr(hub, "armed", None), None
            hub.restart()
            return armed is not None and armed.hits > 0
    return None


def _files(hub: Any, repo: str) -> dict[str, str]:
    from hashlib import sha256

    return {name: sha256(data).hexdigest() for name, data in hub.files(repo).items() if name != "README.md"}

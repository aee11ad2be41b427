"""Checkpoints written on a spare thread, while the training goes on with the next step."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress

from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder


class Saver:
    """Writes checkpoints into `folder`, one at a time and in order.

    What is given to `save` must not change any more: it is read on the thread. On leaving the context nothing is
    left to write. What writing raised is raised by the next call, or on leaving; an error of the block goes first.
    """

    def __init__(self, folder: CheckpointFolder) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        with nullcontext() if kind is None else suppress(Exception):
            self.settle()

    def save(self, state: Checkpoint) -> None:
        """Have `state` written; waits until the one before is on disk."""
        self.settle()
        self._writing = self._thread.submit(self._folder.save, state)

    def check(self) -> None:
        """Raise what writing raised, if it has ended; waits for nothing."""
        if self._writing is not None and self._writing.done():
            self.settle()

    def settle(self) -> None:
        """Wait until everything is on disk."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

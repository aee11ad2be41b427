"""Checkpoints on a spare thread: steps go on meanwhile, and nothing that happens there is lost."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from badx_hub.errors import StorageError, TrainingInterrupted
from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder, Saver
from badx_hub.training.loop import Silent, train
from tests.training.regression import Regression, recipe

LONG = 30.0
"""Seconds after which a test has failed; none of them waits for it."""


@dataclass(frozen=True)
class Gated(CheckpointFolder):
    """A slow disk: it writes when it is told to."""

    opened: threading.Event = field(default_factory=threading.Event)
    written: list[int] = field(default_factory=list)

    def save(self, state: Checkpoint) -> None:
        assert self.opened.wait(LONG), "the training waits for its checkpoint"
        super().save(state)
        self.written.append(state.step)


class Acting(Regression):
    """Does something right before a step is run."""

    def __init__(self, at: int | None, act: Callable[[], None]) -> None:
        super().__init__()
        self.at, self.act = at, act

    def prepare(self, step: int) -> None:
        super().prepare(step)
        if step == self.at:
            self.act()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_steps_go_on_while_a_checkpoint_is_written_and_change_nothing_in_it(tmp_path: Path) -> None:
    """The checkpoint of step 3 is written when step 5 is run: its weights are those of step 3 all the same."""
    train(Regression(), recipe(steps=4, save_every=3), whole := CheckpointFolder(tmp_path / "whole"), Silent())
    late = Gated(tmp_path / "late")
    train(Acting(5, late.opened.set), recipe(save_every=3), late, Silent())
    assert late.written == [3, 6, 9]
    at_once = Regression()
    at_once.killed_at = 4
    with pytest.raises(RuntimeError, match="killed"):
        train(at_once, recipe(save_every=3), first := CheckpointFolder(tmp_path / "first"), Silent())
    delayed = Gated(tmp_path / "delayed")
    halted = Acting(4, delayed.opened.set)
    halted.killed_at = 5
    with pytest.raises(RuntimeError, match="killed"):
        train(halted, recipe(save_every=3), delayed, Silent())
    one, other = first.load(), delayed.load()
    assert one is not None and other is not None
    assert one.step == other.step == whole.step == 3
    for part in ("weights", "optimizer"):
        assert all(torch.equal(value, getattr(other, part)[name]) for name, value in getattr(one, part).items())


class Full(CheckpointFolder):
    """A disk that has room for the first checkpoint."""

    def save(self, state: Checkpoint) -> None:
        if state.step > 3:
            raise StorageError(f"{self.path}: {errno.ENOSPC}.")
        super().save(state)


@pytest.mark.parametrize("interrupted", [None, 8])
def test_what_fails_on_the_thread_ends_the_run_and_the_checkpoint_before_stays(
    tmp_path: Path, interrupted: int | None
) -> None:
    """A run that is to stop does not claim that nothing is lost, either."""
    folder = Full(tmp_path)
    with pytest.raises(StorageError):
        train(Acting(interrupted, interrupt), recipe(save_every=0 if interrupted else 3), folder, Silent())
    assert folder.step == (0 if interrupted else 3)


def test_a_run_that_is_stopped_waits_for_its_checkpoint(tmp_path: Path) -> None:
    folder = Gated(tmp_path)
    threading.Timer(0.05, folder.opened.set).start()
    with pytest.raises(TrainingInterrupted, match="nothing is lost"):
        train(Acting(7, interrupt), recipe(save_every=0), folder, Silent())
    assert folder.written == [8]


def test_an_error_of_the_training_goes_before_one_of_the_thread(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Saver(Full(tmp_path)) as saver:
        saver.save(Checkpoint(step=6))
        raise ZeroDivisionError


def test_the_end_of_a_run_tells_of_what_failed(tmp_path: Path) -> None:
    with pytest.raises(StorageError), Saver(Full(tmp_path)) as saver:
        saver.save(Checkpoint(step=6))

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import AdamW

from badx_hub.errors import TrainingDiverged, TrainingInterrupted
from badx_hub.training import loop
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Batch, EvaluationRow, Silent, dropout_seed, train
from tests.refusals import refused
from tests.training.regression import Regression, recipe


def test_training_lowers_the_error_and_counts_units(tmp_path: Path) -> None:
    objective = Regression(dropout=0.0)
    outcome = train(objective, recipe(steps=60, learning_rate=0.2), CheckpointFolder(tmp_path), Silent())
    assert outcome.history[-1]["perplexity"] < 0.2 * outcome.history[0]["perplexity"]
    assert outcome.units == 60 * 8
    assert [row["step"] for row in outcome.history] == list(range(4, 61, 4))


@pytest.mark.parametrize("stop", [1, 5, 8, 11])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, stop: int) -> None:
    whole = Regression()
    straight = train(whole, recipe(), CheckpointFolder(tmp_path / "whole"), Silent())
    broken = Regression()
    broken.interrupt_at = stop
    with refused(TrainingInterrupted, "The same command goes on from there: badx-hub"):
        train(broken, recipe(), CheckpointFolder(tmp_path / "broken"), Silent())
    resumed = Regression()
    outcome = train(resumed, recipe(), CheckpointFolder(tmp_path / "broken"), Silent())
    assert outcome.history == straight.history
    for name, value in whole.weights().items():
        assert torch.equal(value, resumed.weights()[name]), name


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    whole = Regression()
    train(whole, recipe(), CheckpointFolder(tmp_path / "whole"), Silent())
    killed = Regression()
    killed.killed_at = 7
    folder = CheckpointFolder(tmp_path / "killed")
    with pytest.raises(RuntimeError, match="killed"):
        train(killed, recipe(), folder, Silent())
    saved = folder.load()
    assert saved is not None
    assert saved.step == 6
    resumed = Regression()
    train(resumed, recipe(), folder, Silent())
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())


class Told(Silent):
    """Remembers the steps and losses it was told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.steps.append(step)
        self.losses.append(loss)


def test_every_step_is_prepared_and_told_in_order(tmp_path: Path) -> None:
    objective, told = Regression(), Told()
    train(objective, recipe(), CheckpointFolder(tmp_path), told)
    assert objective.prepared == list(range(12))
    assert told.steps == list(range(1, 13))


@pytest.mark.parametrize("stop", [None, 5])
def test_losses_read_late_are_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None
) -> None:
    """As on a GPU, where a loss is read when the next step is under way; also in checkpoints."""
    folders = [CheckpointFolder(tmp_path / name) for name in ("at once", "late")]
    told, histories = [Told(), Told()], []
    for late, folder, reporter in zip((False, True), folders, told, strict=True):
        monkeypatch.setattr(loop, "defer_loss_sync", lambda _device, late=late: late)
        objective = Regression()
        objective.interrupt_at = stop
        if stop is not None:
            with pytest.raises(TrainingInterrupted):
                train(objective, recipe(), folder, Silent())
            saved = folder.load()
            assert saved is not None
            assert len(saved.losses) == saved.step % 4
        histories.append(train(Regression(), recipe(), folder, reporter).history)
    assert histories[0] == histories[1]
    assert told[0].losses[-4:] == told[1].losses[-4:]


def test_a_loss_read_late_still_stops_a_run_that_has_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "defer_loss_sync", lambda _device: True)
    with refused(TrainingDiverged, "--learning-rate"):
        train(
            Regression(dropout=0.0),
            recipe(steps=50).model_copy(update={"learning_rate": 1e20}),
            CheckpointFolder(tmp_path),
            Silent(),
        )


class Watched(Regression):
    """Notes whether a batch is ever made during an evaluation, or behind the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.evaluating = False
        self.made: list[int] = []

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        assert not self.evaluating
        self.made.append(step)
        return super().batches(step, parts)

    def evaluate(self) -> EvaluationRow:
        self.evaluating = True
        time.sleep(0.01)
        self.evaluating = False
        return {"perplexity": 1.0}


def test_batches_are_made_once_each_and_never_during_an_evaluation(tmp_path: Path) -> None:
    objective = Watched()
    train(objective, recipe(eval_every=1, steps=30), CheckpointFolder(tmp_path), Silent())
    assert objective.made == list(range(30))


def test_no_thread_is_left_after_an_error(tmp_path: Path) -> None:
    killed = Regression()
    killed.killed_at = 7
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="killed"):
        train(killed, recipe(), CheckpointFolder(tmp_path), Silent())
    assert threading.active_count() == before


def test_the_fused_optimizer_takes_the_steps_of_the_plain_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it goes on from a checkpoint that the plain one wrote."""

    def plain(parameters: Iterable[nn.Parameter], _device: torch.device, *, rate: float, decay: float) -> AdamW:
        return AdamW(list(parameters), lr=rate, weight_decay=decay)

    fused, mixed = Told(), Told()
    train(Regression(), recipe(), CheckpointFolder(tmp_path / "fused"), fused)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "adamw", plain)
        broken = Regression()
        broken.killed_at = 7
        with pytest.raises(RuntimeError, match="killed"):
            train(broken, recipe(), CheckpointFolder(tmp_path / "mixed"), mixed)
    saved = CheckpointFolder(tmp_path / "mixed").load()
    assert saved is not None
    train(Regression(), recipe(), CheckpointFolder(tmp_path / "mixed"), mixed)
    assert mixed.losses[: saved.step] + mixed.losses[-6:] == pytest.approx(fused.losses, abs=1e-6)


class CopyAt(Silent):
    """Copies the weights at the evaluation of one step."""

    def __init__(self, objective: Regression, step: int) -> None:
        self.objective, self.step = objective, step
        self.copied: dict[str, Tensor] = {}

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        if step == self.step:
            self.copied = self.objective.weights()


def test_the_best_step_is_kept_not_the_last(tmp_path: Path) -> None:
    objective = Regression(script=[3.0, 1.0, 2.0])
    copy = CopyAt(objective, step=8)
    outcome = train(objective, recipe(), CheckpointFolder(tmp_path), copy)
    assert outcome.best_step == 8
    assert outcome.best == {"perplexity": 1.0}
    assert all(torch.equal(value, objective.weights()[name]) for name, value in copy.copied.items())


def test_micro_batches_change_nothing_but_memory(tmp_path: Path) -> None:
    """Dropout draws the same numbers, too."""
    whole, sliced = Regression(), Regression()
    train(whole, recipe(), CheckpointFolder(tmp_path / "a"), Silent())
    train(sliced, recipe(micro_batches=4), CheckpointFolder(tmp_path / "b"), Silent())
    for name, value in whole.weights().items():
        torch.testing.assert_close(value, sliced.weights()[name], rtol=1e-5, atol=1e-6)


def test_the_users_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(Regression(), recipe(), CheckpointFolder(tmp_path), Silent())
    assert torch.equal(torch.rand(2), expected)


def test_the_users_interrupt_handler_comes_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train(Regression(), recipe(), CheckpointFolder(tmp_path), Silent())
    assert signal.getsignal(signal.SIGINT) is before


@given(st.integers(1, 500), st.data())
def test_the_learning_rate_rises_then_falls_and_never_stops(steps: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, steps))
    schedule = recipe(steps=steps, warmup_steps=warmup, learning_rate=1.0)
    rates = [schedule.learning_rate_at(step) for step in range(steps)]
    assert all(0 < rate <= 1.0 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_dropout_seeds_differ_by_step_and_by_seed() -> None:
    seeds = {dropout_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000

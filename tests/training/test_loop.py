from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from badx_hub.errors import IntegrityError, TrainingDiverged, TrainingInterrupted
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Batch, Plan, Row, Silent, dropout_seed, train


def plan(**changes: float) -> Plan:
    numbers = {
        "steps": 12,
        "learning_rate": 0.05,
        "weight_decay": 0.01,
        "warmup_steps": 2,
        "clip_norm": 1.0,
        "eval_every": 4,
        "save_every": 3,
        "micro_batches": 1,
        "seed": 1,
    }
    return Plan(**{**numbers, **changes})


class Toy(nn.Module):
    """Squared error, with dropout, so that the random state matters."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return ((self.linear(self.dropout(x)).squeeze(-1) - y) ** 2).sum()


class Regression:
    """An objective whose evaluation can be scripted."""

    unit = "rows"
    selection = "error"
    larger_is_better = False

    def __init__(self, *, dropout: float = 0.5, script: Sequence[float] = ()) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.module = Toy(dropout)
        self.parameters: Mapping[str, nn.Parameter] = dict(self.module.named_parameters())
        self.script = list(script)
        self.interrupt_at: int | None = None
        self.killed_at: int | None = None

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        if step == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        if step == self.killed_at:
            raise RuntimeError("killed")
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=generator)
        y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0])
        return [
            Batch({"x": a, "y": b}, labels=len(a), units=len(a))
            for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True)
        ]

    def evaluate(self) -> Row:
        if self.script:
            return {"error": self.script.pop(0)}
        batch = self.batches(10_000, 1)[0]
        return {"error": float(self.module(**batch.inputs)) / batch.labels}

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}


def test_training_lowers_the_error_and_counts_units(tmp_path: Path) -> None:
    objective = Regression(dropout=0.0)
    outcome = train(objective, plan(steps=60, learning_rate=0.2), CheckpointFolder(tmp_path), Silent(), again="again")
    assert outcome.history[-1]["error"] < 0.2 * outcome.history[0]["error"]
    assert outcome.units == 60 * 8
    assert [row["step"] for row in outcome.history] == list(range(4, 61, 4))


@pytest.mark.parametrize("stop", [1, 5, 8, 11])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, stop: int) -> None:
    whole = Regression()
    straight = train(whole, plan(), CheckpointFolder(tmp_path / "whole"), Silent(), again="")
    broken = Regression()
    broken.interrupt_at = stop
    with pytest.raises(TrainingInterrupted, match="badx-hub train"):
        train(broken, plan(), CheckpointFolder(tmp_path / "broken"), Silent(), again="badx-hub train en-wo")
    resumed = Regression()
    outcome = train(resumed, plan(), CheckpointFolder(tmp_path / "broken"), Silent(), again="")
    assert outcome.history == straight.history
    for name, value in whole.weights().items():
        assert torch.equal(value, resumed.weights()[name]), name


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    whole = Regression()
    train(whole, plan(), CheckpointFolder(tmp_path / "whole"), Silent(), again="")
    killed = Regression()
    killed.killed_at = 7
    folder = CheckpointFolder(tmp_path / "killed")
    with pytest.raises(RuntimeError, match="killed"):
        train(killed, plan(), folder, Silent(), again="")
    saved = folder.load()
    assert saved is not None
    assert saved.step == 6
    resumed = Regression()
    train(resumed, plan(), folder, Silent(), again="")
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())


class CopyAt(Silent):
    """Copies the weights at the evaluation of one step."""

    def __init__(self, objective: Regression, step: int) -> None:
        self.objective, self.step = objective, step
        self.copied: dict[str, Tensor] = {}

    def evaluated(self, step: int, metrics: Row, best: bool) -> None:
        if step == self.step:
            self.copied = self.objective.weights()


def test_the_best_step_is_kept_not_the_last(tmp_path: Path) -> None:
    objective = Regression(script=[3.0, 1.0, 2.0])
    copy = CopyAt(objective, step=8)
    outcome = train(objective, plan(), CheckpointFolder(tmp_path), copy, again="")
    assert outcome.best_step == 8
    assert outcome.best == {"error": 1.0}
    assert all(torch.equal(value, objective.weights()[name]) for name, value in copy.copied.items())


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="--learning-rate"):
        train(
            Regression(dropout=0.0), plan(learning_rate=1e20, steps=50), CheckpointFolder(tmp_path), Silent(), again=""
        )


def test_micro_batches_change_nothing_but_memory(tmp_path: Path) -> None:
    whole, sliced = Regression(dropout=0.0), Regression(dropout=0.0)
    train(whole, plan(), CheckpointFolder(tmp_path / "a"), Silent(), again="")
    train(sliced, plan(micro_batches=4), CheckpointFolder(tmp_path / "b"), Silent(), again="")
    for name, value in whole.weights().items():
        torch.testing.assert_close(value, sliced.weights()[name], rtol=1e-5, atol=1e-6)


def test_the_users_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(Regression(), plan(), CheckpointFolder(tmp_path), Silent(), again="")
    assert torch.equal(torch.rand(2), expected)


def test_the_users_interrupt_handler_comes_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train(Regression(), plan(), CheckpointFolder(tmp_path), Silent(), again="")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_damaged_checkpoint_says_what_to_delete(tmp_path: Path, name: str) -> None:
    train(Regression(), plan(), CheckpointFolder(tmp_path), Silent(), again="")
    damaged = tmp_path / "step-000000009" / name
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(IntegrityError, match="Delete"):
        train(Regression(), plan(), CheckpointFolder(tmp_path), Silent(), again="")


def test_one_whole_checkpoint_at_any_moment(tmp_path: Path) -> None:
    train(Regression(), plan(), CheckpointFolder(tmp_path), Silent(), again="")
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == ["step-000000009"]
    assert not list(tmp_path.rglob("*.pt")) and not list(tmp_path.rglob("*.bin"))


@given(st.integers(1, 500), st.data())
def test_the_learning_rate_rises_then_falls_and_never_stops(steps: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, steps))
    schedule = plan(steps=steps, warmup_steps=warmup, learning_rate=1.0)
    rates = [schedule.learning_rate_at(step) for step in range(steps)]
    assert all(0 < rate <= 1.0 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_dropout_seeds_differ_by_step_and_by_seed() -> None:
    seeds = {dropout_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000

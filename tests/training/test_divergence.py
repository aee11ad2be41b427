"""A training that has diverged is stopped, and told so that the batch can be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from badx_hub.errors import TrainingDiverged, TrainingInterrupted
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.divergence import LEAST, fault_of
from badx_hub.training.loop import Batch, Silent, train
from badx_hub.training.objective import batch_digest
from tests.refusals import refused
from tests.training.regression import Regression, recipe

USUAL = [0.5, 2.0] * LEAST


@pytest.mark.parametrize(
    ("loss", "norm", "before", "told"),
    [
        (1.0, 1.0, USUAL, None),
        (1.0, 900.0, USUAL, None),  # clipped, and harmless
        (float("nan"), 1.0, [], "The loss is nan after step 7"),
        (float("-inf"), 1.0, [], "The loss is -inf after step 7"),
        (1.0, float("inf"), [], "The gradient's norm is inf after step 7"),
        (1.0, 1300.0, USUAL, "The gradient's norm is 1,300 after step 7, and was about 1.25 before"),
        (1.0, 1300.0, USUAL[: LEAST - 1], None),  # nobody knows yet what is usual
        (1.0, 1e6, [5e3] * LEAST, None),
        (1.0, 900.0, [1e-9] * LEAST, None),  # a task that is all learnt, and one hard batch
    ],
)
def test_what_is_a_fault(loss: float, norm: float, before: Sequence[float], told: str | None) -> None:
    assert fault_of(loss, norm, before, 1.0, 7) == told


class Poisoned(Regression):
    """One of its batches has numbers that are far too large."""

    def __init__(self, at: int, factor: float) -> None:
        super().__init__(dropout=0.0)
        self.at, self.factor = at, factor

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        made = super().batches(step, parts)
        if step != self.at:
            return made
        return [replace(part, inputs={**part.inputs, "y": self.factor * part.inputs["y"]}) for part in made]


@pytest.mark.parametrize(("factor", "what"), [(1e5, "The gradient's norm is"), (1e30, "The loss is inf")])
@pytest.mark.parametrize("slices", [1, 4])
def test_the_batch_is_named_by_a_digest_that_does_not_depend_on_slices(
    tmp_path: Path, factor: float, what: str, slices: int
) -> None:
    objective = Poisoned(30, factor)
    (batch,) = objective.batches(30, 1)
    with pytest.raises(TrainingDiverged, match=rf"^{what}.* after step 31.*sha256 {batch_digest(batch)[:16]}\."):
        train(objective, recipe(steps=50, micro_batches=slices), CheckpointFolder(tmp_path), Silent())


def test_the_advice_is_half_the_learning_rate_and_a_restart(tmp_path: Path) -> None:
    with refused(TrainingDiverged, "--learning-rate 0.025 --restart"):
        train(Poisoned(3, 1e30), recipe(), CheckpointFolder(tmp_path), Silent())


def test_a_run_that_goes_on_stumbles_over_the_same_batch(tmp_path: Path) -> None:
    """What was usual is in its checkpoint."""
    checkpoints = CheckpointFolder(tmp_path)
    for _ in range(2):
        with pytest.raises(TrainingDiverged, match="after step 31"):
            train(Poisoned(30, 1e5), recipe(steps=50, save_every=29), checkpoints, Silent())
        assert checkpoints.step == 29


def test_the_norms_are_kept_over_a_stop(tmp_path: Path) -> None:
    checkpoints, objective = CheckpointFolder(tmp_path), Regression()
    objective.interrupt_at = 5
    with pytest.raises(TrainingInterrupted):
        train(objective, recipe(), checkpoints, Silent())
    saved = checkpoints.load()
    assert saved is not None
    assert len(saved.norms) == saved.step > 0
    assert torch.tensor(saved.norms).isfinite().all()


def test_digests_tell_batches_apart_by_numbers_shapes_and_names() -> None:
    x = torch.arange(6)
    batches = [
        {"x": x},
        {"y": x},
        {"x": x.view(2, 3)},
        {"x": x.int()},
        {"x": torch.tensor([0, 1, 2, 3, 4, 6])},
        {"x": x, "y": x},
    ]
    assert len({batch_digest(Batch(inputs, 1, 1)) for inputs in batches}) == len(batches)
    assert batch_digest(Batch({"x": x, "y": x + 1}, 1, 1)) == batch_digest(Batch({"y": x + 1, "x": x}, 2, 2))

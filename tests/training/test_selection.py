"""Which weights are kept: those of the best evaluation, those of the last step, or a mean over evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from badx_hub.errors import TrainingInterrupted, UsageError
from badx_hub.recipes import TrainingRecipe, load_recipe, override
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import EvaluationRow, Silent, train
from badx_hub.training.selection import evaluated_steps
from tests.training.regression import Regression, recipe


class Copies(Silent):
    """Copies the weights at every evaluation."""

    def __init__(self, objective: Regression) -> None:
        self.objective = objective
        self.at: dict[int, Mapping[str, Tensor]] = {}

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        self.at[step] = self.objective.weights()


def selecting(select: str, over: int = 5, **changes: float) -> TrainingRecipe:
    return override(recipe(**changes), {"select": select, "average_over": over})


@pytest.mark.parametrize(("steps", "over", "averaged"), [(12, 2, (8, 12)), (13, 3, (8, 12, 13)), (12, 9, (4, 8, 12))])
def test_the_average_is_the_mean_over_the_last_evaluations(
    tmp_path: Path, steps: int, over: int, averaged: tuple[int, ...]
) -> None:
    objective = Regression()
    copies = Copies(objective)
    chosen = selecting("average", over, steps=steps)
    outcome = train(objective, chosen, CheckpointFolder(tmp_path), copies)
    assert evaluated_steps(chosen)[-over:] == averaged
    for name, value in objective.weights().items():
        torch.testing.assert_close(value, torch.stack([copies.at[step][name] for step in averaged]).mean(0))
    # The scores are those of the average, which no row of the history has.
    assert outcome.best == objective.evaluate()
    assert outcome.best["perplexity"] not in [row["perplexity"] for row in outcome.history]
    assert outcome.best_step == steps


def test_the_last_step_is_kept_though_another_was_better(tmp_path: Path) -> None:
    objective = Regression(script=[3.0, 1.0, 2.0])
    copies = Copies(objective)
    outcome = train(objective, selecting("last"), CheckpointFolder(tmp_path), copies)
    assert (outcome.best_step, outcome.best) == (12, {"perplexity": 2.0})
    assert all(torch.equal(value, copies.at[12][name]) for name, value in objective.weights().items())


@pytest.mark.parametrize("stop", [3, 5, 8, 9, 11])
@pytest.mark.parametrize("select", ["last", "average"])
def test_a_stopped_run_keeps_the_same_weights_to_the_bit(tmp_path: Path, select: str, stop: int) -> None:
    chosen = selecting(select, 3, eval_every=2)
    whole, broken, resumed = Regression(), Regression(), Regression()
    straight = train(whole, chosen, CheckpointFolder(tmp_path / "whole"), Silent())
    broken.interrupt_at = stop
    folder = CheckpointFolder(tmp_path / "broken")
    with pytest.raises(TrainingInterrupted):
        train(broken, chosen, folder, Silent())
    saved = folder.load()
    # One copy of the weights at most, however many evaluations are averaged.
    assert saved is not None and len(saved.best_weights) in (0, len(saved.weights))
    outcome = train(resumed, chosen, folder, Silent())
    assert (outcome.history, outcome.best) == (straight.history, straight.best)
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())


def test_runs_that_select_the_best_keep_their_keys() -> None:
    best = load_recipe("paper").language
    assert not {"select", "average_over"} & best.identity().keys()
    assert override(best, {"average_over": 7}).identity() == best.identity()
    last, average = (override(best, {"select": select}) for select in ("last", "average"))
    assert last.identity() == {**best.identity(), "select": "last"}
    assert average.identity() == {**best.identity(), "select": "average", "average_over": 5}


def test_what_was_kept_is_told_in_words() -> None:
    assert recipe().kept(1200) == "step 1,200"
    assert selecting("average", 3).kept(1200) == "mean of the last 3 evaluations, to step 1,200"
    with pytest.raises(UsageError, match=r"select: .*'best', 'last' or 'average'"):
        override(recipe(), {"select": "worst"})

"""Which weights a training leaves: those of the best evaluation, those of the last, or a mean over evaluations.

The mean runs along, so it takes the memory of one copy however many evaluations it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from badx_hub.metric_key import MetricKey
from badx_hub.recipes import TrainingRecipe

Weights: TypeAlias = Mapping[str, Tensor]
History: TypeAlias = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Kept:
    """What is kept so far. `row` is an index in the history; no `weights`: those that the model has are meant."""

    row: int = 0
    weights: Weights = field(default_factory=dict)


def keep(
    recipe: TrainingRecipe, before: Kept, history: History, weights: Callable[[], Weights], *, better: bool
) -> Kept:
    """What is kept after the last evaluation in `history`.

    Args:
        before: what was kept before it.
        weights: makes a copy of the weights as they are; called only if they are kept.
        better: whether the evaluation is the best so far.
    """
    row = len(history) - 1
    if recipe.select == "best":
        return Kept(row, weights()) if better else before
    if recipe.select == "last":
        return Kept(row)
    averaged = evaluated_steps(recipe)[-recipe.average_over :]
    step = int(history[row]["step"])
    return Kept(row, _mean(before.weights, weights(), averaged.index(step))) if step in averaged else Kept(row)


def evaluated_steps(recipe: TrainingRecipe) -> tuple[int, ...]:
    """The steps after which a training is evaluated: every `eval_every` and the last one."""
    return (*range(recipe.eval_every, recipe.steps, recipe.eval_every), recipe.steps)


def is_better(selection: MetricKey, history: History) -> bool:
    """Whether the last evaluation in `history` is better than all before it."""
    values = [row[str(selection)] for row in history]
    if selection.larger_is_better:
        return all(values[-1] > value for value in values[:-1])
    return all(values[-1] < value for value in values[:-1])


def _mean(mean: Weights, new: Weights, count: int) -> Weights:
    """The mean of `count` + 1 weights, where `mean` is that of the first `count`."""
    if not count:
        return new
    return {name: torch.lerp(mean[name], value, 1 / (count + 1)) for name, value in new.items()}

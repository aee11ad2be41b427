"""How long the steps of a study will take, from what the same base took before. Nothing measured: nothing said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from badx_hub.grid.plan import Evaluate, TrainLanguage, TrainTask
from badx_hub.grid.runner import State, StepStatus
from badx_hub.grid.study import Study
from badx_hub.manifest import TRAINED
from badx_hub.registry import Entry

Sort = tuple[str | None, bool]
"""Trainings of like speed: the task (None: of a language-side adapter), and whether the whole base is trained."""


@dataclass(frozen=True)
class StepEstimate:
    """Of one step: optimizer steps in all, units (tokens or sentences) still to read, seconds for them.

    `seconds` is None where nothing like it was measured.
    """

    steps: int
    units: int
    seconds: float | None


def rates_of(entries: Iterable[Entry], base: str) -> Mapping[Sort, float]:
    """Units a second, evaluations included, over all that was trained on the base of that digest."""
    units, seconds = defaultdict[Sort, int](int), defaultdict[Sort, float](float)
    for manifest in (entry.manifest for entry in entries):
        if manifest.base.digest == base and manifest.origin == TRAINED and manifest.training.seconds > 0:
            sort = manifest.task, manifest.kind == "model"
            units[sort] += manifest.training.tokens or manifest.training.sentences or 0
            seconds[sort] += manifest.training.seconds
    return {sort: units[sort] / seconds[sort] for sort in units if units[sort]}


def cost_of(seen: StepStatus, study: Study, rates: Mapping[Sort, float]) -> StepEstimate | None:
    """What is left to do of a training step; None for an evaluation, which takes a moment and is not measured."""
    step = seen.step
    if isinstance(step, Evaluate):
        return None
    steps, a_step, sort = _training(step, study)
    left = 0 if seen.state is State.DONE else (steps - seen.resumed) * a_step
    rate = rates.get(sort)
    return StepEstimate(steps, left, left / rate if rate else None if left else 0.0)


def _training(step: TrainLanguage | TrainTask, study: Study) -> tuple[int, int, Sort]:
    """Optimizer steps, units read in each, and trainings of what sort are as fast."""
    if isinstance(step, TrainTask):
        recipe = study.task_recipe(step.task, step.seed)
        return recipe.steps, recipe.batch_size, (step.task, step.setup.trains_base)
    language = study.language_recipe(step.mixture, step.seed)
    return language.steps, language.batch_size * language.max_length, (None, False)

"""How long the steps of a study will take, estimated from earlier trainings on the same base."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType

from badx_hub.errors import UsageError
from badx_hub.manifest import TRAINED, BaseRef
from badx_hub.registry import Entry
from badx_hub.remedies import Advice
from badx_hub.studies.plan import Evaluate, MergeAdapters, Step, StepKind, TrainLanguage, TrainTask
from badx_hub.studies.runner import StepState, StepStatus
from badx_hub.studies.simulate import SimulatedStep
from badx_hub.studies.step_timings import Timing
from badx_hub.studies.study import Study

LANGUAGE_RATE = "language"
"""What language adapters are called where tasks are called by their names."""

_OVERHEAD: Mapping[StepKind, float] = {
    StepKind.LANGUAGE: 15.0,
    StepKind.MERGE: 15.0,
    StepKind.TASK: 15.0,
    StepKind.EVALUATE: 60.0,
}
"""Seconds of a step beside what it is trained, where no step of its kind was timed."""

SpeedClass = tuple[str | None, bool]
"""Trainings of similar speed: (task, or None for language adapters; whether the whole base is trained)."""


@dataclass(frozen=True)
class StepEstimate:
    """One training step of a study: its optimizer steps, the units (tokens or sentences) left, the seconds for them.

    `seconds` is None if no training of its speed class was measured.
    """

    steps: int
    units: int
    seconds: float | None


def rates_of(entries: Iterable[Entry], base: BaseRef) -> Mapping[SpeedClass, float]:
    """Units per second, evaluations included, over all adapters trained on the base `base`."""
    units, seconds = defaultdict[SpeedClass, int](int), defaultdict[SpeedClass, float](float)
    for manifest in (entry.manifest for entry in entries):
        if manifest.base.has_weights_of(base) and manifest.origin == TRAINED and manifest.training.seconds > 0:
            speed_class = manifest.task, manifest.kind == "model"
            units[speed_class] += manifest.training.tokens or manifest.training.sentences or 0
            seconds[speed_class] += manifest.training.seconds
    return {speed_class: units[speed_class] / seconds[speed_class] for speed_class in units if units[speed_class]}


def estimate_of(status: StepStatus, study: Study, rates: Mapping[SpeedClass, float]) -> StepEstimate | None:
    """What is left of a training step; None for a merge and an evaluation, which are short and not measured."""
    step = status.step
    if isinstance(step, (Evaluate, MergeAdapters)):
        return None
    steps, units_per_step, speed_class = _training(step, study)
    left = 0 if status.state is StepState.DONE else (steps - status.resumed) * units_per_step
    rate = rates.get(speed_class)
    return StepEstimate(steps, left, left / rate if rate else None if left else 0.0)


def _training(step: TrainLanguage | TrainTask, study: Study) -> tuple[int, int, SpeedClass]:
    """Optimizer steps, units read in each of them, and the speed class."""
    if isinstance(step, TrainTask):
        recipe = study.task_recipe(step.task, step.seed, step.label)
        return recipe.steps, recipe.batch_size, (step.task, step.setup.trains_base)
    language = study.language_recipe(step.mixture, step.seed, step.label)
    return language.steps, language.batch_size * language.max_length, (None, False)


def simulated_steps(
    steps: Sequence[Step],
    study: Study,
    rates: Mapping[SpeedClass, float],
    timings: Mapping[str, Timing] = MappingProxyType({}),
) -> tuple[SimulatedStep, ...]:
    """All steps of a study, done or not, for `simulate`.

    A training takes its units at the rate of its speed class. What those of its kind took beyond that (`timings`, by
    their names), at the median, is the overhead of its start. A step that is no training takes the median of its kind.

    Raises UsageError if a training's speed was not measured.
    """
    places = {step.name: place for place, step in enumerate(steps)}
    training = {
        step.name: _seconds(step, study, rates) for step in steps if isinstance(step, TrainLanguage | TrainTask)
    }
    beyond = defaultdict[StepKind, list[float]](list)
    for name, one in timings.items():
        if name in places:
            beyond[one.kind].append(max(0.0, one.seconds - training.get(name, 0.0)))
    found = []
    for step in steps:
        overhead = median(beyond[step.kind]) if beyond[step.kind] else _OVERHEAD[step.kind]
        needs = tuple(places[need] for need in step.needs)
        found.append(SimulatedStep(training.get(step.name, 0.0), needs, overhead))
    return tuple(found)


def _seconds(step: TrainLanguage | TrainTask, study: Study, rates: Mapping[SpeedClass, float]) -> float:
    count, units, speed_class = _training(step, study)
    if (rate := rates.get(speed_class)) is None:
        what = speed_class[0] or LANGUAGE_RATE
        raise UsageError(
            f"How fast {step.name} is trained was not measured on this base.",
            remedies=(Advice("Give {}, in tokens or sentences a second.", (("rate", (what, "N")),)),),
        )
    return count * units / rate

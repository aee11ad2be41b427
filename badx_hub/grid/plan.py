"""The steps of a study as a graph: everything is trained once, and after what it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import ClassVar, TypeAlias

from badx_hub.base_spec import spec_slug
from badx_hub.grid.study import Study, Variant
from badx_hub.languages import Mixture, pair
from badx_hub.names import AdapterName
from badx_hub.setups import LanguageAdapterRole, Setup
from badx_hub.training.runs import seed_label


class StepKind(str, Enum):
    """What a step does."""

    LANGUAGE = "train-language"
    TASK = "train-task"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class TrainLanguage:
    """Train the language adapter of a mixture. `name` is the name of the adapter."""

    name: str
    mixture: Mixture
    seed: int
    needs: tuple[str, ...] = ()
    kind: ClassVar[StepKind] = StepKind.LANGUAGE


@dataclass(frozen=True)
class TrainTask:
    """Train a task adapter, or the whole base if the setup says so, on the adapters named in `needs`.

    `mixture` is the one of the first target; other targets may share the adapter, whose name is `name`.
    """

    name: str
    setup: Setup
    mixture: Mixture
    task: str
    seed: int
    needs: tuple[str, ...]
    kind: ClassVar[StepKind] = StepKind.TASK


@dataclass(frozen=True)
class Evaluate:
    """Score a stack on a target. The first of `needs` is its task adapter, the second its language adapter, if any.

    `pair` is source and target with the ratio asked for. `name` looks like "pos/wo/bad-x@5:1".
    """

    name: str
    variant: Variant
    pair: Mixture
    task: str
    target: str
    seed: int
    needs: tuple[str, ...]
    kind: ClassVar[StepKind] = StepKind.EVALUATE


Step: TypeAlias = "TrainLanguage | TrainTask | Evaluate"
"""A step of a study, as data. `name` is unique in the study; `needs` has the names of the steps that come before it."""


def plan_of(study: Study) -> tuple[Step, ...]:
    """The steps of a study, each once and after the steps it needs; related steps are close together."""
    steps: dict[str, Step] = {}
    for block in study.blocks:
        for target, task, variant, seed in product(
            block.targets, block.tasks, block.setups, block.seeds or study.seeds
        ):
            for step in _steps(study, variant, task, target, seed):
                steps.setdefault(step.name, step)
    return tuple(steps.values())


def with_needs(steps: Sequence[Step], names: Iterable[str]) -> tuple[Step, ...]:
    """The steps with these names and all steps they need, in the order of `steps`."""
    wanted = set(names)
    for step in reversed(steps):
        if step.name in wanted:
            wanted.update(step.needs)
    return tuple(step for step in steps if step.name in wanted)


def _steps(study: Study, variant: Variant, task: str, target: str, seed: int) -> Iterator[Step]:
    """The steps of one cell of the study: language adapters, the task adapter on them, the evaluation."""
    setup, mixture = variant.setup, study.mixture(variant, target)
    base, label = spec_slug(study.base), seed_label(seed)
    in_training = tuple(dict.fromkeys(setup.language_adapters(mixture)))
    at_inference = _at_inference(setup, mixture, target)
    for one in dict.fromkeys((*in_training, *at_inference)):
        yield TrainLanguage(str(AdapterName(base, one, label=label)), one, seed)
    trained = AdapterName(base, setup.mixture(mixture), task=task, setup=setup.name_field, label=label)
    needs = tuple(str(AdapterName(base, one, label=label)) for one in in_training)
    yield TrainTask(str(trained), setup, mixture, task, seed, needs=needs)
    language_adapters = (str(AdapterName(base, one, label=label)) for one in at_inference)
    yield Evaluate(
        f"{task}/{target}/{variant}{f'#{label}' if label else ''}",
        variant,
        pair(study.source, target, variant.ratio),
        task,
        target,
        seed,
        needs=(str(trained), *language_adapters),
    )


def _at_inference(setup: Setup, mixture: Mixture, target: str) -> tuple[Mixture, ...]:
    """The language adapter below the task adapter at inference; empty if there is none."""
    if setup.inference is None:
        return ()
    return (Mixture.of(target) if setup.inference is LanguageAdapterRole.TARGET else setup.mixture(mixture),)

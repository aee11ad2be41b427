"""The steps of a study as a graph: everything is trained once, and after what it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import ClassVar, TypeAlias

from badx_hub.base_spec import spec_slug
from badx_hub.languages import Mixture, pair
from badx_hub.names import AdapterName
from badx_hub.setups import LanguageAdapterRole, Setup, label_for
from badx_hub.studies.study import Study
from badx_hub.studies.variant import Variant
from badx_hub.training.runs import run_label, seed_label


class StepKind(str, Enum):
    """What a step does."""

    LANGUAGE = "train-language"
    MERGE = "merge"
    TASK = "train-task"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class TrainLanguage:
    """Train the language adapter of a mixture. `name` is the name of the adapter.

    `label`, here and in other steps, names one of the study's other recipes.
    """

    name: str
    mixture: Mixture
    seed: int
    needs: tuple[str, ...] = ()
    label: str | None = None
    kind: ClassVar[StepKind] = StepKind.LANGUAGE


@dataclass(frozen=True)
class MergeAdapters:
    """Make the mean of the LAs of a mixture, which `needs` names in its order. `name` is the name of the mean."""

    name: str
    mixture: Mixture
    seed: int
    needs: tuple[str, ...]
    label: str | None = None
    kind: ClassVar[StepKind] = StepKind.MERGE


@dataclass(frozen=True)
class TrainTask:
    """Train a task adapter, or the whole base if the setup says so, on the adapters named in `needs`.

    `mixture` is the one of the first target; other targets may share the adapter, whose name is `name`. `label` is
    that of the variant: it may tell annotated sentences of the target too.
    """

    name: str
    setup: Setup
    mixture: Mixture
    task: str
    seed: int
    needs: tuple[str, ...]
    label: str | None = None
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


Step: TypeAlias = "TrainLanguage | MergeAdapters | TrainTask | Evaluate"
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
    base, label = spec_slug(study.base), run_label(seed, variant.label)
    below = _LanguageAdapters(base, seed, variant.recipe)
    in_training = tuple(dict.fromkeys(setup.language_adapters(mixture)))
    at_inference = _at_inference(setup, mixture, target)
    for role, mixtures in ((setup.training, in_training), (setup.inference, at_inference)):
        for one in mixtures:
            yield from below.steps(role, one)
    trained = AdapterName(base, setup.mixture(mixture), task=task, setup=setup.name_field, label=label)
    needs = tuple(below.name(setup.training, one) for one in in_training)
    yield TrainTask(str(trained), setup, mixture, task, seed, needs=needs, label=variant.label)
    yield Evaluate(
        f"{task}/{target}/{variant}{f'#{seed_label(seed)}' if seed_label(seed) else ''}",
        variant,
        pair(study.source, target, variant.ratio),
        task,
        target,
        seed,
        needs=(str(trained), *(below.name(setup.inference, one) for one in at_inference)),
    )


@dataclass(frozen=True)
class _LanguageAdapters:
    """The language adapters of one seed and recipe of a study."""

    base: str
    seed: int
    label: str | None

    def name(self, role: LanguageAdapterRole | None, mixture: Mixture) -> str:
        label = label_for(role, run_label(self.seed, self.label))
        return str(AdapterName(self.base, mixture, label=label))

    def steps(self, role: LanguageAdapterRole | None, mixture: Mixture) -> Iterator[Step]:
        if role is not LanguageAdapterRole.MERGED:
            yield TrainLanguage(self.name(role, mixture), mixture, self.seed, label=self.label)
            return
        parts = [Mixture.of(language) for language in mixture.languages]
        for one in parts:
            yield from self.steps(None, one)
        needs = tuple(self.name(None, one) for one in parts)
        yield MergeAdapters(self.name(role, mixture), mixture, self.seed, needs, self.label)


def _at_inference(setup: Setup, mixture: Mixture, target: str) -> tuple[Mixture, ...]:
    """The language adapter below the task adapter at inference; empty if there is none."""
    match setup.inference:
        case None:
            return ()
        case LanguageAdapterRole.TARGET:
            return (Mixture.of(target),)
        case LanguageAdapterRole.MERGED:
            return (mixture,)
        case _:
            return (setup.mixture(mixture),)

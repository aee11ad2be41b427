"""Results: one stack judged on one split, with what it cost; what comparisons and studies are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isclose, prod
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import safe_open
from typing_extensions import Self

from badx_hub.errors import HubError
from badx_hub.evaluation import Evaluation
from badx_hub.manifest import IMPORTED, LanguageAdapterRef
from badx_hub.registry import Entry, Registry
from badx_hub.registry.chain import RegistryChain

CountPair = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]

_TOLERANCE = 1e-6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cost(_Frozen):
    """What it took to make a stack (every adapter trained for it, those of training too) and to keep it.

    `trained` and `stored` count weights: those trained at any time, and those kept to serve the stack, base aside.
    `unknown` is the number of adapters whose training is in none of the sums, because nobody knows what it took: they
    were imported, or are language adapters that the task adapter was trained on and that are not here.
    """

    steps: int
    tokens: int
    sentences: int
    seconds: float
    trained: int
    stored: int
    unknown: int = 0


class Result(_Frozen):
    """One stack's scores: `metrics` as fractions, `metric` the one that tallies and comparisons are about.

    `mixture` is that of the pair asked for, with its ratio ("en-wo@5:1"), `adapters` are (name, digest) of the stack,
    `data` (name, digest) of the files. The sum of gains over the sum of stakes in `tallies` is `metrics[metric]`.
    """

    base: str
    mixture: str
    source: str
    target: str
    task: str
    setup: str
    seed: int
    adapters: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    split: str
    metric: str
    metrics: dict[str, float]
    tallies: tuple[CountPair, ...]
    cost: Cost

    @model_validator(mode="after")
    def _counts_give_the_metric(self) -> Self:
        if self.metric not in self.metrics:
            raise ValueError(f"there is no {self.metric} among the metrics {', '.join(self.metrics)}")
        denominator = sum(denominator for _, denominator in self.tallies)
        told = sum(numerator for numerator, _ in self.tallies) / denominator if denominator else 0.0
        if not isclose(told, self.metrics[self.metric], abs_tol=_TOLERANCE):
            raise ValueError(f"{self.metric} is {self.metrics[self.metric]}, but {told} by the tallies")
        return self


def cost_of(stack: Iterable[Entry], registry: Registry) -> Cost:
    """What the adapters of `stack`, and those its task adapter was trained on, cost, each counted once."""
    served = {entry.manifest.digest: entry for entry in stack}
    language_adapters = {ref.digest: ref for entry in served.values() for ref in entry.manifest.language_adapters}
    found = {digest: served.get(digest) or _found(ref, registry) for digest, ref in language_adapters.items()}
    made = served | {digest: entry for digest, entry in found.items() if entry is not None}
    trainings = [entry.manifest.training for entry in made.values()]
    weights = {digest: _weights(registry.fetch(entry)) for digest, entry in made.items()}
    return Cost(
        steps=sum(training.steps for training in trainings),
        tokens=sum(training.tokens or 0 for training in trainings),
        sentences=sum(training.sentences or 0 for training in trainings),
        seconds=sum(training.seconds for training in trainings),
        trained=sum(weights.values()),
        stored=sum(weights[digest] for digest in served),
        unknown=sum(entry is None or entry.manifest.origin == IMPORTED for entry in {**made, **found}.values()),
    )


def result_of(
    evaluation: Evaluation, stack: Iterable[Entry], registry: Registry, *, mixture: str, target: str, metric: str
) -> Result:
    """The result of an evaluation of `stack`, asked for as `mixture`, on data of `target`."""
    entries = tuple(stack)
    manifest = entries[-1].manifest
    return Result(
        base=manifest.base.name,
        mixture=mixture,
        source=manifest.languages.source,
        target=target,
        task=str(manifest.task),
        setup=evaluation.setup,
        seed=manifest.seed,
        adapters=tuple((entry.manifest.name, entry.manifest.digest) for entry in entries),
        data=tuple((file.name, file.digest) for file in evaluation.references),
        split=evaluation.split,
        metric=metric,
        metrics=dict(evaluation.scores.metrics),
        tallies=evaluation.tallies,
        cost=cost_of(entries, registry),
    )


def _found(ref: LanguageAdapterRef, registry: Registry) -> Entry | None:
    """An adapter by its digest, from the first place that has it; those farther away are not asked then."""
    for place in _places(registry):
        try:
            entries = place.by_digest(ref.digest, ref.name)
        except HubError:
            continue
        if entries:
            return entries[-1]
    return None


def _places(registry: Registry) -> Iterator[Registry]:
    return registry.registries if isinstance(registry, RegistryChain) else iter((registry,))


def _weights(folder: Path) -> int:
    """How many numbers the safetensors files of an adapter hold."""
    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            count += sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no mapping
    return count

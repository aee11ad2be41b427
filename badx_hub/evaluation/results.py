"""Results: the scores of one stack on one split, with its cost. Comparisons and studies are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isclose, prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator
from safetensors import safe_open
from typing_extensions import Self

from badx_hub.errors import DataError, HubError
from badx_hub.evaluation import Evaluation
from badx_hub.manifest import IMPORTED, MERGED, LanguageAdapterRef
from badx_hub.manifest_fields import MergedRef
from badx_hub.recipes.model import StrictModel
from badx_hub.registry import Entry, Registry
from badx_hub.registry.chain import RegistryChain
from badx_hub.remedies import Advice, RunAgain
from badx_hub.storage import storage_errors

Option = str | bool | int | float
CountPair = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]

_TOLERANCE = 1e-6


class Cost(StrictModel):
    """What it took to make a stack and to keep it; all adapters count that were trained for it.

    Attributes:
        steps, tokens, sentences, seconds: sums over the trainings.
        trained: weights that were trained at any time.
        stored: weights that are kept to serve the stack, without the base.
        unknown: adapters whose training is in none of the sums. They were imported, or the task adapter was trained on
            them and they are not here.
    """

    steps: int
    tokens: int
    sentences: int
    seconds: float
    trained: int
    stored: int
    unknown: int = 0


class Result(StrictModel):
    """The scores of one stack on one split.

    Attributes:
        mixture: the pair asked for, with its ratio ("en-wo@5:1").
        adapters: (name, digest) of the stack's adapters.
        data: (name, digest) of the files.
        metrics: all scores by name, as fractions.
        metric: the one that comparisons are about.
        tallies: (numerator, denominator) of each example; the sum of the numerators over the sum of the denominators
            is `metrics[metric]`.
        options: of the task, defaults included. None, and left out of the JSON text: not recorded (older results).
        label: of a recipe other than the study's, or of other adapters; None, and left out of the JSON text: none.
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
    options: dict[str, Option] | None = None
    label: str | None = None

    @model_serializer(mode="wrap")
    def _without_unknowns(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = serialise(self)
        return {key: one for key, one in value.items() if one is not None or key not in ("options", "label")}

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
    """The cost of the adapters of `stack` and of all that they were made from, each counted once."""
    served = {entry.manifest.digest: entry for entry in stack}
    found: dict[str, Entry | None] = dict(served)
    while missing := _ancestors(entry for entry in found.values() if entry) - {*found}:
        refs = {ref.digest: ref for entry in found.values() if entry for ref in _made_from(entry)}
        found |= {digest: _found(refs[digest], registry) for digest in sorted(missing)}
    made = {digest: entry for digest, entry in found.items() if entry is not None}
    trainings = [entry.manifest.training for entry in made.values()]
    weights = {digest: _weights(registry.fetch(entry)) for digest, entry in made.items()}
    return Cost(
        steps=sum(training.steps for training in trainings),
        tokens=sum(training.tokens or 0 for training in trainings),
        sentences=sum(training.sentences or 0 for training in trainings),
        seconds=sum(training.seconds for training in trainings),
        trained=sum(weights[digest] for digest, entry in made.items() if entry.manifest.origin != MERGED),
        stored=sum(weights[digest] for digest in served),
        unknown=sum(entry is None or entry.manifest.origin == IMPORTED for entry in found.values()),
    )


def _made_from(entry: Entry) -> tuple[LanguageAdapterRef | MergedRef, ...]:
    """What it was trained on, is the mean of, or began as."""
    manifest = entry.manifest
    return (*manifest.language_adapters, *manifest.merged, *((manifest.initial,) if manifest.initial else ()))


def _ancestors(entries: Iterable[Entry]) -> set[str]:
    return {ref.digest for entry in entries for ref in _made_from(entry)}


def result_of(
    evaluation: Evaluation,
    stack: Iterable[Entry],
    registry: Registry,
    *,
    mixture: str,
    target: str,
    metric: str,
    label: str | None = None,
) -> Result:
    """The result of an evaluation of `stack`, asked for as `mixture` and `label`, on data of `target`.

    Many arguments: what was asked for, beside what was found.
    """
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
        options=None if evaluation.options is None else dict(evaluation.options),
        label=label,
    )


def read_result(path: Path) -> Result | None:
    """The result in a file; None if there is no such file. Raises DataError if it holds no result, StorageError."""
    with storage_errors(path):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return Result.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path} is not a sound result.", remedies=(Advice("Remove it."), RunAgain())) from error


def _found(ref: LanguageAdapterRef | MergedRef, registry: Registry) -> Entry | None:
    """An adapter by its digest, from the first registry that has it; the ones after it are not asked."""
    for one in _registries(registry):
        try:
            entries = one.by_digest(ref.digest, ref.name)
        except HubError:
            continue
        if entries:
            return entries[-1]
    return None


def _registries(registry: Registry) -> Iterator[Registry]:
    return registry.registries if isinstance(registry, RegistryChain) else iter((registry,))


def _weights(folder: Path) -> int:
    """How many numbers the safetensors files of an adapter hold."""
    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            count += sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no mapping
    return count

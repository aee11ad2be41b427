"""Results: one stack judged on one split, with what it cost; what comparisons and studies are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from safetensors import safe_open

from badx_hub.evaluation import Evaluation
from badx_hub.manifest import Manifest
from badx_hub.registry import Entry, Registry

Tally = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cost(_Frozen):
    """What it took to make a stack (every adapter trained for it, those of training too) and to keep it.

    `trained` and `stored` count weights: those trained at any time, and those kept to serve the stack, base aside.
    """

    steps: int
    tokens: int
    sentences: int
    seconds: float
    trained: int
    stored: int


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
    tallies: tuple[Tally, ...]
    cost: Cost


def cost_of(stack: Iterable[Entry], registry: Registry) -> Cost:
    """What the adapters of `stack`, and those that carried its task adapter in training, cost.

    Raises NotFoundError if one of them is not in `registry`.
    """
    served = tuple(stack)
    made = {entry.manifest.digest: entry for entry in (*served, *_carriers(served[-1].manifest, registry))}
    trainings = [entry.manifest.training for entry in made.values()]
    weights = {digest: _weights(registry.fetch(entry)) for digest, entry in made.items()}
    return Cost(
        steps=sum(training.steps for training in trainings),
        tokens=sum(training.tokens or 0 for training in trainings),
        sentences=sum(training.sentences or 0 for training in trainings),
        seconds=sum(training.seconds for training in trainings),
        trained=sum(weights.values()),
        stored=sum(weights[entry.manifest.digest] for entry in served),
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


def _carriers(manifest: Manifest, registry: Registry) -> tuple[Entry, ...]:
    found = []
    for parent in manifest.carriers:
        entries = registry.by_digest(parent.digest, parent.name)
        found += list(entries[-1:])
    return tuple(found)


def _weights(folder: Path) -> int:
    """How many numbers the safetensors files of an adapter hold."""
    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            for key in file.keys():  # noqa: SIM118 - not a mapping
                size = 1
                for length in file.get_slice(key).get_shape():
                    size *= length
                count += size
    return count

"""Training a task adapter on a frozen language-side adapter, with source annotations only (BAD-X)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from badx_hub.languages import Mixture
from badx_hub.manifest import ParentRef, SourceRef
from badx_hub.modeling.base import DEFAULT_BASE, Base, base_of, resolve_base
from badx_hub.modeling.inference import predict_windows
from badx_hub.modeling.models import load_encoder, load_tokenizer
from badx_hub.modeling.stacks import activate, add_adapter, load_adapter, own_parameters
from badx_hub.names import AdapterName
from badx_hub.recipes import TaskRecipe
from badx_hub.registry import Entry, Registry, Wanted, resolve
from badx_hub.registry.resolve import TA_ONLY
from badx_hub.tasks import AnyTask, task_named
from badx_hub.tasks.base import EpochBatches, labelled_only
from badx_hub.tasks.treebanks import Split
from badx_hub.training.loop import Batch, Reporter, Row, Silent
from badx_hub.training.runs import Run, Trained, seed_label

_SPLITS: tuple[Split, ...] = ("train", "dev")


class _TaskModel(nn.Module):
    """The stack with its head; returns the loss summed over the labelled positions."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, scored: Tensor, **inputs: Tensor) -> Tensor:
        loss: Tensor = self.model(**inputs).loss
        return loss * scored


class TaskObjective:
    """A task adapter and its head on a frozen stack, judged on the source language's development data."""

    unit = "sentences"
    larger_is_better = True

    def __init__(
        self,
        model: Any,
        name: AdapterName,
        task: AnyTask,
        tokenizer: Any,
        examples: Mapping[Split, Sequence[Any]],
        labels: tuple[str, ...],
        recipe: TaskRecipe,
    ) -> None:
        self.model, self.task, self.recipe, self.labels = model, task, recipe, labels
        self.module: nn.Module = _TaskModel(model)
        self.parameters = own_parameters(model, name)
        self.pad_id: int = tokenizer.pad_token_id
        self.source = name.mixture.source
        self.dev = examples["dev"]
        self.dev_windows = task.encode(self.dev, tokenizer, recipe.max_length)
        self.windows = labelled_only(task.encode(examples["train"], tokenizer, recipe.max_length))
        self.order = EpochBatches(self.windows, recipe.batch_size, recipe.seed)
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)

    @property
    def selection(self) -> str:
        """The task's metric on the source language's development data (BAD-X)."""
        return f"{self.source}/{self.task.selection_metric}"

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        """`batch_size` windows of similar length, in up to `parts` slices."""
        chosen = [self.windows[index] for index in self.order[step]]
        size = -(-len(chosen) // parts)
        slices = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        return [self._batch(part) for part in slices]

    def evaluate(self) -> Row:
        """The task's metrics on the development data."""
        predictions = predict_windows(
            self.model,
            self.task,
            self.dev_windows,
            examples=self.dev,
            labels=self.labels,
            pad_id=self.pad_id,
            batch_size=4 * self.recipe.batch_size,
        )
        metrics = self.task.score(self.dev, predictions).metrics
        return {f"{self.source}/{metric}": value for metric, value in metrics.items()}

    def _batch(self, windows: Sequence[Any]) -> Batch:
        inputs = self.task.collate(windows, self.labels, self.pad_id)
        scored = self.task.gold_count(inputs)
        return Batch({**inputs, "scored": torch.tensor(scored)}, labels=scored, units=len(windows))


def train_task_adapter(
    mixture: Mixture,
    task: str,
    recipe: TaskRecipe,
    *,
    data: str,
    registry: Registry,
    base: str | None = None,
    setup: str = "bad-x",
    label: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
    again: str = "train again",
) -> Trained:
    """Train a task adapter and its head on source annotations and publish it in `registry`.

    Args:
        mixture: of the language-side adapter that carries it; its source is the language of `data`.
        data: what the task reads, such as a folder with `*-ud-{train,dev}.conllu`.
        base: `demo`, a folder or a Hub id; default the base of the language-side adapter (mBERT for "ta-only").
        setup: "bad-x" (on the adapter of `mixture`) or "ta-only" (on the bare base).
        label: as of the language-side adapter; default none for seed 1, else `seedN`.
        force: train although the registry holds this very run.
        again: what a user types to go on after an interruption.

    Raises:
        UsageError, DataError, NotFoundError, IntegrityError, StorageError: before anything is published.
        TrainingInterrupted: Ctrl-C; the same call goes on.
    """
    registry.require_writable()
    chosen, name_label = task_named(task, recipe.options), label or seed_label(recipe.seed)
    carrier = None if setup == TA_ONLY else _carrier(mixture, base, name_label, registry)
    found = base_of(carrier.manifest.base, base) if carrier else resolve_base(base or DEFAULT_BASE)
    name = (
        AdapterName(found.slug, mixture, task=task, label=name_label)
        if carrier
        else AdapterName(found.slug, Mixture.parse(mixture.source), task=task, setup=TA_ONLY, label=name_label)
    )
    read = {split: chosen.read(data, split) for split in _SPLITS}
    labels = chosen.labels(read["train"])
    examples = {split: chosen.aligned(found_examples, labels) for split, found_examples in read.items()}
    run = Run(
        name,
        found,
        recipe,
        sources=tuple(
            SourceRef(language=mixture.source, name=file.name, digest=file.digest, counts={})
            for split in _SPLITS
            for file in chosen.references(data, split)
        ),
        parent=ParentRef(name=str(carrier.name), digest=carrier.manifest.digest) if carrier else None,
        labels=labels,
    )
    if not force and (done := run.published_in(registry)):
        return Trained(done, already=True)
    objective, model = _objective(run, found, recipe, chosen, examples, carrier, registry)
    return run.execute(model, objective, registry, reporter or Silent(), again=again, force=force, counts=dict)


def _carrier(mixture: Mixture, base: str | None, label: str | None, registry: Registry) -> Entry:
    wanted = Wanted(mixture, None, base=base, label=label)
    return resolve(registry.list(), wanted, broken=registry.problems()).entry


def _objective(
    run: Run,
    base: Base,
    recipe: TaskRecipe,
    task: AnyTask,
    examples: Mapping[Split, Sequence[Any]],
    carrier: Entry | None,
    registry: Registry,
) -> tuple[TaskObjective, Any]:
    model = load_encoder(base)
    stack = [carrier.name] if carrier else []
    if carrier:
        load_adapter(model, carrier.name, registry.fetch(carrier))
    labels = run.labels or ()
    add_adapter(model, run.name, recipe.adapter, seed=recipe.seed)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        task.add_head(model, run.name.module_name, labels)
    activate(model, [*stack, run.name])
    model.active_head = run.name.module_name
    return TaskObjective(model, run.name, task, load_tokenizer(base), examples, labels, recipe), model

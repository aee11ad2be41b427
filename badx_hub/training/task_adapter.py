"""Training a task adapter on frozen language adapters, with source annotations only (BAD-X) or a few of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from badx_hub.arguments import checked
from badx_hub.corpora.schedule import draws_before, language_at
from badx_hub.data.splits import Split
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest_fields import Calibration
from badx_hub.metric_key import MetricKey
from badx_hub.modeling.base import DEFAULT_BASE, base_of, resolve_base
from badx_hub.modeling.bfloat16 import hold
from badx_hub.modeling.fast import Share
from badx_hub.modeling.loading import load_encoder, load_tokenizer
from badx_hub.modeling.model_adapters import activate, add_adapter, load_adapter, trained_parameters, use_vocabulary
from badx_hub.modeling.precision import with_settled_precision
from badx_hub.names import AdapterName, few_label
from badx_hub.recipes import TaskRecipe
from badx_hub.registry import AdapterQuery, Entry, Registry, resolve
from badx_hub.registry.stack_checks import with_vocabulary
from badx_hub.setups import DEFAULT, LanguageAdapterRole, Setup, TargetCoverage, label_for, setup_named
from badx_hub.tasks import Task, task_named
from badx_hub.tasks.batching import EpochBatches, labelled_only, predict_windows
from badx_hub.training.annotated_data import Examples, read_examples
from badx_hub.training.calibration import calibration_of
from badx_hub.training.interrupts import StopRequest
from badx_hub.training.loop import Batch, EvaluationRow, Reporter, Silent
from badx_hub.training.processes import spread
from badx_hub.training.profiling import Profiling
from badx_hub.training.runs import Trained, TrainingRun
from badx_hub.training.task_job import TaskJob

__all__ = ["TRAINING_SPLITS", "TaskJob", "TaskObjective", "planned", "train_job", "train_task_adapter"]

TRAINING_SPLITS: tuple[Split, ...] = ("train", "dev")
"""The splits of the source's annotated data that training reads."""


class _TaskModel(nn.Module):
    """The stack with its head; returns the loss summed over the labelled positions."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, scored: Tensor, **inputs: Tensor) -> Tensor:
        loss: Tensor = self.model(**inputs).loss
        return loss * scored


class TaskObjective:
    """A task adapter and its head on a frozen stack (or a whole base with a head), judged on one language's dev data.

    A step draws its whole batch from the data of one language, in the turns of `examples.mixture`. Several
    `language_adapters` take turns below the task adapter, one a step; with data of several languages it is the one of
    the step's language. Dev data uses that of its language.
    """

    unit = "sentences"

    def __init__(
        self,
        model: Any,
        name: AdapterName,
        language_adapters: Sequence[AdapterName],
        task: Task,
        tokenizer: Any,
        examples: Examples,
        labels: tuple[str, ...],
        recipe: TaskRecipe,
    ) -> None:
        self.model, self.task, self.recipe, self.labels = model, task, recipe, labels
        self.name, self.language_adapters = name, language_adapters
        self.module: nn.Module = _TaskModel(model)
        self.parameters = trained_parameters(model, name)
        self.pad_id: int = tokenizer.pad_token_id
        self.mixture, self.dev, self.dev_language = examples.mixture, examples.dev, examples.dev_language
        self.dev_windows = task.encode(self.dev, tokenizer, recipe.max_length)
        self.windows = {
            language: labelled_only(task.encode(known, tokenizer, recipe.max_length))
            for language, known in examples.train.items()
        }
        self.order = {
            language: EpochBatches(windows, recipe.batch_size, recipe.seed)
            for language, windows in self.windows.items()
        }
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        if recipe.precision == "bf16":
            hold(model)
        self._activate(0, self.dev_language)

    @property
    def selection(self) -> MetricKey:
        """The task's metric on the development data: the source's (BAD-X), unless the target has some."""
        return MetricKey(self.task.selection_metric, self.dev_language)

    def prepare(self, step: int) -> None:
        """Put the step's language adapter below the task adapter."""
        self._activate(step, language_at(self.mixture, step))

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        """`batch_size` windows of one language, of similar length, in up to `parts` slices."""
        language = language_at(self.mixture, step)
        windows, order = self.windows[language], self.order[language]
        chosen = [windows[index] for index in order[draws_before(self.mixture, language, step)]]
        # Padded as one, so that slices are together what the whole batch is.
        inputs, size = self.task.collate(chosen, self.labels, self.pad_id), -(-len(chosen) // parts)
        numbers = ", ".join(str(1 + window.example) for window in chosen)
        origin = f"{language}, numbers {numbers} of its training data"
        return [
            replace(self._slice(inputs, start, min(start + size, len(chosen))), origin=origin)
            for start in range(0, len(chosen), size)
        ]

    def evaluate(self) -> EvaluationRow:
        """The task's metrics on the development data."""
        self._activate(0, self.dev_language)
        predictions = predict_windows(
            self.model, self.task, self.dev_windows, examples=self.dev, each=spread, **self._passes
        )
        metrics = self.task.score(self.dev, predictions).metrics
        return {str(MetricKey(name, self.dev_language)): value for name, value in metrics.items()}

    def calibrate(self) -> Calibration | None:
        """The temperature of the weights as they are now, on the development data."""
        self.model.eval()
        self._activate(0, self.dev_language)
        return calibration_of(self.model, self.task, self.dev_windows, language=self.dev_language, **self._passes)

    @property
    def _passes(self) -> dict[str, Any]:
        return {"labels": self.labels, "pad_id": self.pad_id, "batch_size": 4 * self.recipe.batch_size}

    def _slice(self, inputs: Mapping[str, Tensor], start: int, stop: int) -> Batch:
        cut = {key: values[start:stop] for key, values in inputs.items()}
        scored, rows = self.task.gold_count(cut), Share(start, stop, len(inputs["input_ids"]))
        return Batch({**cut, "scored": torch.tensor(scored)}, labels=scored, units=stop - start, rows=rows)

    def _activate(self, step: int, language: str) -> None:
        """Put the language adapter whose turn it is below the task adapter."""
        below = self._below(step, language)
        activate(self.model, [*below, *([] if self.name.kind == "model" else [self.name])])
        self.model.active_head = self.name.module_name

    def _below(self, step: int, language: str) -> list[AdapterName]:
        if not self.language_adapters:
            return []
        own = [name for name in self.language_adapters if name.mixture.languages == (language,)]
        if own and len(self.mixture.languages) > 1:
            return own[:1]
        return [self.language_adapters[step % len(self.language_adapters)]]


@checked()
def train_task_adapter(
    mixture: Mixture,
    task: str,
    recipe: TaskRecipe,
    *,
    data: str | Path | Mapping[str, str | Path],
    registry: Registry,
    base: str | None = None,
    setup: str = DEFAULT,
    label: str | None = None,
    data_ratio: str | None = None,
    limit: Mapping[str, int] | None = None,
    select_on: str | None = None,
    force: bool = False,
    restart: bool | None = None,
    reporter: Reporter | None = None,
    profiling: Profiling | None = None,
    time_limit: float | None = None,
) -> Trained:
    """Train a task adapter and its head on annotations of the source and publish it in `registry`.

    With annotations of the target as well, `data={"en": "ud:UD_English-EWT", "wo": "my.conllu"}`, it learns from a
    batch of each language in turn, and its label says so: "few-wo-100".

    Many arguments: the fields of a `TaskJob`, then those of `train_job`, in one call without a class to import.

    Args:
        mixture, task, recipe, data, base, setup, label, data_ratio, limit, select_on: as in `TaskJob`.
        force, restart, reporter, profiling: as in `train_job`.

    Raises what `train_job` raises.
    """
    job = TaskJob(mixture, task, recipe, data, base, setup, label, data_ratio, limit, select_on)
    return train_job(
        job, registry, force=force, restart=restart, reporter=reporter, profiling=profiling, time_limit=time_limit
    )


def train_job(
    job: TaskJob,
    registry: Registry,
    *,
    force: bool = False,
    restart: bool | None = None,
    reporter: Reporter | None = None,
    profiling: Profiling | None = None,
    time_limit: float | None = None,
) -> Trained:
    """Train the task adapter of `job` on the language adapters in `registry`, and publish it there.

    Args:
        force: train although the registry holds this very run.
        restart: what to do about a stopped run of this name that had other settings or data. None: leave it alone;
            False: raise SettingsChanged; True: drop it, and what this run did so far, and start again.
        profiling: watches a few steps and writes where their time went; the run stays the same.
        time_limit: seconds, from now on, after which to save a checkpoint and stop; default none.

    Raises:
        UsageError, DataError, NotFoundError, IntegrityError, StorageError: before anything is published.
        TrainingInterrupted: Ctrl-C, SIGTERM, SIGHUP or `time_limit`; the same call continues.
        RunInProgress: another process trains this very run.
    """
    stop = StopRequest(time_limit)
    registry.require_writable()
    job = replace(job, recipe=with_settled_precision(job.recipe))
    ready = _prepared(job, registry)
    if not force and (done := ready.run.finished_in(registry)):
        return done
    objective, model = _objective(ready, job.recipe, registry)
    how: dict[str, Any] = {"force": force, "restart": restart, "profiling": profiling, "stop": stop}
    return ready.run.execute(
        model, objective, registry, reporter or Silent(), counts=dict, calibrate=objective.calibrate, **how
    )


def planned(job: TaskJob, registry: Registry) -> TrainingRun:
    """The run that `train_job` would do with the same arguments. Nothing is loaded or trained.

    Raises NotFoundError if a language adapter is not in `registry`, and what reading the data raises.
    """
    return _prepared(job, registry).run


@dataclass(frozen=True)
class _Prepared:
    """A run with its task as the recipe wants it, its examples and its language adapters in the order of turns."""

    run: TrainingRun
    task: Task
    examples: Examples
    language_adapters: tuple[Entry, ...]


def _prepared(job: TaskJob, registry: Registry) -> _Prepared:
    task, setup = task_named(job.task, job.recipe.options), setup_named(job.setup)
    language_adapters = _language_adapters(setup, job, registry)
    base = (
        base_of(language_adapters[0].manifest.base, job.base)
        if language_adapters
        else resolve_base(job.base or DEFAULT_BASE)
    )
    data = job.annotated
    read, sources = read_examples(task, data)
    labels = task.labels(read.labels_from)
    annotations = read.annotations(data)
    few = {language: len(known) for language, known in read.train.items() if language != job.mixture.source}
    refs = tuple(one.ref for one in language_adapters)
    takes_turns = setup.training is LanguageAdapterRole.EACH
    label = few_label(few, job.plain_label)
    run = TrainingRun(
        AdapterName(base.slug, setup.mixture(job.mixture), task=job.task, setup=setup.name_field, label=label),
        base,
        with_settled_precision(job.recipe),
        sources=sources,
        parent=refs[0] if refs and not takes_turns else None,
        cycle=refs if takes_turns else (),
        labels=labels,
        annotations=annotations,
    )
    return _Prepared(run, task, read.aligned(task, labels), language_adapters)


def _language_adapters(setup: Setup, job: TaskJob, registry: Registry) -> tuple[Entry, ...]:
    """The language adapters below the task adapter, in the order of their turns, all on one base."""
    mixture = job.mixture
    if setup.coverage is TargetCoverage.WIDER and mixture.kind != "multilingual":
        raise UsageError(
            f"The setup {setup.name} uses the adapter of three languages or more, and {mixture} has "
            f"{len(mixture.languages)}. Name them all, such as {'+'.join(mixture.languages)}+LANG."
        )
    entries, found = registry.list(), dict[Mixture, Entry]()
    for one in dict.fromkeys(setup.language_adapters(mixture)):
        on = next(iter(found.values())).manifest.base if found else None
        label = label_for(setup.training, job.plain_label)
        query = AdapterQuery(one, None, base=None if on else job.base, label=label, on=on)
        found[one] = resolve(entries, query, broken=registry.problems()).entry
    return tuple(found[one] for one in setup.language_adapters(mixture))


def _objective(ready: _Prepared, recipe: TaskRecipe, registry: Registry) -> tuple[TaskObjective, Any]:
    run, labels = ready.run, ready.run.labels or ()
    model, tokenizer = load_encoder(run.base), load_tokenizer(run.base)
    if (source := with_vocabulary(ready.language_adapters)) is not None:
        use_vocabulary(model, tokenizer, source.name, registry.fetch(source))
    for language_adapter in {entry.name: entry for entry in ready.language_adapters}.values():
        load_adapter(model, language_adapter.name, registry.fetch(language_adapter))
    if run.name.kind != "model":
        add_adapter(model, run.name, recipe.adapter, seed=recipe.seed)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        ready.task.add_head(model, run.name.module_name, labels)
    names = [entry.name for entry in ready.language_adapters]
    return TaskObjective(model, run.name, names, ready.task, tokenizer, ready.examples, labels, recipe), model

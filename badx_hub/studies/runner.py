"""The steps of a study on this machine: which of them are done, and doing one.

A step has a name and a key. `Step.name` is unique in the study. The key is a digest of what the step is made from:
recipe, data and the adapters it needs. The key alone decides whether a step is done. So nothing runs twice, in this
study or in another one. A step that is changed gets another key, and so do all steps that need it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.data.splits import DataReference, Split
from badx_hub.errors import BadxError, NotFoundError, RunInProgress, UsageError
from badx_hub.evaluation.results import read_result, result_of
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.modeling.memory import give_memory_back
from badx_hub.modeling.precision import DTYPES, with_settled_precision
from badx_hub.names import plain_label, sentences_in
from badx_hub.process_locks import Owner, claimed
from badx_hub.recipes import LanguageRecipe, TaskRecipe
from badx_hub.registry import Entry, Registry, merging
from badx_hub.registry.protocol import newest
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, digest_of, results_folder
from badx_hub.studies.pinned_registry import Pinned
from badx_hub.studies.plan import Evaluate, MergeAdapters, Step, TrainLanguage, TrainTask, plan_of, with_needs
from badx_hub.studies.step_status import StepState, StepStatus
from badx_hub.studies.study import Study
from badx_hub.tasks import task_named
from badx_hub.training import language_adapter, task_adapter
from badx_hub.training.annotated_data import AnnotatedData
from badx_hub.training.curves import CSV, CurveRows, read_curves
from badx_hub.training.runs import run_label

__all__ = ["StepState", "StepStatus", "StudyRunner", "results_folder"]

if TYPE_CHECKING:
    from badx_hub.training.loop import Reporter
    from badx_hub.training.runs import TrainingRun


class StudyRunner:
    """Does the steps of one study, with a registry for its adapters and a folder for its results.

    It can be created again, or unpickled, wherever registry and folder can be reached: its state only saves time.
    """

    def __init__(self, study: Study, registry: Registry, results: Path | None = None) -> None:
        self.study, self.registry, self.results = study, registry, results or results_folder()
        self.steps = plan_of(study)
        self._named = {step.name: step for step in self.steps}
        self._statuses: dict[str, StepStatus] = {}
        self._known: tuple[Entry, ...] | None = None
        self._base: Base | NotFoundError | None = None
        self._files: dict[tuple[str, str, Split], tuple[DataReference, ...] | BadxError] = {}

    def __reduce__(self) -> tuple[type[StudyRunner], tuple[Study, Registry, Path]]:
        """Pickled without what it knows of the steps, since that changes while others do them."""
        return StudyRunner, (self.study, self.registry, self.results)

    def status(self, step: Step) -> StepStatus:
        """The status of a step. Nothing is loaded or trained; only the digest of a text on the Hub may need a download.

        A step is blocked if its data cannot be read or the registry raises an error.
        """
        if step.name not in self._statuses:
            try:
                self._statuses[step.name] = self._status(step)
            except BadxError as error:
                self._statuses[step.name] = StepStatus(step, StepState.BLOCKED, reason=str(error), error=error)
        return self._statuses[step.name]

    def statuses(self) -> tuple[StepStatus, ...]:
        """The current status of every step, in an order in which they can be done."""
        self._forget()
        return tuple(self.status(step) for step in self.steps)

    def pending(self, only: Sequence[str] = (), limit: int | None = None) -> tuple[Step, ...]:
        """The steps that are not done, in an order in which they can be done; at most the first `limit`.

        `only` has shell patterns of names such as "pos/wo/*"; the steps that these need are included. Raises UsageError
        for a pattern that matches no step.
        """
        names = [step.name for step in self.steps]
        for pattern in only:
            if not fnmatch.filter(names, pattern):
                raise UsageError(f"No step is called {pattern!r}. Names look like {names[0]} and {names[-1]}.")
        wanted = {name for pattern in only for name in fnmatch.filter(names, pattern)} if only else set(names)
        done = {status.step.name for status in self.statuses() if status.state is StepState.DONE}
        return tuple(step for step in with_needs(self.steps, wanted) if step.name not in done)[:limit]

    def curves(self) -> Mapping[str, CurveRows]:
        """The learning curve of every adapter that is trained, by the name of its step: one row per evaluation."""
        entries = {status.step.name: status.entry for status in self.statuses() if status.entry is not None}
        return {
            name: read_curves(self.registry.fetch(entry), entry.manifest.files[CSV])
            for name, entry in entries.items()
            if CSV in entry.manifest.files  # a mean of adapters was not trained
        }

    def do(self, step: Step, *, reporter: Reporter | None = None) -> bool:
        """Do a step unless it is done; True if it was done before.

        Raises what training and evaluating raise (TrainingInterrupted too), and NotFoundError if a step that it needs
        is not done.
        """
        if self.status(step).state is StepState.DONE:
            return True
        try:
            if isinstance(step, TrainLanguage):
                recipe, texts = self._language_recipe(step), self.study.texts_of(step.mixture)
                done = language_adapter.train_language_adapter(
                    step.mixture,
                    recipe,
                    registry=self.registry,
                    base=self.study.base,
                    text=texts,
                    label=run_label(step.seed, step.label),
                    reporter=reporter,
                )
                return done.already
            if isinstance(step, MergeAdapters):
                parents = self._needed(step)
                return merging.merge(parents, self.registry, name=step.name, base=self.study.base).already
            if isinstance(step, TrainTask):
                return task_adapter.train_job(self._job(step), self._registry_of(step), reporter=reporter).already
            self._evaluate(step)
            return False
        finally:
            self._forget()
            give_memory_back()

    def base(self) -> Base | None:
        """The base of the study, if it is on this machine."""
        if self._base is None:
            try:
                self._base = resolve_base(self.study.base, offline=True)
            except NotFoundError as error:
                self._base = error
        return self._base if isinstance(self._base, Base) else None

    def _without_base(self, step: Step) -> StepStatus:
        assert isinstance(self._base, NotFoundError)
        error = NotFoundError(f"The base is not on this machine yet: {self._base.fact}", remedies=self._base.remedies)
        return StepStatus(step, StepState.READY, reason=str(error), error=error)

    def entries(self) -> tuple[Entry, ...]:
        """The entries of the registry."""
        if self._known is None:
            self._known = self.registry.list()
        return self._known

    def _status(self, step: Step) -> StepStatus:
        if isinstance(step, Evaluate):
            return self._evaluation_status(step)
        if isinstance(step, TrainTask):
            known = self._annotated(step)
            for data in known.sources.values():
                self._references(step, data, "train")
            self._references(step, known.sources[known.select_on or self.study.source], "dev")
        if waits := self._waits(step):
            return waits
        if (base := self.base()) is None:
            return self._without_base(step)
        if isinstance(step, TrainTask):
            return self._run_status(step, self._planned(step))
        if isinstance(step, MergeAdapters):
            return self._merge_status(step)
        run, _ = language_adapter.planned(
            step.mixture,
            self._language_recipe(step),
            base=base,
            text=self.study.texts_of(step.mixture),
            label=run_label(step.seed, step.label),
        )
        return self._run_status(step, run)

    def _planned(self, step: TrainTask) -> TrainingRun:
        try:
            return task_adapter.planned(self._job(step), self._registry_of(step))
        except UsageError as error:
            if not sentences_in(step.label):
                raise
            raise UsageError(error.fact, remedies=(Advice(f"Correct the label {step.label} in the study."),)) from error

    def _run_status(self, step: Step, run: TrainingRun) -> StepStatus:
        entry = run.published_in(Pinned(self.registry, (), self.entries()))
        if entry is not None:
            return StepStatus(step, StepState.DONE, run.key, entry=entry)
        return StepStatus(step, StepState.READY, run.key, resumed=run.checkpoints.step)

    def _language_recipe(self, step: TrainLanguage) -> LanguageRecipe:
        return self.study.language_recipe(step.mixture, step.seed, step.label)

    def _merge_status(self, step: MergeAdapters) -> StepStatus:
        key = merging.planned(self._needed(step), name=step.name).key
        same = [entry for entry in self.entries() if entry.manifest.run == key]
        if same:
            return StepStatus(step, StepState.DONE, key, entry=newest(same))
        return StepStatus(step, StepState.READY, key)

    def _evaluation_status(self, step: Evaluate) -> StepStatus:
        data = self.study.test[step.task][step.target]
        files = self._references(step, data, self.study.split)
        if waits := self._waits(step):
            return waits
        recipe = with_settled_precision(self._task_recipe(step))
        computed = {} if recipe.precision == "fp32" else {"precision": recipe.precision}
        key = digest_of(
            {
                **computed,
                "stack": [entry.manifest.digest for entry in self._needed(step)],
                "setup": step.variant.setup.name,
                "pair": str(step.pair),
                "data": [file.digest for file in files],
                "split": self.study.split,
                "task": step.task,
                "options": recipe.options,
                "max_length": recipe.max_length,
            }
        )
        result = read_result(self._result_path(key))
        return StepStatus(step, StepState.READY if result is None else StepState.DONE, key, result=result)

    def _evaluate(self, step: Evaluate) -> None:
        """Score the stack, unless another driver is at it (RunInProgress) or has just done it."""
        key = str(self._evaluation_status(step).key)
        with claimed(self.claim_of(key), partial(_busy, step)):
            if read_result(self._result_path(key)) is None:
                self._score(step, key)

    def _score(self, step: Evaluate, key: str) -> None:
        from badx_hub.evaluation import evaluate
        from badx_hub.stack import load_entries

        trained, *language_adapters = self._needed(step)
        recipe = with_settled_precision(self._task_recipe(step))
        registry = self._registry_of(step)
        stack = load_entries(
            (*language_adapters, trained),
            registry,
            base=self.study.base,
            setup=step.variant.setup.name,
            dtype=DTYPES[recipe.precision],
            options=recipe.options,
        )
        done = evaluate(stack, self.study.test[step.task][step.target], split=self.study.split)
        result = result_of(
            done,
            stack.entries,
            registry,
            mixture=str(step.pair),
            target=step.target,
            metric=stack.task.selection_metric,
            label=step.variant.label,
        )
        atomic_write_text(self._result_path(key), result.model_dump_json(indent=1) + "\n")

    def _job(self, step: TrainTask) -> task_adapter.TaskJob:
        known = self._annotated(step)
        return task_adapter.TaskJob(
            step.mixture,
            step.task,
            self._task_recipe(step),
            known.sources,
            base=self.study.base,
            setup=step.setup.name,
            label=run_label(step.seed, plain_label(step.label)),
            data_ratio=known.mixture.ratio if len(known.sources) > 1 else None,
            limit=known.limit,
            select_on=known.select_on,
        )

    def _annotated(self, step: TrainTask) -> AnnotatedData:
        return self.study.annotated(step.task, sentences_in(step.label, step.mixture))

    def _task_recipe(self, step: TrainTask | Evaluate) -> TaskRecipe:
        label = step.variant.label if isinstance(step, Evaluate) else step.label
        return self.study.task_recipe(step.task, step.seed, label)

    def _registry_of(self, step: Step) -> Pinned:
        """The registry, in which the adapters that a step needs have only the version of this study."""
        return Pinned(self.registry, self._needed(step))

    def _needed(self, step: Step) -> tuple[Entry, ...]:
        """The adapters that a step needs. Raises NotFoundError if one is missing."""
        found = [self.status(self._named[need]).entry for need in step.needs]
        if waits := self._waits(step):
            raise NotFoundError(f"{step.name} {waits.reason}.")
        return tuple(entry for entry in found if entry is not None)

    def _waits(self, step: Step) -> StepStatus | None:
        missing = [need for need in step.needs if self.status(self._named[need]).state is not StepState.DONE]
        return StepStatus(step, StepState.WAITS, reason=f"waits for {', '.join(missing)}") if missing else None

    def _references(self, step: TrainTask | Evaluate, data: str, split: Split) -> tuple[DataReference, ...]:
        """The files of a split. They are looked up once, found or not, because that is slow on the Hub."""
        wanted = step.task, data, split
        if wanted not in self._files:
            chosen = task_named(step.task, self._task_recipe(step).options)
            try:
                self._files[wanted] = chosen.references(data, split)
            except BadxError as error:
                self._files[wanted] = error
        found = self._files[wanted]
        if isinstance(found, BadxError):
            raise found
        return found

    def claim_of(self, key: str) -> Path:
        """The file that says which process scores the stack with this key."""
        return self.results / f".{key}.claim"

    def _result_path(self, key: str) -> Path:
        return self.results / f"{key}.json"

    def _forget(self) -> None:
        """Forget what may have changed: all that was not done."""
        self._statuses = {name: status for name, status in self._statuses.items() if status.state is StepState.DONE}
        self._known = self._base = None
        self._files = {}


def _busy(step: Step, owner: Owner) -> RunInProgress:
    return RunInProgress(f"{step.name} is being done by process {owner.pid} on {owner.host}, since {owner.since}.")

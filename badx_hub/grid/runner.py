"""A study's steps and this machine: which are done, and doing one.

Two names for a step: `Step.name` is its own within the study, and its key is what it is made from, a digest of
recipe, data and the adapters under it. Whether it is done is asked of the key alone. So nothing runs twice, in this
study or another; and what is changed has another key, and so has all that stands on it.
"""

from __future__ import annotations

import fnmatch
import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from badx_hub.data.splits import DataReference, Split
from badx_hub.errors import BadxError, DataError, NotFoundError, UsageError
from badx_hub.evaluation.results import Result, result_of
from badx_hub.grid.pinned import Pinned
from badx_hub.grid.plan import Evaluate, Step, TrainLanguage, TrainTask, plan_of, with_needs
from badx_hub.grid.study import Study
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.registry import Entry, Registry
from badx_hub.remedies import Advice, RunAgain
from badx_hub.storage import atomic_write_text, digest_of, home, storage_errors
from badx_hub.tasks import task_named
from badx_hub.training import language, task
from badx_hub.training.curves import Rows, read_curves

if TYPE_CHECKING:
    from badx_hub.training.loop import Reporter
    from badx_hub.training.runs import TrainingRun


class StepState(str, Enum):
    """How a step stands."""

    DONE = "done"
    READY = "to do"
    WAITS = "waits"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class StepStatus:
    """A step as it was found.

    `key` is None where it cannot be known yet: the base or an adapter under it is not there. `reason` says what a
    step waits for, or what is missing that no step makes; then `error` has it with what to do about it. `resumed`
    counts the optimizer steps of a checkpoint that training would go on from. A step that is done has an `entry`, or a
    `result` if it is an evaluation.
    """

    step: Step
    state: StepState
    key: str | None = None
    reason: str = ""
    resumed: int = 0
    entry: Entry | None = None
    result: Result | None = None
    error: BadxError | None = None


def results_folder() -> Path:
    """Where results lie unless the user says otherwise: by their keys, for all studies together."""
    return home() / "results"


class StudyRunner:
    """The steps of one study, a registry for its adapters and a folder for its results.

    It can be made anew, or unpickled, wherever registry and folder can be reached: what it remembers only saves time.
    """

    def __init__(self, study: Study, registry: Registry, results: Path | None = None) -> None:
        self.study, self.registry, self.results = study, registry, results or results_folder()
        self.steps = plan_of(study)
        self._named = {step.name: step for step in self.steps}
        self._statuses: dict[str, StepStatus] = {}
        self._known: tuple[Entry, ...] | None = None
        self._base: Base | NotFoundError | None = None
        self._files: dict[tuple[str, str, Split], tuple[DataReference, ...] | BadxError] = {}

    def status(self, step: Step) -> StepStatus:
        """How a step stands; nothing is loaded, trained or downloaded but what the digest of a text on the Hub takes.

        Data that cannot be read blocks its step; StorageError and the like of a registry too.
        """
        if step.name not in self._statuses:
            try:
                self._statuses[step.name] = self._status(step)
            except BadxError as error:
                self._statuses[step.name] = StepStatus(step, StepState.BLOCKED, reason=str(error), error=error)
        return self._statuses[step.name]

    def statuses(self) -> tuple[StepStatus, ...]:
        """How every step stands now, in the order in which they can be done."""
        self._forget()
        return tuple(self.status(step) for step in self.steps)

    def pending(self, only: Sequence[str] = (), limit: int | None = None) -> tuple[Step, ...]:
        """The steps that are not done, in an order in which they can be: at most the first `limit`.

        `only`: patterns of names as a shell has them, "pos/wo/*"; what such a step needs belongs to it. Raises
        UsageError for a pattern that no step fits.
        """
        names = [step.name for step in self.steps]
        for pattern in only:
            if not fnmatch.filter(names, pattern):
                raise UsageError(f"No step is called {pattern!r}. Names look like {names[0]} and {names[-1]}.")
        wanted = {name for pattern in only for name in fnmatch.filter(names, pattern)} if only else set(names)
        done = {status.step.name for status in self.statuses() if status.state is StepState.DONE}
        return tuple(step for step in with_needs(self.steps, wanted) if step.name not in done)[:limit]

    def curves(self) -> Mapping[str, Rows]:
        """The learning curve of every adapter that is there, by its step's name: a row an evaluation."""
        entries = {status.step.name: status.entry for status in self.statuses() if status.entry is not None}
        return {name: read_curves(self.registry.fetch(entry)) for name, entry in entries.items()}

    def do(self, step: Step, *, reporter: Reporter | None = None) -> bool:
        """Do a step unless it is done; True if it was done before.

        Raises what training and evaluating raise, TrainingInterrupted among it, and NotFoundError for a step whose
        needs are not done.
        """
        if self.status(step).state is StepState.DONE:
            return True
        try:
            if isinstance(step, TrainLanguage):
                recipe, texts = self.study.language_recipe(step.mixture, step.seed), self.study.texts
                done = language.train_language_adapter(
                    step.mixture, recipe, registry=self.registry, base=self.study.base, text=texts, reporter=reporter
                )
                return done.already
            if isinstance(step, TrainTask):
                return task.train_job(self._job(step), self._registry_of(step), reporter=reporter).already
            self._evaluate(step)
            return False
        finally:
            self._forget()
            gc.collect()  # A model refers to itself: without a collection the next one would be loaded beside it.

    def base(self) -> Base | None:
        """The study's base, if it is on this machine."""
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
        """What the registry lists."""
        if self._known is None:
            self._known = self.registry.list()
        return self._known

    def _status(self, step: Step) -> StepStatus:
        if isinstance(step, Evaluate):
            return self._evaluation_status(step)
        if isinstance(step, TrainTask):
            for split in task.TRAINING_SPLITS:
                self._references(step, self.study.train_data(step.task), split)
        if waits := self._waits(step):
            return waits
        if self.base() is None:
            return self._without_base(step)
        if isinstance(step, TrainTask):
            return self._run_status(step, task.planned(self._job(step), self._registry_of(step)))
        recipe, texts = self.study.language_recipe(step.mixture, step.seed), self.study.texts
        run, _ = language.planned(step.mixture, recipe, base=self.study.base, text=texts)
        return self._run_status(step, run)

    def _run_status(self, step: Step, run: TrainingRun) -> StepStatus:
        entry = run.published_in(Pinned(self.registry, (), self.entries()))
        if entry is not None:
            return StepStatus(step, StepState.DONE, run.key, entry=entry)
        return StepStatus(step, StepState.READY, run.key, resumed=run.checkpoints.step)

    def _evaluation_status(self, step: Evaluate) -> StepStatus:
        data = self.study.test[step.task][step.target]
        files = self._references(step, data, self.study.split)
        if waits := self._waits(step):
            return waits
        recipe = self.study.task_recipe(step.task, step.seed)
        key = digest_of(
            {
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
        result = _read(self._result_path(key))
        return StepStatus(step, StepState.READY if result is None else StepState.DONE, key, result=result)

    def _evaluate(self, step: Evaluate) -> None:
        from badx_hub.evaluation import evaluate
        from badx_hub.stack import load_entries

        trained, *language_adapters = self._needed(step)
        key, registry = self._evaluation_status(step).key, self._registry_of(step)
        stack = load_entries(
            (*language_adapters, trained),
            registry,
            base=self.study.base,
            setup=step.variant.setup.name,
            options=self.study.task_recipe(step.task, step.seed).options,
        )
        done = evaluate(stack, self.study.test[step.task][step.target], split=self.study.split)
        result = result_of(
            done,
            stack.entries,
            registry,
            mixture=str(step.pair),
            target=step.target,
            metric=stack.task.selection_metric,
        )
        atomic_write_text(self._result_path(str(key)), result.model_dump_json(indent=1) + "\n")

    def _job(self, step: TrainTask) -> task.TaskJob:
        return task.TaskJob(
            step.mixture,
            step.task,
            self.study.task_recipe(step.task, step.seed),
            self.study.train_data(step.task),
            base=self.study.base,
            setup=step.setup.name,
        )

    def _registry_of(self, step: Step) -> Pinned:
        """The registry with exactly the adapters of this study that a step needs."""
        return Pinned(self.registry, self._needed(step))

    def _needed(self, step: Step) -> tuple[Entry, ...]:
        """The adapters that a step stands on. Raises NotFoundError if they are not all there."""
        found = [self.status(self._named[need]).entry for need in step.needs]
        if waits := self._waits(step):
            raise NotFoundError(f"{step.name} {waits.reason}.")
        return tuple(entry for entry in found if entry is not None)

    def _waits(self, step: Step) -> StepStatus | None:
        missing = [need for need in step.needs if self.status(self._named[need]).state is not StepState.DONE]
        return StepStatus(step, StepState.WAITS, reason=f"waits for {', '.join(missing)}") if missing else None

    def _references(self, step: TrainTask | Evaluate, data: str, split: Split) -> tuple[DataReference, ...]:
        """The files of a split. They are looked for once, found or not: on the Hub that takes its time."""
        wanted = step.task, data, split
        if wanted not in self._files:
            chosen = task_named(step.task, self.study.task_recipe(step.task, step.seed).options)
            try:
                self._files[wanted] = chosen.references(data, split)
            except BadxError as error:
                self._files[wanted] = error
        found = self._files[wanted]
        if isinstance(found, BadxError):
            raise found
        return found

    def _result_path(self, key: str) -> Path:
        return self.results / f"{key}.json"

    def _forget(self) -> None:
        """What was not done may be now, or may be possible."""
        self._statuses = {name: status for name, status in self._statuses.items() if status.state is StepState.DONE}
        self._known = self._base = None
        self._files = {}


def _read(path: Path) -> Result | None:
    with storage_errors(path):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return Result.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path} is not a sound result.", remedies=(Advice("Remove it."), RunAgain())) from error

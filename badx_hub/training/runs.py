"""One run: its key, its checkpoints, and the adapter it leaves in a registry."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from badx_hub.errors import NotFoundError, RunInProgress, TrainingDiverged, TrainingInterrupted, UsageError
from badx_hub.json_toml_yaml import flattened
from badx_hub.manifest import LanguageAdapterRef, ManifestDraft, SourceRef, Training
from badx_hub.manifest_fields import Annotations, Calibration
from badx_hub.modeling.base import Base
from badx_hub.modeling.full_finetuning import save_model
from badx_hub.modeling.mlm import save_mlm_head
from badx_hub.modeling.model_adapters import save_adapter
from badx_hub.names import AdapterName, few_label, plain_label, sentences_in
from badx_hub.process_locks import Owner, claimed, exclusive
from badx_hub.recipes import LanguageRecipe, TaskRecipe
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.protocol import Entry, Registry, newest
from badx_hub.remedies import Advice
from badx_hub.storage import digest_of, scratch_folder, storage_errors
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.curves import write_curves
from badx_hub.training.interrupts import StopRequest
from badx_hub.training.loop import Objective, Reporter, TrainingResult, train
from badx_hub.training.processes import Processes
from badx_hub.training.profiling import Profiling
from badx_hub.training.progress_file import Noted
from badx_hub.training.tracking import Tracked
from badx_hub.training.unfinished_runs import claim_of, discard_unfinished, folder_of, remember, require_same_settings

_PACKAGES = ("badx-hub", "adapters", "transformers", "torch")

SourceCounts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Trained:
    """The adapter that a training call returns; `already` if the registry had this run before."""

    entry: Entry
    already: bool


@dataclass(frozen=True)
class TrainingRun:
    """Everything that decides an adapter's weights. The same run has the same key, on any machine."""

    name: AdapterName
    base: Base
    recipe: LanguageRecipe | TaskRecipe
    sources: tuple[SourceRef, ...]
    parent: LanguageAdapterRef | None = None
    cycle: tuple[LanguageAdapterRef, ...] = ()
    labels: tuple[str, ...] | None = None
    annotations: Annotations | None = None
    initial: LanguageAdapterRef | None = None

    def __post_init__(self) -> None:
        """Raises UsageError if the recipe's inputs are longer than the base takes."""
        if self.recipe.max_length > self.base.max_length:
            raise UsageError(
                f"max_length is {self.recipe.max_length}, but {self.base.ref.name} reads at most "
                f"{self.base.max_length} sub-words.",
                remedies=(Advice("Give {} or less.", (("max_length", self.base.max_length),)),),
            )

    @property
    def key(self) -> str:
        """sha256 over name, base, recipe (`TrainingRecipe.identity`), data and language adapters."""
        turns = {"cycle": [ref.digest for ref in self.cycle]} if self.cycle else {}
        # What came later is left out where it says nothing, so that older runs keep their keys.
        several = {"annotations": self.annotations.model_dump(mode="json")} if self.annotations else {}
        began = {"initial": self.initial.digest} if self.initial else {}
        return digest_of(
            {
                **turns,
                **several,
                **began,
                "name": str(self.name),
                "base": self.base.ref.files,  # its head counts too, which is trained on
                "recipe": self.recipe.identity(),
                "data": [(source.language, source.digest) for source in self.sources],
                "parent": self.parent.digest if self.parent else None,
                "labels": self.labels,
            }
        )

    @property
    def checkpoints(self) -> CheckpointFolder:
        """Where the run keeps its newest checkpoints, until it is published."""
        return CheckpointFolder(folder_of(self.key))

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the key, by the names that its user knows, for telling two runs apart."""
        data = {f"data of {source.language}": f"{source.name} ({source.digest[:12]})" for source in self.sources}
        below = {f"turn {turn}": f"{ref.name} ({ref.digest[:12]})" for turn, ref in enumerate(self.cycle, 1)}
        if self.parent is not None:
            below["language adapter"] = f"{self.parent.name} ({self.parent.digest[:12]})"
        base = f"{self.base.ref.name} ({self.base.ref.digest[:12]})"
        return {"base": base, **dict(flattened(self.recipe.model_dump(mode="json"))), **data, **below}

    def published_in(self, registry: Registry) -> Entry | None:
        """The entry this run left in `registry`, if it ran before."""
        same = [entry for entry in registry.list() if entry.manifest.run == self.key]
        return newest(same) if same else None

    def execute(
        self,
        model: Any,
        objective: Objective,
        registry: Registry,
        reporter: Reporter,
        *,
        force: bool,
        restart: bool | None = None,
        counts: Callable[[], SourceCounts],
        profiling: Profiling | None = None,
        stop: StopRequest | None = None,
        calibrate: Callable[[], Calibration | None] = lambda: None,
    ) -> Trained:
        """Train from the last checkpoint, publish, and remove the checkpoints.

        Many arguments: they come from the functions that users call.

        Args:
            force: even if it is published.
            restart: what to do about a stopped run of this name that had other settings. None: leave it alone; False:
                raise SettingsChanged; True: drop it, and this run's own checkpoints too.
            calibrate: called with the kept weights in the model.

        Raises RunInProgress if another process is at it, and what `train` and publishing raise.
        """
        self._require_publishable(objective)
        processes = Processes()
        try:
            with processes.together(), ExitStack() as held:
                processes.first(lambda: held.enter_context(self._claimed()))
                # Another process may have finished the same run after the last look.
                if not force and processes.first(lambda: self.published_in(registry) is not None):
                    return Trained(self._found_in(registry), already=True)
                processes.first(lambda: self._remember(restart))  # before any of them looks for a checkpoint
                if isinstance(reporter, Tracked):
                    reporter.describe(self.name.repo_name, self.key, self.recipe.model_dump(mode="json"))
                noted = Noted(reporter, self.key)
                outcome = train(objective, self.recipe, self.checkpoints, noted, profiling=profiling, stop=stop)

                def publish() -> None:
                    calibration = calibrate()
                    with _publishing(registry):
                        if force or not self.published_in(registry):
                            self._publish(model, objective, outcome, registry, counts(), calibration)
                    self.checkpoints.clear()

                processes.first(publish)
                return Trained(self._found_in(registry), already=False)
        except (TrainingInterrupted, TrainingDiverged):
            # What starts processes ends the others when one has ended, and the first one has claims to give back.
            with suppress(RuntimeError):
                processes.wait()
            raise

    def _found_in(self, registry: Registry) -> Entry:
        """The entry of this run, which is done. Raises NotFoundError if it is gone."""
        if (entry := self.published_in(registry)) is None:
            raise NotFoundError(f"{self.name} was trained and is not in {registry.location}: was it removed?")
        return entry

    def _remember(self, restart: bool | None) -> None:
        name = str(self.name)
        if restart:
            discard_unfinished(self.key, name)
        elif restart is not None:
            require_same_settings(self.key, name, self.settings)
        remember(self.key, name, self.settings)

    def _require_publishable(self, objective: Objective) -> None:
        """What publishing would refuse at the end is refused before step 1. Raises DataError, StorageError."""
        with scratch_folder():
            self._draft(objective, TrainingResult(0, {str(objective.selection): 0.0}, (), units=0, seconds=0.0), {})

    def finished_in(self, registry: Registry) -> Trained | None:
        """What the run left in `registry`, if it ran before; what a process killed at its end left is removed."""
        processes = Processes()
        with processes.together():
            if not processes.first(lambda: self.published_in(registry) is not None):
                return None
        if self.checkpoints.step and processes.is_first:
            with suppress(RunInProgress), self._claimed():  # Otherwise it is being trained for another registry.
                self.checkpoints.clear()
        return Trained(self._found_in(registry), already=True)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """The right to train this run: one process at a time has it. Without a checkpoint nothing is left behind."""
        with claimed(claim_of(self.key), self._busy):
            try:
                yield
            finally:
                if not self.checkpoints.step:
                    self.checkpoints.clear()

    def _busy(self, owner: Owner) -> RunInProgress:
        who = f"process {owner.pid} on {owner.host}, since {owner.since}"
        advice = Advice("Wait for it or stop it; what it has done is kept.")
        return RunInProgress(f"{self.name} is being trained by {who}.", remedies=(advice,))

    def _publish(
        self,
        model: Any,
        objective: Objective,
        outcome: TrainingResult,
        registry: Registry,
        counts: SourceCounts,
        calibration: Calibration | None,
    ) -> Entry:
        with scratch_folder() as building, storage_errors(building):
            save = save_model if self.name.kind == "model" else save_adapter
            save(model, self.name, building)
            if isinstance(self.recipe, LanguageRecipe) and self.recipe.publish_head:
                save_mlm_head(model, self.recipe.head, building)
            write_curves(
                building,
                outcome.history,
                title=str(self.name),
                metrics=objective.selection.alike(outcome.best),
                best_step=outcome.best_step,
                kept=self.recipe.kept(outcome.best_step),
            )
            prepare(building, self._draft(objective, outcome, counts, calibration))
            return registry.publish(building)

    def _draft(
        self,
        objective: Objective,
        outcome: TrainingResult,
        counts: SourceCounts,
        calibration: Calibration | None = None,
    ) -> ManifestDraft:
        spent = {objective.unit: outcome.units}
        return ManifestDraft.checked(
            name=str(self.name),
            run=self.key,
            base=self.base.ref,
            parent=self.parent,
            cycle=self.cycle,
            recipe=self.recipe.model_dump(mode="json"),
            seed=self.recipe.seed,
            data=tuple(_counted(source, counts) for source in self.sources),
            labels=self.labels,
            annotations=self.annotations,
            initial=self.initial,
            calibration=calibration,
            training=Training(steps=self.recipe.steps, best_step=outcome.best_step, seconds=outcome.seconds, **spent),
            metrics={"dev": dict(outcome.best)},
            versions={package: version(package) for package in _PACKAGES} | {"python": platform.python_version()},
        )


def _publishing(registry: Registry) -> AbstractContextManager[None]:
    """Looking whether a run is published and publishing it as one act; on a Hub, commits take care of that."""
    root = Path(registry.location)
    # Everybody who may write to a shared folder may lock it.
    return exclusive(root / ".publishing.lock", mode=0o666) if root.is_dir() else nullcontext()


def seed_label(seed: int) -> str | None:
    """The default label of a run: none for seed 1, which is the default seed."""
    return None if seed == 1 else f"seed{seed}"


def run_label(seed: int, label: str | None = None) -> str | None:
    """The label of a run that `label` tells from others with the same seed: "average-seed2".

    The part that tells the sentences of the target stays at the end: "seed2-few-wo-100" for "few-wo-100".
    """
    plain = "-".join(filter(None, (plain_label(label), seed_label(seed)))) or None
    return few_label(sentences_in(label), plain)


def _counted(source: SourceRef, counts: SourceCounts) -> SourceRef:
    """`source` with the counts of its reader, if it has any."""
    found = counts.get(source.language)
    return source.model_copy(update={"counts": dict(found)}) if found else source

"""One training loop, on `accelerate`, for language and task adapters alike.

Whatever a step sees is a pure function of (seed, step): the batch, the masks, the learning rate and the random
numbers of dropout. So a run that was stopped goes on as if it had not been, from weights and optimizer alone, and on
another number of processes too. Batches are made ahead on one spare thread, checkpoints are written on another, and a
GPU is never waited for within a step.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from badx_hub.errors import TrainingDiverged, TrainingInterrupted, UsageError
from badx_hub.recipes import TrainingRecipe
from badx_hub.remedies import Advice, ResumeTraining
from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder, Saver
from badx_hub.training.devices import adamw, copied, defer_loss_sync
from badx_hub.training.divergence import WINDOW, diverged, fault_of
from badx_hub.training.interrupts import TIME_IS_UP, StopRequest, exit_code_of, watched
from badx_hub.training.objective import Batch, Objective, batch_digest
from badx_hub.training.optimizer_step import FinishedStep, Stepper, dropout_seed
from badx_hub.training.processes import Processes
from badx_hub.training.profiling import Profiling, Unwatched
from badx_hub.training.reporters import EvaluationRow, Reporter, Shielded, Silent
from badx_hub.training.selection import Kept, is_better, keep

# Callers of `train` import these from here as well.
__all__ = [
    "Batch",
    "EvaluationRow",
    "Objective",
    "Reporter",
    "Shielded",
    "Silent",
    "TrainingResult",
    "dropout_seed",
    "train",
]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training; the model now holds the weights of `best_step`, and `best` are their metrics.

    If the recipe selects an average, the model holds that, and `best_step` is the last step that it is over.
    `history` has a row for each evaluation (step, loss since the last one, metrics); `seconds` is wall-clock time in
    steps and evaluations, over all the sessions of a continued run.
    """

    best_step: int
    best: EvaluationRow
    history: tuple[EvaluationRow, ...]
    units: int
    seconds: float


def train(
    objective: Objective,
    recipe: TrainingRecipe,
    checkpoints: CheckpointFolder,
    reporter: Reporter,
    *,
    profiling: Profiling | None = None,
    stop: StopRequest | None = None,
) -> TrainingResult:
    """Train, evaluate, select; leave the selected weights in the model.

    Args:
        profiling: watches a few steps on the way.
        stop: made by Ctrl-C, SIGTERM and SIGHUP, or by its limit of time; in one process, all of them stop.

    Raises:
        TrainingInterrupted: `stop` was made; the last finished step was written to `checkpoints` before.
        TrainingDiverged: the loss or the gradient is no longer a number, or the gradient has exploded.
        StorageError: a checkpoint could not be written.
    """
    stop = stop or StopRequest()
    with torch.random.fork_rng(), watched(stop):
        return _Run(objective, recipe, checkpoints, reporter, profiling or Unwatched()).finish(stop)


class _Run:
    def __init__(
        self,
        objective: Objective,
        recipe: TrainingRecipe,
        checkpoints: CheckpointFolder,
        reporter: Reporter,
        profiling: Profiling | Unwatched,
    ) -> None:
        self.objective, self.recipe, self.checkpoints = objective, recipe, checkpoints
        self.names = tuple(objective.parameters)
        self.processes = Processes()
        is_first = self.processes.is_first
        self.reporter: Reporter = Shielded(reporter) if is_first else Silent()
        self.profiling = profiling if is_first else Unwatched()
        self.optimizer = adamw(
            objective.parameters.values(), self.processes.device, rate=recipe.learning_rate, decay=recipe.weight_decay
        )
        objective.module.to(self.processes.device)
        self.state = self._restored()
        self.stepper = Stepper(objective, recipe, self.optimizer, self.processes, self.state.step)
        self.unread: deque[FinishedStep] = deque()
        self.saver = Saver(checkpoints)
        self.stop_code = 0

    def finish(self, stop: StopRequest) -> TrainingResult:
        self.reporter.started(self.recipe.steps, self.state.step, self.objective.unit)
        self.profiling.begin(self.recipe.steps - self.state.step)
        try:
            with self.saver, self.stepper, self.profiling:
                while self.state.step < self.recipe.steps:
                    self._advance(stop)
                    self.saver.check()
                    # Several processes stop when all know that one of them was asked to.
                    code = stop.code if self.processes.count == 1 else self.stop_code
                    if code or self._save_is_due():
                        self._save()
                    if code:
                        self.saver.settle()
                        raise self.processes.shared(self._interrupted(code))
        finally:
            self.reporter.finished()
        if self.state.best_weights:
            self._load(self.state.best_weights)
        best = self.state.history[self.state.best_row]
        measured = {key: value for key, value in best.items() if key not in ("step", "loss")}
        return TrainingResult(
            best_step=int(best["step"]),
            # An average was never evaluated on the way.
            best=self._measured() if self.recipe.select == "average" else measured,
            history=self.state.history,
            units=self.state.units,
            seconds=self.state.seconds,
        )

    def _interrupted(self, code: int) -> TrainingInterrupted:
        cause = "The time limit is reached: stopped" if code == TIME_IS_UP else "Stopped"
        fact = f"{cause} after step {self.state.step} of {self.recipe.steps}; nothing is lost."
        return TrainingInterrupted(fact, exit_code_of(code), remedies=(ResumeTraining(),))

    def _advance(self, stop: StopRequest) -> None:
        began = time.perf_counter()
        with self.profiling.step():
            done = self.stepper.step(self.state.step, lambda: stop.code)
        self.unread.append(done)
        self.state = replace(self.state, step=done.step, units=self.state.units + done.units)
        self._read_steps(keep_last=int(defer_loss_sync(self.processes.device)))
        if done.step % self.recipe.eval_every == 0 or done.step == self.recipe.steps:
            self._evaluate()
        self.state = replace(self.state, seconds=self.state.seconds + time.perf_counter() - began)

    def _read_steps(self, *, keep_last: int = 0) -> None:
        """Reads the numbers of all steps but the last `keep_last`."""
        while len(self.unread) > keep_last:
            done = self.unread.popleft()
            summed, norm, code = done.numbers.read()
            loss, before = summed / done.labels, self.state.norms
            if fault := fault_of(loss, norm, before, self.recipe.clip_norm, done.step):
                raise self._diverged(fault, done.step)
            self.reporter.stepped(done.step, loss, done.units)
            self.stop_code = int(code)
            norms = (*before, norm)[-WINDOW:]
            self.state = replace(self.state, losses=(*self.state.losses, loss), norms=norms)

    def _diverged(self, fault: str, step: int) -> TrainingDiverged:
        self.stepper.settle()
        (batch,) = self.objective.batches(step - 1, 1)
        origin = f"{batch.origin}, with" if batch.origin else "that with"
        told = f"The batch of this step is {origin} the sha256 {batch_digest(batch)[:16]}."
        return self.processes.shared(diverged(fault, self.recipe, told))

    def _evaluate(self) -> None:
        self._read_steps()
        self.profiling.finish()
        self.stepper.settle()
        metrics, state = self._measured(), self.state
        row = {"step": state.step, "loss": sum(state.losses) / len(state.losses), **metrics}
        history = (*state.history, row)
        better = is_better(self.objective.selection, history)
        before = Kept(state.best_row, state.best_weights)
        kept = keep(self.recipe, before, history, self._weights, better=better)
        self.state = replace(state, losses=(), history=history, best_row=kept.row, best_weights=kept.weights)
        self.reporter.evaluated(state.step, metrics, better)

    def _measured(self) -> EvaluationRow:
        """The metrics of the weights that the model has now. Raises TrainingDiverged if one is no number."""
        self.objective.module.eval()
        with torch.inference_mode():
            metrics = self.objective.evaluate()
        for name, measured in metrics.items():
            if not math.isfinite(measured):
                error = diverged(f"The {name} is {measured} after step {self.state.step}", self.recipe)
                raise self.processes.shared(error)
        return metrics

    def _save_is_due(self) -> bool:
        every, step = self.recipe.save_every, self.state.step
        return every > 0 and step % every == 0 and step < self.recipe.steps

    def _save(self) -> None:
        self._read_steps()
        if self.processes.is_first:
            self.saver.save(replace(self.state, weights=self._weights(), optimizer=self._moments()))

    def _weights(self) -> dict[str, Tensor]:
        return {name: copied(weight) for name, weight in self.objective.parameters.items()}

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.objective.parameters.items():
                parameter.copy_(weights[name])

    def _moments(self) -> dict[str, Tensor]:
        """The optimizer's state as flat tensors, so that it is stored without pickle."""
        found = self.optimizer.state_dict()["state"]
        return {
            f"{self.names[index]}/{key}": copied(torch.as_tensor(value))
            for index, values in found.items()
            for key, value in values.items()
        }

    def _restored(self) -> Checkpoint:
        state = self.checkpoints.load()
        own = 0 if state is None else state.step
        if (step := self.processes.first(lambda: own)) != own:
            raise UsageError(
                f"A process found a checkpoint of step {own}, and the first one of step {step}.",
                remedies=(Advice("Set BADX_HUB_HOME to a folder that all processes share."),),
            )
        if state is None:
            return Checkpoint()
        self._load(state.weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.optimizer.items():
            name, field = key.rsplit("/", 1)
            moments.setdefault(self.names.index(name), {})[field] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        return replace(state, weights={}, optimizer={})

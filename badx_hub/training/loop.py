"""One training loop, on `accelerate`, for language and task adapters alike.

Whatever a step sees is a pure function of (seed, step): the batch, the masks, the learning rate and the random
numbers of dropout. So a run that was stopped goes on as if it had not been, from weights and optimizer alone.
Batches are made ahead on one spare thread, checkpoints are written on another, and a GPU is never waited for within a
step.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from badx_hub.errors import TrainingDiverged, TrainingInterrupted
from badx_hub.metric_key import MetricKey
from badx_hub.modeling.fast import cheap_dropout
from badx_hub.recipes import TrainingRecipe
from badx_hub.remedies import Advice, ResumeTraining
from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder
from badx_hub.training.devices import AsyncScalar, adamw, copied, defer_loss_sync, moved, pinned
from badx_hub.training.interrupts import StopRequest, watched
from badx_hub.training.prefetch import Prefetcher
from badx_hub.training.profiling import BACKWARD, COPY, FORWARD, UPDATE, WAIT, Profiling, Unwatched, phase
from badx_hub.training.reporters import EvaluationRow, Reporter, Shielded, Silent
from badx_hub.training.saving import Saver
from badx_hub.training.selection import Kept, is_better, keep

# Callers of `train` import the reporters from here as well.
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

_SMALLER_STEPS = Advice(
    "Give a smaller {} or some warm-up (warmup_steps in a recipe file).", (("learning_rate", None),)
)


@dataclass(frozen=True)
class Batch:
    """One slice of a step: the model's inputs, how many labels it scores and how many units it reads."""

    inputs: Mapping[str, Tensor]
    labels: int
    units: int


class Objective(Protocol):
    """What is trained, on what, and how it is judged."""

    @property
    def module(self) -> nn.Module:
        """Called with a batch's inputs; returns the loss summed over its labels."""

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """The trained weights by name; everything else is frozen."""

    @property
    def selection(self) -> MetricKey:
        """The metric that decides which step is kept."""

    @property
    def unit(self) -> str:
        """What `Batch.units` counts: tokens or sentences."""

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        """The step's batch in `parts` slices, all of the same language (one for each process and micro batch).

        A pure function of its arguments, called on another thread while earlier steps run, though never while
        `evaluate` does; it draws from generators of its own.
        """

    def prepare(self, step: int) -> None:
        """Make the module ready for the step's batch; called right before it is run."""

    def evaluate(self) -> EvaluationRow:
        """The metrics of the weights as they are now, by name."""


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
        stop: made by Ctrl-C, SIGTERM and SIGHUP, or by its limit of time.

    Raises:
        TrainingInterrupted: `stop` was made; the last finished step was written to `checkpoints` before.
        TrainingDiverged: the loss is no longer a number.
    """
    stop = stop or StopRequest()
    with torch.random.fork_rng(), watched(stop):
        return _Run(objective, recipe, checkpoints, reporter, profiling or Unwatched()).finish(stop)


@dataclass(frozen=True)
class _Step:
    """A finished step; `step` counts the finished steps. Its loss, summed over `labels`, may still be on the device."""

    step: int
    loss: AsyncScalar
    labels: int
    units: int


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
        self.accelerator = Accelerator()
        self.device: torch.device = self.accelerator.device
        is_main = self.accelerator.is_main_process
        self.reporter: Reporter = Shielded(reporter) if is_main else Silent()
        self.profiling = profiling if is_main else Unwatched()
        self.optimizer = adamw(
            objective.parameters.values(), self.device, rate=recipe.learning_rate, decay=recipe.weight_decay
        )
        self.module = self.accelerator.prepare(objective.module)
        self.state = self._restored()
        self.pending_losses: deque[_Step] = deque()
        self.prefetcher = Prefetcher(self._make_batch, range(self.state.step, recipe.steps))
        self.saver = Saver(checkpoints)

    def finish(self, stop: StopRequest) -> TrainingResult:
        self.reporter.started(self.recipe.steps, self.state.step, self.objective.unit)
        self.profiling.begin(self.recipe.steps - self.state.step)
        try:
            with self.saver, self.prefetcher, self.profiling:
                while self.state.step < self.recipe.steps:
                    self._advance()
                    self.saver.check()
                    stopped = stop.is_made
                    if stopped or self._save_is_due():
                        self._save()
                    if stopped:
                        self.saver.settle()
                        raise self._interrupted(stop)
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

    def _interrupted(self, stop: StopRequest) -> TrainingInterrupted:
        cause = "Stopped" if stop.signal is not None else "The time limit is reached: stopped"
        fact = f"{cause} after step {self.state.step} of {self.recipe.steps}; nothing is lost."
        return TrainingInterrupted(fact, stop.exit_code, remedies=(ResumeTraining(),))

    def _advance(self) -> None:
        began = time.perf_counter()
        with self.profiling.step():
            done = self._step(self.state.step)
        self.pending_losses.append(done)
        self.state = replace(self.state, step=done.step, units=self.state.units + done.units)
        self._read_losses(keep_last=int(defer_loss_sync(self.device)))
        if done.step % self.recipe.eval_every == 0 or done.step == self.recipe.steps:
            self._evaluate()
        self.state = replace(self.state, seconds=self.state.seconds + time.perf_counter() - began)

    def _read_losses(self, *, keep_last: int = 0) -> None:
        """Reads the losses of all steps but the last `keep_last`."""
        while len(self.pending_losses) > keep_last:
            done = self.pending_losses.popleft()
            loss = float(done.loss) / done.labels
            _require_number("loss", loss, done.step)
            self.reporter.stepped(done.step, loss, done.units)
            self.state = replace(self.state, losses=(*self.state.losses, loss))

    def _make_batch(self, step: int) -> Sequence[Batch]:
        """The batch of a step, in slices, where the device can fetch it; runs on the spare thread."""
        slices = self.objective.batches(step, self.accelerator.num_processes * self.recipe.micro_batches)
        return [replace(part, inputs=pinned(part.inputs, self.device)) for part in slices]

    def _step(self, step: int) -> _Step:
        with phase(WAIT):
            batches = self.prefetcher.take()
        self.objective.prepare(step)
        torch.manual_seed(dropout_seed(self.recipe.seed, step))
        labels = sum(batch.labels for batch in batches)
        self.module.train()
        loss = self._accumulate(batches, labels)
        with phase(UPDATE):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(step)
            self.accelerator.clip_grad_norm_(self.objective.parameters.values(), self.recipe.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return _Step(step + 1, AsyncScalar(loss), labels, sum(batch.units for batch in batches))

    def _accumulate(self, batches: Sequence[Batch], labels: int) -> Tensor:
        """The gradients of this process's slices; returns the loss summed over the slices of all processes."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        total = torch.zeros((), device=self.device)
        for start in range(0, len(batches), processes):
            # Every process takes part in every backward pass: one without a slice runs the first with a weight of 0.
            has_slice = start + rank < len(batches)
            with phase(COPY):
                inputs = moved(batches[start + rank if has_slice else 0].inputs, self.device)
            with phase(FORWARD), cheap_dropout(self.device):
                loss = self.module(**inputs) * float(has_slice)
            # Gradients are averaged over the processes; the sum over all labels is wanted, divided once.
            with phase(BACKWARD):
                self.accelerator.backward(loss * (processes / labels))
            total += loss.detach()
        summed: Tensor = self.accelerator.reduce(total, "sum")
        return summed

    def _evaluate(self) -> None:
        self._read_losses()
        self.profiling.finish()
        self.prefetcher.settle()
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
        self.module.eval()
        with torch.inference_mode():
            metrics = self.objective.evaluate()
        for name, measured in metrics.items():
            _require_number(name, measured, self.state.step)
        return metrics

    def _save_is_due(self) -> bool:
        every, step = self.recipe.save_every, self.state.step
        return every > 0 and step % every == 0 and step < self.recipe.steps

    def _save(self) -> None:
        self._read_losses()
        if self.accelerator.is_main_process:
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
        if state is None:
            return Checkpoint()
        self._load(state.weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.optimizer.items():
            name, field = key.rsplit("/", 1)
            moments.setdefault(self.names.index(name), {})[field] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        return replace(state, weights={}, optimizer={})


def _require_number(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"The {what} is {value} after step {step}: training has diverged.",
            remedies=(_SMALLER_STEPS,),
        )


def dropout_seed(seed: int, step: int) -> int:
    """The seed of a step's random numbers: 63 bits of a hash, so that no two steps or seeds share one."""
    text = f"dropout/{seed}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1

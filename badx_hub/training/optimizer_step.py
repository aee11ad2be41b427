"""One optimizer step, by all processes together: each runs its slices of the batch, and the gradients are summed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from badx_hub.modeling.fast import cheap_dropout, draws_for_the_whole
from badx_hub.recipes import TrainingRecipe
from badx_hub.training.devices import AsyncNumbers, moved, pinned
from badx_hub.training.objective import Batch, Objective
from badx_hub.training.prefetch import Prefetcher
from badx_hub.training.processes import Processes
from badx_hub.training.profiling import BACKWARD, COPY, FORWARD, UPDATE, WAIT, phase


@dataclass(frozen=True)
class OwnSlices:
    """What one process runs of a step. `labels` and `units` are those of the whole batch.

    Every process takes part in every backward pass: one that has no slice left runs another's with a weight of 0.
    """

    slices: tuple[tuple[Batch, float], ...]
    labels: int
    units: int


@dataclass(frozen=True)
class FinishedStep:
    """A finished step; `step` counts the finished steps.

    Its numbers may still be on the device: the loss summed over `labels`, the gradient's norm, and the code of the
    request to stop (`badx_hub.training.interrupts`) that some process had when the step was made.
    """

    step: int
    numbers: AsyncNumbers
    labels: int
    units: int


class Stepper:
    """Makes steps of `objective`, from `start` on; a context in which batches are made ahead."""

    def __init__(
        self,
        objective: Objective,
        recipe: TrainingRecipe,
        optimizer: torch.optim.Optimizer,
        processes: Processes,
        start: int,
    ) -> None:
        self.objective, self.recipe, self.optimizer, self.processes = objective, recipe, optimizer, processes
        self.module = processes.prepared(objective.module)
        self.prefetcher = Prefetcher(self._make_work, range(start, recipe.steps))

    def __enter__(self) -> Stepper:
        self.prefetcher.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.prefetcher.__exit__(*error)

    def settle(self) -> None:
        """Wait until no batch is being made."""
        self.prefetcher.settle()

    def step(self, step: int, stop_code: Callable[[], int]) -> FinishedStep:
        """Make a step, counted from 0; `stop_code` is asked when its gradients are there."""
        with phase(WAIT):
            work = self.prefetcher.take()
        self.objective.prepare(step)
        self.module.train()
        loss = self._accumulate(work, step)
        loss, code = self._agreed(loss, stop_code())
        with phase(UPDATE):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(step)
            parameters = self.objective.parameters.values()
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return FinishedStep(step + 1, AsyncNumbers(torch.stack([loss, norm.to(loss), code])), work.labels, work.units)

    def _make_work(self, step: int) -> OwnSlices:
        """This process's part of a step, where the device can fetch it; runs on the spare thread."""
        count, rank = self.processes.count, self.processes.rank
        batches = self.objective.batches(step, count * self.recipe.micro_batches)
        own = []
        for start in range(0, len(batches), count):
            has_slice = start + rank < len(batches)
            batch = batches[start + rank if has_slice else 0]
            inputs = pinned(batch.inputs, self.processes.device)
            own.append((replace(batch, inputs=inputs), float(has_slice)))
        labels, units = (sum(getattr(batch, what) for batch in batches) for what in ("labels", "units"))
        return OwnSlices(tuple(own), labels, units)

    def _accumulate(self, work: OwnSlices, step: int) -> Tensor:
        """The gradients of the whole batch; returns the loss summed over this process's slices."""
        device, accelerator = self.processes.device, self.processes.accelerator
        total = torch.zeros((), device=device)
        for place, (batch, weight) in enumerate(work.slices, 1):
            with phase(COPY):
                inputs = moved(batch.inputs, device)
            first = 0 if draws_for_the_whole(device) or batch.rows is None else batch.rows.start
            torch.manual_seed(dropout_seed(self.recipe.seed, step, first))
            # Gradients are exchanged once a step, with the last slice.
            with nullcontext() if place == len(work.slices) else accelerator.no_sync(self.module):
                with phase(FORWARD), cheap_dropout(device, batch.rows, batch.scored):
                    loss = self.module(**inputs) * weight
                # They are averaged over the processes; the sum over all labels is wanted, divided once.
                with phase(BACKWARD):
                    accelerator.backward(loss * (self.processes.count / work.labels))
            total += loss.detach()
        return total

    def _agreed(self, loss: Tensor, code: int) -> tuple[Tensor, Tensor]:
        """The loss summed over all processes, and the highest code that one of them has."""
        numbers = torch.stack([loss, torch.full_like(loss, code)])
        rows = self.processes.rows(numbers)
        return rows[:, 0].sum(), rows[:, 1].max()


def dropout_seed(seed: int, step: int, first: int = 0) -> int:
    """The seed of a step's random numbers: 63 bits of a hash, so that no two steps or seeds share one.

    `first` is the first row of a slice that draws for itself.
    """
    text = f"dropout/{seed}/{step}{f'/{first}' if first else ''}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

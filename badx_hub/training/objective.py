"""What a training trains, on what, and how it is judged: the protocol between the loop and its two kinds of adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from badx_hub.metric_key import MetricKey
from badx_hub.modeling.fast import Share
from badx_hub.training.reporters import EvaluationRow


@dataclass(frozen=True)
class Batch:
    """One slice of a step: the model's inputs, how many labels it scores and how many units it reads.

    `rows` and `scored` say which rows of the whole batch it has, and which of its scored positions: so the random
    numbers of dropout are those of the whole batch. `origin` says where the batch comes from, for people.
    """

    inputs: Mapping[str, Tensor]
    labels: int
    units: int
    rows: Share | None = None
    scored: Share | None = None
    origin: str = ""


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
        """The metrics of the weights as they are now, by name; several processes share the work."""


def batch_digest(batch: Batch) -> str:
    """SHA-256, in hex, of a batch's inputs: names, shapes and numbers."""
    known = hashlib.sha256()
    for name, values in sorted(batch.inputs.items()):
        known.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        known.update(values.cpu().contiguous().numpy().tobytes())
    return known.hexdigest()
